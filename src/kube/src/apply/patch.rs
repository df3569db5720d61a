//! What is sent to the API server.

use super::{SWITCH_FIELDS, SwitchChange};
use crate::{Plugin, name::API_VERSION};
use serde_json::{Map, Value, json};

/// All that `cutover` owns as it is, and the new switches.
///
/// With the uid an object is never made that is not there (server-side apply makes it otherwise) and none is
/// changed that took its name; with the resource version none that was changed since.
pub(super) fn of(plugin: &Plugin, changes: &[SwitchChange]) -> Value {
    let ours = plugin.managers.iter().find(|manager| manager.is_ours());
    let owned = ours.map(|ours| ours.fields.taken_from(&plugin.object));
    let mut patch = owned.filter(Value::is_object).unwrap_or_else(|| json!({}));
    for change in changes {
        put(&mut patch, plugin, change);
    }
    if let Some(object) = patch.as_object_mut() {
        object.insert("apiVersion".to_owned(), API_VERSION.into());
        object.insert("kind".to_owned(), plugin.kind.as_str().into());
        let metadata = inner(object, "metadata");
        for (key, value) in [
            ("name", &plugin.name),
            ("namespace", &plugin.namespace),
            ("uid", &plugin.uid),
            ("resourceVersion", &plugin.resource_version),
        ] {
            metadata.insert(key.to_owned(), value.as_str().into());
        }
    }
    patch
}

/// Puts the new switch in the place of the old one.
pub(super) fn put(object: &mut Value, plugin: &Plugin, change: &SwitchChange) {
    if !object.is_object() {
        *object = json!({});
    }
    let Some(mut here) = object.as_object_mut() else {
        return;
    };
    for name in plugin.switch_path(change.service.as_deref()).names() {
        here = inner(here, name);
    }
    here.retain(|name, _| !SWITCH_FIELDS.contains(&name.as_str()));
    here.extend(change.switch.clone());
}

/// The object under a name, made where there is none.
fn inner<'o>(object: &'o mut Map<String, Value>, name: &str) -> &'o mut Map<String, Value> {
    let value = object.entry(name).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(inner) => inner,
        _ => unreachable!("it was made an object"),
    }
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
