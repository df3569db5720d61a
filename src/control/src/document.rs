//! A configuration as a document, be it an ECDS file or a plugin: what a flip may change in it, and nothing else.

mod plugin;

use crate::splice::{Object, set_members, span, splice};
use cutover_core::{InvalidConfig, Plan, Service, Switch};
use cutover_kube::{Plugin, SwitchChange};
use serde_json::value::RawValue;
use std::ops::Range;

const EXTENSION: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const STRING: &str = "type.googleapis.com/google.protobuf.StringValue";

/// An ECDS file with exactly one Wasm filter, or a plugin of Istio, taken apart.
///
/// A file is changed as text: what a flip does not mean keeps its order, its layout, its every byte. Of
/// a plugin only the switch is sent.
#[derive(Clone, Debug)]
pub struct Document {
    names: Vec<Names>,
    version: Option<String>,
    /// The plugin configuration, as JSON text.
    configuration: String,
    body: Body,
}

/// What the plugin configuration lies in.
#[derive(Clone, Debug)]
enum Body {
    File {
        text: String,
        /// Where the configuration lies in it.
        place: Range<usize>,
    },
    Plugin {
        plugin: Box<Plugin>,
        /// What its switches shall become.
        changes: Vec<SwitchChange>,
    },
}

/// The names that Envoy's stats know the filter by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Names {
    /// Of the resource: `extension_config_discovery.http_filter.NAME`.
    pub filter: String,
    /// Of the plugin: `wasmcustom.cutover.plugin.NAME`.
    pub plugin: String,
}

/// A file that is no ECDS file with one Wasm filter.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDocument {
    /// Not JSON at all, or only a part of it.
    #[error("it is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Not even text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// JSON, but something else.
    #[error("`{path}` is {found}; it must be {allowed}")]
    Shape {
        /// The place, as a dotted path.
        path: &'static str,
        /// What is there.
        found: String,
        /// What must be there.
        allowed: &'static str,
    },
}

/// Which service is meant cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownService {
    /// No service of that name.
    #[error("there is no service `{name}`; the configuration has {}", listed(.known))]
    Named {
        /// The name that was asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Several services, and none was named.
    #[error("the configuration has several services, {}: name one", listed(.known))]
    Several {
        /// Those that there are.
        known: Vec<String>,
    },
}

fn listed(names: &[String]) -> String {
    let shown: Vec<_> = names
        .iter()
        .take(8)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = names.len().saturating_sub(shown.len());
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    shown.join(", ") + &more
}

impl Document {
    /// Takes a file apart.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidDocument> {
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| InvalidDocument::NotText)?;
        // The whole first, so that half a file is told as such.
        let whole: &RawValue = serde_json::from_str(&text)?;
        let root = members(Some(whole.get()), "the file")?;
        let resources = root.get("resources");
        let list: Vec<&RawValue> = match resources.map(serde_json::from_str) {
            Some(Ok(list)) => list,
            _ => {
                return Err(shape(
                    "resources",
                    kind(resources),
                    "a list of one resource",
                ));
            }
        };
        let [resource] = list.as_slice() else {
            let found = format!("a list of {}", list.len());
            return Err(shape("resources", found, "a list of one resource"));
        };
        let resource = members(Some(resource.get()), "resources[0]")?;
        typed(&resource, "resources[0].@type", EXTENSION)?;
        let filter = name(&resource, "resources[0].name")?;
        let wasm = members(resource.get("typed_config"), "resources[0].typed_config")?;
        typed(&wasm, "resources[0].typed_config.@type", WASM)?;
        let config = members(wasm.get("config"), "resources[0].typed_config.config")?;
        let plugin = name(&config, "resources[0].typed_config.config.name")?;
        let path = "resources[0].typed_config.config.configuration";
        let any = members(config.get("configuration"), path)?;
        // A Struct reaches the module as protobuf, not as JSON (Envoy 1.40), and is refused there.
        typed(
            &any,
            "resources[0].typed_config.config.configuration.@type",
            STRING,
        )?;
        let path = "resources[0].typed_config.config.configuration.value";
        let (value, configuration) = match (any.get("value"), string(any.get("value"))) {
            (Some(value), Some(json)) => (value, json),
            (other, _) => return Err(shape(path, kind(other), "a string that holds JSON")),
        };
        Ok(Self {
            names: vec![Names { filter, plugin }],
            version: string(root.get("version_info")),
            configuration,
            body: Body::File {
                place: span(&text, value),
                text,
            },
        })
    }

    /// The names that Envoy's stats may know the filter by.
    pub fn names(&self) -> &[Names] {
        &self.names
    }

    /// The file's `version_info`: the generation, as the tool writes it. The resource version of a plugin.
    pub fn version_info(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The plugin configuration as the filter gets it.
    pub fn configuration(&self) -> &[u8] {
        self.configuration.as_bytes()
    }

    /// The plugin configuration, checked by the filter's own parser.
    pub fn plan(&self) -> Result<Plan, InvalidConfig> {
        Plan::parse(self.configuration())
    }

    /// The same with another switch of `service`: its keys `active`, `generation`, `activate_at`, `hold`
    /// and `previous`, and a file's `version_info`, change; nothing else does. A configuration that has no such
    /// service, and so no [`plan`](Self::plan) with it, stays as it is.
    #[must_use]
    pub fn with_switch(&self, service: &str, switch: &Switch) -> Self {
        self.changed(service, switch)
            .unwrap_or_else(|| self.clone())
    }

    fn changed(&self, service: &str, switch: &Switch) -> Option<Self> {
        let top = Object::parse(&self.configuration).ok()?;
        let (place, named) = match top.get("services") {
            Some(services) => (Object::parse(services).ok()?.get(service)?, true),
            None => (self.configuration.as_str(), false),
        };
        let generation = switch.generation.map(|generation| generation.to_string());
        let previous = switch.previous.map(|previous| {
            let (generation, active) = (previous.generation, previous.active);
            format!("{{\"generation\":{generation},\"active\":\"{active}\"}}")
        });
        let (at, hold) = match switch.activation {
            Some(due) => (Some(due.at().to_string()), Some(due.hold().to_string())),
            None => (None, None),
        };
        let is_kept = self.plugin().is_none() || at.is_some();
        let changes = [
            ("active", Some(format!("\"{}\"", switch.active))),
            ("generation", generation.clone()),
            ("activate_at", at),
            ("hold", hold),
            ("previous", previous.filter(|_| is_kept)),
        ];
        let switched = set_members(place, &changes).ok()?;
        let place = span(&self.configuration, place);
        let configuration = splice(&self.configuration, vec![(place, switched)]);
        match &self.body {
            Body::File { text, place } => {
                let embedded = serde_json::Value::from(configuration).to_string();
                let text = splice(text, vec![(place.clone(), embedded)]);
                let version = format!("\"{}\"", generation.unwrap_or_else(|| "0".to_owned()));
                let text = set_members(&text, &[("version_info", Some(version))]).ok()?;
                Self::parse(text.as_bytes()).ok()
            }
            Body::Plugin { plugin, changes } => {
                let service = named.then_some(service);
                let others = changes
                    .iter()
                    .filter(|change| change.service.as_deref() != service);
                let mut changes: Vec<_> = others.cloned().collect();
                changes.push(plugin::change(service, switch));
                let plugin = plugin.clone();
                Some(Self {
                    configuration,
                    body: Body::Plugin { plugin, changes },
                    ..self.clone()
                })
            }
        }
    }

    /// The resource in the file, a `TypedExtensionConfig`, as Envoy dumps it; none of a plugin, of which
    /// istiod makes the resource.
    pub(crate) fn resource(&self) -> Option<serde_json::Value> {
        let Body::File { text, .. } = &self.body else {
            return None;
        };
        let mut file: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let resource = file.pointer_mut("/resources/0");
        resource.map(serde_json::Value::take)
    }

    /// The module's file, as Envoy finds it; none when the module comes from elsewhere.
    pub(crate) fn module(&self) -> Option<std::path::PathBuf> {
        let resource = self.resource()?;
        let config = resource.pointer("/typed_config/config")?;
        let vm = config.get("vm_config").or_else(|| config.get("vmConfig"))?;
        Some(vm.pointer("/code/local/filename")?.as_str()?.into())
    }

    /// The file's bytes; of a plugin its configuration alone.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.body {
            Body::File { text, .. } => text.clone().into_bytes(),
            Body::Plugin { .. } => self.configuration.clone().into_bytes(),
        }
    }
}

/// The service of that name; without a name, the only one.
pub fn service_of<'p>(plan: &'p Plan, name: Option<&str>) -> Result<&'p Service, UnknownService> {
    let known = || {
        plan.services()
            .iter()
            .map(|service| service.name().to_owned())
            .collect()
    };
    match (name, plan.services()) {
        (Some(name), _) => plan.service(name).ok_or_else(|| UnknownService::Named {
            name: name.to_owned(),
            known: known(),
        }),
        (None, [only]) => Ok(only),
        (None, _) => Err(UnknownService::Several { known: known() }),
    }
}

fn shape(path: &'static str, found: impl Into<String>, allowed: &'static str) -> InvalidDocument {
    InvalidDocument::Shape {
        path,
        found: found.into(),
        allowed,
    }
}

fn kind(text: Option<&str>) -> &'static str {
    match text.and_then(|text| text.bytes().next()) {
        None => "missing",
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        Some(b'"') => "a string",
        Some(b'[') => "a list",
        Some(b'{') => "an object",
        Some(_) => "a number",
    }
}

fn string(text: Option<&str>) -> Option<String> {
    serde_json::from_str(text?).ok()
}

fn members<'t>(text: Option<&'t str>, path: &'static str) -> Result<Object<'t>, InvalidDocument> {
    match text {
        Some(object) if object.starts_with('{') => Ok(Object::parse(object)?),
        other => Err(shape(path, kind(other), "an object")),
    }
}

fn name(object: &Object<'_>, path: &'static str) -> Result<String, InvalidDocument> {
    match string(object.get("name")) {
        Some(name) if !name.is_empty() => Ok(name),
        Some(_) => Err(shape(path, "empty", "a name")),
        None => Err(shape(path, kind(object.get("name")), "a name")),
    }
}

fn typed(
    object: &Object<'_>,
    path: &'static str,
    allowed: &'static str,
) -> Result<(), InvalidDocument> {
    match string(object.get("@type")) {
        Some(found) if found == allowed => Ok(()),
        Some(found) => Err(shape(path, format!("`{found}`"), allowed)),
        None => Err(shape(path, kind(object.get("@type")), allowed)),
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
