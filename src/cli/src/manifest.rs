//! A manifest as it lies in Git: YAML, of one document or several.

use crate::failure::Failure;
use cutover_control::{Document, Plugin};
use serde::Deserialize as _;
use serde_json::Value;

/// The plugin in a manifest, the first that has a configuration of Cutover; none where it is no
/// manifest at all.
pub(crate) fn plugin(name: &str, bytes: &[u8]) -> Result<Option<Document>, Failure> {
    let Ok(text) = str::from_utf8(bytes) else {
        return Ok(None);
    };
    let mut objects = vec![];
    for document in yaml_serde::Deserializer::from_str(text) {
        match Value::deserialize(document) {
            Ok(value) => objects.push(value),
            Err(error) if text.contains("apiVersion:") => {
                let message = format!("{name}: it is not valid YAML: {error}");
                return Err(Failure::usage(message).hint("put that right first"));
            }
            // JSON that is broken is told by whoever reads JSON.
            Err(_) => return Ok(None),
        }
    }
    let is_object =
        |value: &Value| value.get("kind").is_some() && value.get("apiVersion").is_some();
    if !objects.iter().any(is_object) {
        return Ok(None);
    }
    let mut wrong = None;
    let mut plugins = vec![];
    for object in objects.into_iter().filter(is_object) {
        match Plugin::from_object(object) {
            Ok(plugin) => plugins.push(plugin),
            Err(invalid) => wrong = Some(invalid),
        }
    }
    let ours = plugins.iter().position(Plugin::is_ours).unwrap_or_default();
    if plugins.is_empty() {
        let wrong = wrong.map_or_else(|| "it has no object".to_owned(), |wrong| wrong.to_string());
        return Err(Failure::usage(format!("{name}: {wrong}"))
            .hint("name a manifest of a WasmPlugin or TrafficExtension"));
    }
    let document = Document::of_plugin(plugins.swap_remove(ours)).map_err(|error| {
        Failure::usage(format!("{name}: {error}"))
            .hint("put the configuration into its `pluginConfig`")
    })?;
    Ok(Some(document))
}
