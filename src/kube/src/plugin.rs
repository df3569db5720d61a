//! A `WasmPlugin` or `TrafficExtension` that carries a configuration of Cutover.

use crate::{FieldPath, Kind, Manager, manifest, name::API_VERSION};
use jiff::Timestamp;
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// What the API server has under a name, at one resource version.
#[derive(Clone, PartialEq)]
pub struct Plugin {
    /// Which of the two kinds.
    pub kind: Kind,
    /// Its namespace; empty in a manifest that names none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What tells it from another one of that name; empty in a manifest.
    pub uid: String,
    /// Changes with every write; empty in a manifest.
    pub resource_version: String,
    /// `metadata.generation`: grows with every change of the specification, and with none of the metadata or status.
    pub spec_version: i64,
    /// `pluginConfig`; null when there is none.
    pub config: Value,
    /// Where the module comes from.
    pub url: String,
    /// The module's digest, where one is given.
    pub sha256: Option<String>,
    /// What the proxy does when the module fails; none is `FAIL_CLOSE`.
    pub fail_strategy: Option<String>,
    /// Which proxies it reaches.
    pub reach: Reach,
    /// Who owns its fields.
    pub managers: Vec<Manager>,
    /// The whole object, as it was read.
    pub(crate) object: Value,
}

/// Which proxies a plugin reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Workloads with these labels, in its namespace; from the root namespace in all.
    Selector(BTreeMap<String, String>),
    /// What it names.
    Targets(Vec<TargetRef>),
    /// All of its namespace; from the root namespace all.
    Namespace,
}

/// What a plugin is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRef {
    /// The API group; empty is the core group.
    pub group: String,
    /// `Gateway`, `Service`, `ServiceEntry`, `GatewayClass`.
    pub kind: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for TargetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// An object that is no plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlugin {
    /// Another kind.
    #[error("it is {found}, not a WasmPlugin or TrafficExtension of extensions.istio.io")]
    Kind {
        /// `kind` and `apiVersion`.
        found: String,
    },
    /// It has no name.
    #[error("it has no metadata.name")]
    NoName,
    /// A `TrafficExtension` with a script.
    #[error("it has no `spec.wasm`: it is not a Wasm plugin")]
    NotWasm,
}

impl Plugin {
    /// Reads an object of the API server, or a manifest.
    pub fn from_object(object: Value) -> Result<Self, InvalidPlugin> {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str);
        let owned = |path: &str| text(path).unwrap_or_default().to_owned();
        let (version, kind) = (owned("/apiVersion"), owned("/kind"));
        let kind = Kind::ALL
            .into_iter()
            .find(|known| known.as_str() == kind && version.starts_with("extensions.istio.io/"))
            .ok_or_else(|| InvalidPlugin::Kind {
                found: match (kind.as_str(), version.as_str()) {
                    ("", _) => "without a kind".to_owned(),
                    (kind, "") => format!("a {kind}"),
                    (kind, version) => format!("a {kind} of {version}"),
                },
            })?;
        let name = text("/metadata/name").filter(|name| !name.is_empty());
        let name = name.ok_or(InvalidPlugin::NoName)?.to_owned();
        let body = FieldPath::new(kind.body().iter().copied());
        let body = body.value_in(&object);
        if kind == Kind::TrafficExtension && !body.is_some_and(Value::is_object) {
            return Err(InvalidPlugin::NotWasm);
        }
        let field = |key: &str| body?.get(key)?.as_str().map(str::to_owned);
        Ok(Self {
            kind,
            namespace: owned("/metadata/namespace"),
            name,
            uid: owned("/metadata/uid"),
            resource_version: owned("/metadata/resourceVersion"),
            spec_version: object
                .pointer("/metadata/generation")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            config: body
                .and_then(|body| body.get("pluginConfig"))
                .cloned()
                .unwrap_or_default(),
            url: field("url").unwrap_or_default(),
            sha256: field("sha256"),
            fail_strategy: field("failStrategy"),
            reach: Reach::of(&object),
            managers: Manager::all_of(&object),
            object,
        })
    }

    /// The names that Envoy may know it by: of the resource and filter, and of the plugin within.
    ///
    /// Istio 1.29 has one pair for a `WasmPlugin`, 1.30 and newer another; it cannot be told from here
    /// which it is. Source: pilot/pkg/model/extensions.go.
    pub fn names(&self) -> Vec<(String, String)> {
        let own = format!("{}.{}", self.namespace, self.name);
        let translated = format!("{own}~istio-translated-wasmplugin");
        let resource = |kind: &str, name: &str| format!("extensions.istio.io/{kind}/{name}");
        match self.kind {
            Kind::WasmPlugin => vec![
                (resource("trafficextension", &translated), translated),
                (resource("wasmplugin", &own), own),
            ],
            Kind::TrafficExtension => vec![(resource("trafficextension", &own), own)],
        }
    }

    /// Where `pluginConfig` stands.
    pub fn config_path(&self) -> FieldPath {
        FieldPath::new(self.kind.body().iter().copied()).join("pluginConfig")
    }

    /// Where the switch of a service stands; without a service, that of the short form.
    pub fn switch_path(&self, service: Option<&str>) -> FieldPath {
        match service {
            None => self.config_path(),
            Some(service) => self.config_path().join("services").join(service),
        }
    }

    /// Those who own a field, or something below it.
    pub fn owners_of(&self, path: &FieldPath) -> Vec<&Manager> {
        let mut owners: Vec<_> = self
            .managers
            .iter()
            .filter(|manager| manager.owns(path))
            .collect();
        owners.sort_by_key(|manager| std::cmp::Reverse(manager.since));
        owners
    }

    /// Who wrote the active color of a service last, as far as that can be told: the newest of its owners.
    pub fn last_writer(&self, service: Option<&str>) -> Option<&Manager> {
        let active = self.switch_path(service).join("active");
        self.owners_of(&active).first().copied()
    }

    /// When it was made.
    pub fn created(&self) -> Option<Timestamp> {
        let created = self.object.pointer("/metadata/creationTimestamp")?;
        created.as_str()?.parse().ok()
    }

    /// Whether its configuration looks like one of Cutover, right or wrong.
    pub fn is_ours(&self) -> bool {
        let has = |name| self.config.get(name).is_some();
        let two = |service: &Value| service.get("blue").is_some() && service.get("green").is_some();
        let services = self.config.get("services").and_then(Value::as_object);
        (has("blue") && has("green")) || services.is_some_and(|services| services.values().any(two))
    }

    /// The object as it belongs into Git: what only the API server knows is left out.
    pub fn manifest(&self) -> Value {
        manifest::for_git(&self.object)
    }

    /// `shop/wasmplugin/web`: as it can be typed as a target.
    pub fn typed(&self) -> String {
        format!("{}/{}/{}", self.namespace, self.kind.singular(), self.name)
    }

    /// Where it is in the API.
    pub(crate) fn api_path(&self) -> String {
        api_path(self.kind, &self.namespace, Some(&self.name))
    }
}

/// Where a plugin is in the API, or without a name the list of them.
pub(crate) fn api_path(kind: Kind, namespace: &str, name: Option<&str>) -> String {
    let list = format!(
        "/apis/{API_VERSION}/namespaces/{namespace}/{}",
        kind.plural()
    );
    match name {
        None => list,
        Some(name) => format!("{list}/{name}"),
    }
}

/// `WasmPlugin shop/web`.
impl fmt::Display for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plugin({self} at {})", self.resource_version)
    }
}

impl Reach {
    fn of(object: &Value) -> Self {
        let one = object.pointer("/spec/targetRef").map(std::slice::from_ref);
        let many = object
            .pointer("/spec/targetRefs")
            .and_then(Value::as_array)
            .filter(|targets| !targets.is_empty());
        if let Some(targets) = many.map(Vec::as_slice).or(one) {
            return Self::Targets(targets.iter().map(TargetRef::of).collect());
        }
        let labels = object
            .pointer("/spec/selector/matchLabels")
            .and_then(Value::as_object)
            .filter(|labels| !labels.is_empty());
        labels.map_or(Self::Namespace, |labels| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let labels = labels.iter().map(|(key, value)| (key.clone(), text(value)));
            Self::Selector(labels.collect())
        })
    }
}

impl TargetRef {
    fn of(target: &Value) -> Self {
        let text = |key: &str| {
            target
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            group: text("group"),
            kind: text("kind"),
            name: text("name"),
        }
    }
}

/// `labels istio=ingressgateway`, `Gateway shop`, `all of the namespace`.
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selector(labels) => {
                let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
                write!(f, "labels {}", labels.join(","))
            }
            Self::Targets(targets) => {
                let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
                f.write_str(&targets.join(", "))
            }
            Self::Namespace => f.write_str("all of the namespace"),
        }
    }
}

#[cfg(test)]
#[path = "plugin_tests.rs"]
mod tests;
