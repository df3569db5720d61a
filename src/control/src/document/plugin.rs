//! A plugin of Istio as a document.

use super::{Body, Document, Names};
use crate::TargetError;
use cutover_core::Switch;
use cutover_kube::{Plugin, SwitchChange};
use serde_json::{Map, Value, json};

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
            configuration: plugin.config.to_string(),
            body: Body::Plugin {
                plugin: Box::new(plugin),
                changes: vec![],
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

    /// The plugin and what shall become of its switches; none where nothing shall.
    pub fn changes(&self) -> Option<(&Plugin, &[SwitchChange])> {
        match &self.body {
            Body::Plugin { plugin, changes } if !changes.is_empty() => Some((plugin, changes)),
            _ => None,
        }
    }

    /// The plugin as it belongs into Git, with its new switch; none of a file.
    pub fn manifest(&self) -> Option<Value> {
        match &self.body {
            Body::File { .. } => None,
            Body::Plugin { plugin, changes } => Some(plugin.manifest_with(changes)),
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

/// A switch as it is applied; without a service it is that of the short form.
///
/// With `previous` only where it has an instant, until which that rules. Whoever writes an older generation
/// back, from Git, leaves the fields that are not in Git as they are, and the filter passes over a
/// `previous` that is newer than its switch. The way back needs none: there are two colors.
pub(super) fn change(service: Option<&str>, switch: &Switch) -> SwitchChange {
    let mut fields = Map::new();
    fields.insert("active".to_owned(), switch.active.as_str().into());
    if let Some(generation) = switch.generation {
        fields.insert("generation".to_owned(), generation.get().into());
    }
    if let (Some(due), Some(previous)) = (switch.activation, switch.previous) {
        fields.insert("activate_at".to_owned(), due.at().into());
        fields.insert("hold".to_owned(), due.hold().into());
        let (generation, active) = (previous.generation.get(), previous.active);
        let previous = json!({ "generation": generation, "active": active });
        fields.insert("previous".to_owned(), previous);
    }
    SwitchChange {
        service: service.map(str::to_owned),
        switch: fields,
    }
}

#[cfg(test)]
#[path = "plugin_tests.rs"]
mod tests;
