//! Which lists of pods a plugin's reach leads to, as istiod decides it (pilot/pkg/model/policyattachment.go).

use crate::play::{Play, Reply, refusal};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const NO_WAYPOINTS: &str = "gateway.istio.io/managed!=istio.io-mesh-controller";

/// Asks for the pods of a plugin; what was asked for, and what was noted.
async fn asked(namespace: &str, spec: Value, labels: [(&str, Value); 2]) -> (Vec<String>, String) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let lists = Arc::clone(&asked);
    let object = json!({
        "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
        "metadata": {"name": "shop", "namespace": namespace, "uid": "u", "resourceVersion": "1"}, "spec": spec,
    });
    let labels = labels.map(|(path, labels)| (path.to_owned(), labels));
    let play = Play::start(move |_, path| {
        if path.contains("watch=true") {
            return Reply::Silence;
        }
        if path.contains("/pods?") {
            let (list, _) = path.split_once("&limit").unwrap();
            let decoded = [("%3D", "="), ("%2C", ","), ("%2F", "/"), ("%21", "!")];
            let list = decoded
                .iter()
                .fold(list.to_owned(), |list, (from, to)| list.replace(from, to));
            lists
                .lock()
                .unwrap()
                .push(list.replace("?labelSelector=", " "));
            return Reply::Json(json!({"metadata": {"resourceVersion": "1"}, "items": []}));
        }
        if path.contains("/wasmplugins/") {
            return Reply::Json(object.clone());
        }
        match labels.iter().find(|(end, _)| path.ends_with(end.as_str())) {
            Some((_, labels)) => Reply::Json(json!({"metadata": {"labels": labels}})),
            None => Reply::Refuse(refusal(404, "not found")),
        }
    })
    .await;
    let cluster = play.cluster().await;
    let name = format!("{namespace}/wasmplugin/shop").parse().unwrap();
    let plugin = cluster.find(&name).await.unwrap();
    let fleet = cluster.proxies(&plugin).await.unwrap();
    let asked = asked.lock().unwrap().clone();
    (asked, fleet.notes().join("; "))
}

const NONE: [(&str, Value); 2] = [("-", Value::Null), ("-", Value::Null)];

async fn lists(namespace: &str, spec: Value) -> Vec<String> {
    asked(namespace, spec, NONE).await.0
}

#[tokio::test]
async fn a_selector_is_followed_in_the_namespace_and_from_the_root_in_all() {
    let spec = json!({"selector": {"matchLabels": {"app": "web", "istio": "gw"}}});
    let labels = format!("app=web,istio=gw,{NO_WAYPOINTS}");
    assert_eq!(
        lists("prod", spec.clone()).await,
        [format!("/api/v1/namespaces/prod/pods {labels}")]
    );
    assert_eq!(
        lists("istio-system", spec).await,
        [format!("/api/v1/pods {labels}")]
    );
}

#[tokio::test]
async fn without_a_selector_all_pods_are_meant_but_waypoints() {
    let expected = format!("/api/v1/namespaces/prod/pods {NO_WAYPOINTS}");
    assert_eq!(lists("prod", json!({})).await, [expected]);
    assert_eq!(
        lists("istio-system", json!({})).await,
        [format!("/api/v1/pods {NO_WAYPOINTS}")]
    );
}

fn target(group: &str, kind: &str, name: &str) -> Value {
    json!({"targetRefs": [{"group": group, "kind": kind, "name": name}]})
}

#[tokio::test]
async fn a_gateway_is_followed_in_its_own_namespace_even_from_the_root() {
    let spec = target("gateway.networking.k8s.io", "Gateway", "web");
    for namespace in ["prod", "istio-system"] {
        let expected = format!(
            "/api/v1/namespaces/{namespace}/pods gateway.networking.k8s.io/gateway-name=web"
        );
        assert_eq!(lists(namespace, spec.clone()).await, [expected]);
    }
}

#[tokio::test]
async fn a_class_is_followed_from_the_root_namespace_alone() {
    let spec = target(
        "gateway.networking.k8s.io",
        "GatewayClass",
        "istio-waypoint",
    );
    let expected = "/api/v1/pods gateway.networking.k8s.io/gateway-class-name=istio-waypoint";
    assert_eq!(lists("istio-system", spec.clone()).await, [expected]);
    let (none, notes) = asked("prod", spec, NONE).await;
    assert_eq!(none, [""; 0]);
    assert!(
        notes.contains("is followed from istio-system alone"),
        "{notes}"
    );
}

#[tokio::test]
async fn a_service_is_followed_to_its_waypoint() {
    let own = json!({"istio.io/use-waypoint": "own", "istio.io/use-waypoint-namespace": "infra"});
    let common = json!({"istio.io/use-waypoint": "common"});
    for (group, kind, path) in [
        ("", "Service", "/api/v1/namespaces/prod/services/web"),
        (
            "networking.istio.io",
            "ServiceEntry",
            "/apis/networking.istio.io/v1/namespaces/prod/serviceentries/web",
        ),
    ] {
        let of = async |service: &Value, namespace: &Value| {
            let labels = [
                (path, service.clone()),
                ("/namespaces/prod", namespace.clone()),
            ];
            asked("prod", target(group, kind, "web"), labels).await
        };
        let waypoint = |namespace, name| {
            vec![format!(
                "/api/v1/namespaces/{namespace}/pods gateway.networking.k8s.io/gateway-name={name}"
            )]
        };
        assert_eq!(of(&own, &common).await.0, waypoint("infra", "own"));
        assert_eq!(of(&json!({}), &common).await.0, waypoint("prod", "common"));
        let (none, notes) = of(&json!({"istio.io/use-waypoint": "none"}), &common).await;
        assert_eq!(none, [""; 0]);
        assert!(notes.contains("uses no waypoint"), "{notes}");
        assert!(
            of(&json!({}), &json!({}))
                .await
                .1
                .contains("uses no waypoint")
        );
    }
}

#[tokio::test]
async fn what_leads_nowhere_is_noted_and_the_same_pods_are_listed_once() {
    let gateway = json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "web"});
    let missing = json!({"kind": "Service", "name": "gone"});
    let other = json!({"group": "apps", "kind": "Deployment", "name": "web"});
    let spec = json!({"targetRefs": [gateway, gateway, missing, other]});
    let (lists, notes) = asked("prod", spec, NONE).await;
    assert_eq!(lists.len(), 1);
    let expected = "there is no Service gone in prod; Deployment web is nothing that Istio attaches a plugin to";
    assert_eq!(notes, expected);
}
