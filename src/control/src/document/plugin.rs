//! A plugin of Istio as a document.

use super::{Body, Document, Names};
use crate::TargetError;
use cutover_core::Switch;
use cutover_kube::{Plugin, SwitchChange};
use serde_json::{Map, Value};

impl Document {
    /// Takes a plugin apart, as the API server or a manifest has it.
    pub fn of_plugin(plugin: Plugin) -> Result<Self, TargetError> {
        if plugin.config.is_null() {
            return Err(TargetError::NoConfiguration(plugin.to_string()));
        }
        let names = plugin.names().into_iter();
        let version = Some(plugin.resource_version.clone());
        Ok(Self {
            names: names
                .map(|(filter, plugin)| Names { filter, plugin })
                .collect(),
            version: version.filter(|version| !version.is_empty()),
            configuration: readable(plugin.config.clone()).to_string(),
            body: Body::Plugin {
                plugin: Box::new(plugin),
                change: None,
            },
        })
    }

    /// The plugin that it was read from; none of a file.
    pub fn plugin(&self) -> Option<&Plugin> {
        match &self.body {
            Body::File { .. } => None,
            Body::Plugin { plugin, .. } => Some(plugin),
        }
    }

    /// The plugin and what shall become of its switch.
    pub fn change(&self) -> Option<(&Plugin, &SwitchChange)> {
        match &self.body {
            Body::Plugin {
                plugin,
                change: Some(change),
            } => Some((plugin, change)),
            _ => None,
        }
    }

    /// The plugin as it belongs into Git, with its new switch; none of a file.
    pub fn manifest(&self) -> Option<Value> {
        match &self.body {
            Body::File { .. } => None,
            Body::Plugin { plugin, change } => Some(match change {
                Some(change) => plugin.manifest_with(change),
                None => plugin.manifest(),
            }),
        }
    }

    /// What people call it where it is meant as one of two: `the file`, `WasmPlugin shop/web`.
    pub fn noun(&self) -> String {
        self.plugin()
            .map_or_else(|| "the file".to_owned(), ToString::to_string)
    }

    /// The plugin configuration as a value.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.configuration).unwrap_or_default()
    }
}

/// The configuration without what somebody left of a newer switch: a `previous` that is not older.
fn readable(mut config: Value) -> Value {
    fn mend(service: &mut Value) {
        let generation = |value: &Value| value.get("generation").and_then(Value::as_u64);
        let previous = service.get("previous").and_then(generation);
        if previous.is_some_and(|previous| generation(service).is_none_or(|now| previous >= now))
            && let Some(service) = service.as_object_mut()
        {
            service.remove("previous");
        }
    }
    mend(&mut config);
    if let Some(services) = config.get_mut("services").and_then(Value::as_object_mut) {
        services.values_mut().for_each(mend);
    }
    config
}

/// A switch as it is applied; without a service it is that of the short form.
///
/// Not with `previous`: whoever writes an older generation back, from Git, leaves the fields that are not
/// in Git as they are. A `previous` that is newer than its switch is refused by the filter, and a proxy
/// that starts then would have no configuration at all. The way back needs none: there are two colors.
pub(super) fn change(service: Option<&str>, switch: &Switch) -> SwitchChange {
    let mut fields = Map::new();
    fields.insert("active".to_owned(), switch.active.as_str().into());
    if let Some(generation) = switch.generation {
        fields.insert("generation".to_owned(), generation.get().into());
    }
    SwitchChange {
        service: service.map(str::to_owned),
        switch: fields,
    }
}

#[cfg(test)]
#[path = "plugin_tests.rs"]
mod tests;
