//! What an Envoy runs beside what the file says: everything but the switch has to be the same, or a
//! flip would change more than it was asked to.

use crate::{Document, Stats};
use serde_json::{Map, Value};

/// The keys of a service that a flip may change.
const SWITCH: [&str; 5] = ["active", "generation", "activate_at", "hold", "previous"];

/// The service of a configuration in the short form.
const DEFAULT_SERVICE: &str = "default";

/// What Envoy hides in a dump.
const REDACTED: &str = "[redacted]";

/// The filter's configuration that an Envoy was given last, as it dumps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// The `version_info` of its file.
    pub version: Option<String>,
    /// The resource: a `TypedExtensionConfig`.
    pub resource: Value,
}

impl Running {
    /// False when Envoy refused this configuration and runs an older one that it does not show:
    /// its dump holds what it was given last, not what it took (Envoy 1.40).
    ///
    /// Of a file both have a version. istiod's resources have none; there a switch that is newer than
    /// the one that shows was refused, or is not taken yet.
    pub fn was_accepted(&self, document: &Document, stats: &Stats) -> bool {
        if document.plugin().is_none() {
            return self.version == stats.version;
        }
        let shown = |service: &str| stats.services.get(service)?.generation;
        let mut given = self.generations().into_iter();
        given.all(|(service, given)| shown(&service).is_none_or(|shown| shown >= given))
    }

    /// The generations that it was given, by service.
    fn generations(&self) -> Vec<(String, u64)> {
        let Some(plugin) = taken_apart(self.resource.clone()).0 else {
            return vec![];
        };
        let of = |service: &Value| service.get("generation")?.as_u64();
        match plugin.get("services").and_then(Value::as_object) {
            None => of(&plugin)
                .map(|generation| (DEFAULT_SERVICE.to_owned(), generation))
                .into_iter()
                .collect(),
            Some(services) => services
                .iter()
                .filter_map(|(name, service)| Some((name.clone(), of(service)?)))
                .collect(),
        }
    }

    /// What it was given last and what it shows, where it did not take it: the first service that tells.
    pub(crate) fn not_taken(&self, stats: &Stats) -> (Option<String>, Option<String>) {
        let older = self.generations().into_iter().find_map(|(service, given)| {
            let shown = stats.services.get(&service)?.generation?;
            (shown < given).then_some((given, shown))
        });
        match older {
            None => (self.version.clone(), stats.version.clone()),
            Some((given, shown)) => (
                Some(format!("generation {given}")),
                Some(format!("generation {shown}")),
            ),
        }
    }
}

/// The paths outside the switches where file and Envoy differ: those of the plugin configuration
/// begin with `configuration.`, the others lie in the Wasm filter's `config`, or in the resource.
///
/// Of a plugin only its configuration is compared: the resource is made by istiod, and the agent has
/// rewritten where its module lies.
pub fn drift(file: &Document, running: &Value) -> Vec<String> {
    let mut paths = vec![];
    let (running_plugin, running) = taken_apart(running.clone());
    let file_plugin = match file.resource() {
        None => Some(file.value()),
        Some(resource) => {
            let (plugin, resource) = taken_apart(resource);
            compare("", Some(&resource), Some(&running), &mut paths);
            plugin
        }
    };
    match (file_plugin, running_plugin) {
        (Some(file), Some(running)) => compare(
            "configuration",
            Some(&without_switches(file)),
            Some(&without_switches(running)),
            &mut paths,
        ),
        (file, running) if file != running => paths.push("configuration".to_owned()),
        _ => {}
    }
    paths.iter().map(|path| shortened(path)).collect()
}

/// The services whose switch in the file is not the one that the Envoy was given: pushing the file
/// would switch them, too.
pub fn other_switches(file: &Document, running: &Value, but: &str) -> Vec<String> {
    let (Value::Object(file), Some(Value::Object(running))) =
        (file.value(), taken_apart(running.clone()).0)
    else {
        return vec![];
    };
    let (Some(Value::Object(file)), Some(Value::Object(running))) =
        (file.get("services"), running.get("services"))
    else {
        return vec![];
    };
    let differs = |(name, service): &(&String, &Value)| {
        let there = running.get(*name);
        *name != but
            && there
                .is_some_and(|there| SWITCH.iter().any(|key| service.get(key) != there.get(key)))
    };
    file.iter()
        .filter(differs)
        .map(|(name, _)| name.clone())
        .collect()
}

/// The plugin configuration, and the resource without it; all keys in snake case.
fn taken_apart(resource: Value) -> (Option<Value>, Value) {
    let mut resource = in_snake_case(resource);
    let configuration = resource
        .pointer_mut("/typed_config/config/configuration/value")
        .map(Value::take);
    let plugin = configuration.map(|configuration| match &configuration {
        Value::String(text) => serde_json::from_str(text).unwrap_or(configuration),
        _ => configuration,
    });
    (plugin, resource)
}

pub(crate) fn without_switches(mut plugin: Value) -> Value {
    let remove = |service: &mut Map<String, Value>| {
        for key in SWITCH {
            service.remove(key);
        }
    };
    let Some(top) = plugin.as_object_mut() else {
        return plugin;
    };
    remove(top);
    if let Some(Value::Object(services)) = top.get_mut("services") {
        services
            .values_mut()
            .filter_map(Value::as_object_mut)
            .for_each(remove);
    }
    plugin
}

/// Protobuf reads `vmConfig` and `vm_config` alike, and dumps the latter. The plugin configuration
/// is one string here, and keeps its keys.
fn in_snake_case(value: Value) -> Value {
    let snake = |key: String| {
        if key.starts_with('@') {
            return key;
        }
        let mut snake = String::with_capacity(key.len() + 2);
        for c in key.chars() {
            if c.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(c.to_ascii_lowercase());
        }
        snake
    };
    match value {
        Value::Object(members) => members
            .into_iter()
            // The keys of this map are names, not fields.
            .map(|(key, value)| match key.as_str() {
                "key_values" | "keyValues" => ("key_values".to_owned(), value),
                _ => (snake(key), in_snake_case(value)),
            })
            .collect(),
        Value::Array(list) => list.into_iter().map(in_snake_case).collect(),
        other => other,
    }
}

/// The paths below `top` at which two values differ.
pub(crate) fn differences(top: &str, one: &Value, other: &Value) -> Vec<String> {
    let mut paths = vec![];
    compare(top, Some(one), Some(other), &mut paths);
    paths
}

fn compare(path: &str, file: Option<&Value>, running: Option<&Value>, paths: &mut Vec<String>) {
    match (file, running) {
        (Some(Value::Object(file)), Some(Value::Object(running))) => {
            let only_there = running.keys().filter(|key| !file.contains_key(*key));
            for key in file.keys().chain(only_there) {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{key}");
                compare(&path, file.get(key), running.get(key), paths);
            }
        }
        (Some(Value::Array(file)), Some(Value::Array(running))) if file.len() == running.len() => {
            for (index, (file, running)) in file.iter().zip(running).enumerate() {
                compare(
                    &format!("{path}[{index}]"),
                    Some(file),
                    Some(running),
                    paths,
                );
            }
        }
        (file, running) if !alike(file, running) => paths.push(path.to_owned()),
        _ => {}
    }
}

/// Whether two values mean the same: a field that has its default is not dumped, and numbers of 64
/// bits, durations and enums have several forms in the JSON of protobuf.
fn alike(file: Option<&Value>, running: Option<&Value>) -> bool {
    let (file, running) = match (file, running) {
        (Some(file), Some(running)) => (file, running),
        (Some(one), None) | (None, Some(one)) => return is_default(one),
        (None, None) => return true,
    };
    if file == running || (is_default(file) && is_default(running)) || running == REDACTED {
        return true;
    }
    match (file, running) {
        (Value::String(text), Value::Number(number))
        | (Value::Number(number), Value::String(text)) => {
            // An enum may be written by its number: which one that is cannot be told from here.
            *text == number.to_string() || is_enum(text)
        }
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::String(a), Value::String(b)) => {
            let seconds = |text: &str| text.strip_suffix('s')?.parse::<f64>().ok();
            seconds(a).is_some_and(|a| seconds(b) == Some(a))
        }
        _ => false,
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.values().all(is_default),
    }
}

fn is_enum(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

fn shortened(path: &str) -> String {
    path.strip_prefix("typed_config.config.")
        .unwrap_or(path)
        .to_owned()
}

#[cfg(test)]
#[path = "drift_tests.rs"]
mod tests;
