//! Which pods a plugin reaches, as istiod decides it.
//!
//! Source: istio, pilot/pkg/model/policyattachment.go.

use crate::{
    Cluster, ClusterError, Plugin, ROOT_NAMESPACE, Reach, TargetRef, call::Failed, tail::encoded,
};
use serde_json::Value;

const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
const GATEWAY_CLASS: &str = "gateway.networking.k8s.io/gateway-class-name";
const USE_WAYPOINT: &str = "istio.io/use-waypoint";
const USE_WAYPOINT_NAMESPACE: &str = "istio.io/use-waypoint-namespace";
/// Waypoints never follow a selector.
const NO_WAYPOINTS: &str = "gateway.istio.io/managed!=istio.io-mesh-controller";

/// A list of pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PodQuery {
    /// Where in the API.
    pub(super) path: String,
    /// A label selector, percent-encoded.
    pub(super) labels: String,
}

impl PodQuery {
    fn of(namespace: Option<&str>, labels: &str) -> Self {
        Self {
            path: match namespace {
                Some(namespace) => format!("/api/v1/namespaces/{namespace}/pods"),
                None => "/api/v1/pods".to_owned(),
            },
            labels: encoded(labels),
        }
    }
}

impl Cluster {
    /// The lists of pods, and what leads to none.
    pub(super) async fn pod_queries(
        &self,
        plugin: &Plugin,
    ) -> Result<(Vec<PodQuery>, Vec<String>), ClusterError> {
        let own = Some(plugin.namespace.as_str());
        let workloads = own.filter(|namespace| *namespace != ROOT_NAMESPACE);
        let mut queries = Vec::new();
        let mut notes = Vec::new();
        match &plugin.reach {
            Reach::Namespace => queries.push(PodQuery::of(workloads, NO_WAYPOINTS)),
            Reach::Selector(labels) => {
                let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
                let labels = format!("{},{NO_WAYPOINTS}", labels.join(","));
                queries.push(PodQuery::of(workloads, &labels));
            }
            Reach::Targets(targets) => {
                for target in targets {
                    match self.of_target(&plugin.namespace, target).await? {
                        Ok(query) if queries.contains(&query) => {}
                        Ok(query) => queries.push(query),
                        Err(note) => notes.push(note),
                    }
                }
            }
        }
        Ok((queries, notes))
    }

    /// The pods behind a target, or why there are none.
    async fn of_target(
        &self,
        namespace: &str,
        target: &TargetRef,
    ) -> Result<Result<PodQuery, String>, ClusterError> {
        let name = &target.name;
        Ok(match (target.group.as_str(), target.kind.as_str()) {
            ("gateway.networking.k8s.io", "Gateway") => {
                let labels = format!("{GATEWAY_NAME}={name}");
                Ok(PodQuery::of(Some(namespace), &labels))
            }
            ("gateway.networking.k8s.io", "GatewayClass") if namespace == ROOT_NAMESPACE => {
                Ok(PodQuery::of(None, &format!("{GATEWAY_CLASS}={name}")))
            }
            ("gateway.networking.k8s.io", "GatewayClass") => Err(format!(
                "{target} is followed from {ROOT_NAMESPACE} alone, not from {namespace}"
            )),
            ("" | "core", "Service") => {
                let path = format!("/api/v1/namespaces/{namespace}/services/{name}");
                self.waypoint_of(namespace, target, &path).await?
            }
            ("networking.istio.io", "ServiceEntry") => {
                let path = format!(
                    "/apis/networking.istio.io/v1/namespaces/{namespace}/serviceentries/{name}"
                );
                self.waypoint_of(namespace, target, &path).await?
            }
            _ => Err(format!(
                "{target} is nothing that Istio attaches a plugin to"
            )),
        })
    }

    async fn waypoint_of(
        &self,
        namespace: &str,
        target: &TargetRef,
        path: &str,
    ) -> Result<Result<PodQuery, String>, ClusterError> {
        let Some(service) = there(self.get(path).await)? else {
            return Ok(Err(format!("there is no {target} in {namespace}")));
        };
        let mut labels = labels_of(&service);
        if labels.0.is_none() {
            let path = format!("/api/v1/namespaces/{namespace}");
            labels = labels_of(&there(self.get(&path).await)?.unwrap_or_default());
        }
        let (waypoint, of) = labels;
        Ok(match waypoint.as_deref() {
            None | Some("none" | "") => Err(format!(
                "{target} of {namespace} uses no waypoint (label {USE_WAYPOINT}), so that the plugin reaches no proxy by it"
            )),
            Some(name) => {
                let labels = format!("{GATEWAY_NAME}={name}");
                let namespace = of.unwrap_or_else(|| namespace.to_owned());
                Ok(PodQuery::of(Some(&namespace), &labels))
            }
        })
    }
}

/// The waypoint that an object names, and the waypoint's namespace.
fn labels_of(object: &Value) -> (Option<String>, Option<String>) {
    let labels = object.pointer("/metadata/labels");
    let label = |name: &str| Some(labels?.get(name)?.as_str()?.to_owned());
    (label(USE_WAYPOINT), label(USE_WAYPOINT_NAMESPACE))
}

fn there(found: Result<Value, Failed>) -> Result<Option<Value>, ClusterError> {
    match found {
        Ok(object) => Ok(Some(object)),
        Err(failed) if failed.code() == 404 => Ok(None),
        Err(failed) => Err(failed.into()),
    }
}
