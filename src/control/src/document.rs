//! The ECDS file as a document: what a flip may change in it, and nothing else.

use cutover_core::{InvalidConfig, Plan, Service, Switch};
use serde_json::{Map, Value};

const RESPONSE: &str = "a DiscoveryResponse: an object with `resources`";
const EXTENSION: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const STRUCT: &str = "type.googleapis.com/google.protobuf.Struct";
const STRING: &str = "type.googleapis.com/google.protobuf.StringValue";
/// Where the plugin configuration lies in the file, as a JSON pointer (RFC 6901).
const CONFIGURATION: &str = "/resources/0/typed_config/config/configuration/value";

/// An ECDS file with exactly one Wasm filter, taken apart.
///
/// The order of its keys is kept. Its layout is not: it is written with two spaces of indentation.
#[derive(Clone, Debug)]
pub struct Document {
    root: Value,
    configuration: Map<String, Value>,
    form: Form,
    names: Names,
}

/// The names that Envoy's stats know the filter by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Names {
    /// Of the resource: `extension_config_discovery.http_filter.NAME`.
    pub filter: String,
    /// Of the plugin: `wasmcustom.cutover.plugin.NAME`.
    pub plugin: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Struct,
    Text,
}

/// A file that is no ECDS file with one Wasm filter.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDocument {
    /// Not JSON at all, or only a part of it.
    #[error("it is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
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
        let root: Value = serde_json::from_slice(bytes)?;
        let resources = root.get("resources").and_then(Value::as_array);
        let [resource] = resources
            .ok_or_else(|| shape("resources", resources_of(&root), RESPONSE))?
            .as_slice()
        else {
            let found = resources.map_or(0, Vec::len);
            return Err(shape(
                "resources",
                format!("{found} resources"),
                "exactly one resource",
            ));
        };
        typed(resource, "resources[0].@type", EXTENSION)?;
        let filter = text(resource, "name", "resources[0].name")?;
        let wasm = object(resource, "typed_config", "resources[0].typed_config")?;
        typed(wasm, "resources[0].typed_config.@type", WASM)?;
        let config = object(wasm, "config", "resources[0].typed_config.config")?;
        let plugin = text(config, "name", "resources[0].typed_config.config.name")?;
        let path = "resources[0].typed_config.config.configuration";
        let any = object(config, "configuration", path)?;
        let value = any.get("value").unwrap_or(&Value::Null);
        let path = "resources[0].typed_config.config.configuration.value";
        let (form, configuration) = match (any.get("@type").and_then(Value::as_str), value) {
            (Some(STRUCT), Value::Object(map)) => (Form::Struct, map.clone()),
            (Some(STRING), Value::String(text)) => (Form::Text, serde_json::from_str(text)?),
            (Some(STRUCT), other) => return Err(shape(path, kind(other), "an object")),
            (Some(STRING), other) => return Err(shape(path, kind(other), "a string of JSON")),
            (other, _) => {
                let path = "resources[0].typed_config.config.configuration.@type";
                let found = other.map_or("missing".to_owned(), |found| format!("`{found}`"));
                return Err(shape(path, found, "google.protobuf.Struct or StringValue"));
            }
        };
        Ok(Self {
            names: Names { filter, plugin },
            configuration,
            form,
            root,
        })
    }

    /// The names that Envoy's stats know the filter by.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The file's `version_info`: the generation, as the tool writes it.
    pub fn version_info(&self) -> Option<&str> {
        self.root.get("version_info").and_then(Value::as_str)
    }

    /// The plugin configuration as the filter gets it.
    pub fn configuration(&self) -> Vec<u8> {
        Value::Object(self.configuration.clone())
            .to_string()
            .into_bytes()
    }

    /// The plugin configuration, checked by the filter's own parser.
    pub fn plan(&self) -> Result<Plan, InvalidConfig> {
        Plan::parse(&self.configuration())
    }

    /// The file with another switch of `service`: its keys `active`, `generation` and `previous`,
    /// and the file's `version_info`, change; nothing else does.
    #[must_use]
    pub fn with_switch(&self, service: &str, switch: &Switch) -> Self {
        let mut changed = self.clone();
        let place = match changed.configuration.get_mut("services") {
            Some(services) => services.get_mut(service).and_then(Value::as_object_mut),
            None => Some(&mut changed.configuration),
        };
        if let Some(place) = place {
            set_switch(place, switch);
        }
        let value = Value::Object(changed.configuration.clone());
        if let Some(slot) = changed.root.pointer_mut(CONFIGURATION) {
            *slot = if changed.form == Form::Text {
                value.to_string().into()
            } else {
                value
            };
        }
        let version = switch
            .generation
            .map_or_else(|| "0".to_owned(), |g| g.to_string());
        if let Some(root) = changed.root.as_object_mut() {
            root.insert("version_info".to_owned(), version.into());
        }
        changed
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        format!("{:#}\n", self.root).into_bytes()
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

fn set_switch(place: &mut Map<String, Value>, switch: &Switch) {
    place.insert("active".to_owned(), switch.active.as_str().into());
    let at = place
        .keys()
        .position(|key| key == "active")
        .map_or(0, |index| index + 1);
    match switch.generation {
        Some(generation) => put(place, at, "generation", generation.get().into()),
        None => drop(place.shift_remove("generation")),
    }
    let at = place
        .keys()
        .position(|key| key == "generation")
        .map_or(at, |index| index + 1);
    match switch.previous {
        Some(previous) => {
            let (generation, active) = (previous.generation.get(), previous.active.as_str());
            let value = serde_json::json!({ "generation": generation, "active": active });
            put(place, at, "previous", value);
        }
        None => drop(place.shift_remove("previous")),
    }
}

/// Sets a key where it stands, or inserts it at `at`.
fn put(place: &mut Map<String, Value>, at: usize, key: &str, value: Value) {
    match place.get_mut(key) {
        Some(slot) => *slot = value,
        None => drop(place.shift_insert(at.min(place.len()), key.to_owned(), value)),
    }
}

fn shape(path: &'static str, found: impl Into<String>, allowed: &'static str) -> InvalidDocument {
    InvalidDocument::Shape {
        path,
        found: found.into(),
        allowed,
    }
}

fn resources_of(root: &Value) -> &'static str {
    root.get("resources").map_or("missing", kind)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "missing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn object<'v>(
    parent: &'v Value,
    key: &str,
    path: &'static str,
) -> Result<&'v Value, InvalidDocument> {
    match parent.get(key) {
        Some(value @ Value::Object(_)) => Ok(value),
        other => Err(shape(path, other.map_or("missing", kind), "an object")),
    }
}

fn text(parent: &Value, key: &str, path: &'static str) -> Result<String, InvalidDocument> {
    match parent.get(key) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(Value::String(_)) => Err(shape(path, "empty", "a name")),
        other => Err(shape(path, other.map_or("missing", kind), "a string")),
    }
}

fn typed(value: &Value, path: &'static str, allowed: &'static str) -> Result<(), InvalidDocument> {
    match value.get("@type").and_then(Value::as_str) {
        Some(found) if found == allowed => Ok(()),
        Some(found) => Err(shape(path, format!("`{found}`"), allowed)),
        None => Err(shape(path, "missing", allowed)),
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
