//! A configuration that somebody hands over: an ECDS file, or a plugin configuration alone.

use crate::failure::Failure;
use cutover_control::{Document, FileTarget, resource::PLUGIN};
use cutover_core::Plan;
use serde_json::{Value, json};
use std::{io::Read as _, path::Path};

/// A configuration that the filter would take.
pub(crate) struct Source {
    /// As people call it.
    pub(crate) name: String,
    /// The plugin that has it.
    pub(crate) plugin: String,
    pub(crate) is_ecds: bool,
    pub(crate) plan: Plan,
}

/// The bytes of a file, or of standard input where it is `-`, and how to call it.
pub(crate) fn bytes(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    if path.as_os_str() != "-" {
        let bytes = FileTarget::new(path).read_bytes().map_err(|error| {
            Failure::usage(error.to_string()).hint("name an ECDS file or a plugin configuration")
        })?;
        return Ok((path.display().to_string(), bytes));
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| {
        Failure::environment(format!("standard input cannot be read: {error}"))
            .hint("name a file instead of `-`")
    })?;
    Ok(("standard input".to_owned(), bytes))
}

/// Reads it with the filter's own parser.
pub(crate) fn parse(name: String, bytes: Vec<u8>) -> Result<Source, Failure> {
    let refused = |message: String, details: Value| {
        Failure::usage(format!("{name}: {message}"))
            .hint("put that right: the filter would refuse it, and keep what it has")
            .details(details)
    };
    let is_ecds = serde_json::from_slice::<Value>(&bytes)
        .is_ok_and(|root| root.get("resources").is_some() || root.get("version_info").is_some());
    let (configuration, plugin) = if is_ecds {
        let document =
            Document::parse(&bytes).map_err(|invalid| refused(invalid.to_string(), json!({})))?;
        let plugin = document.names().first().map(|names| names.plugin.clone());
        (
            document.configuration().to_vec(),
            plugin.unwrap_or_default(),
        )
    } else {
        (bytes, PLUGIN.to_owned())
    };
    let plan = Plan::parse(&configuration).map_err(|invalid| {
        let details = json!({
            "path": invalid.path(), "value": invalid.value(), "problem": invalid.problem(),
        });
        refused(invalid.to_string(), details)
    })?;
    Ok(Source {
        name,
        plugin,
        is_ecds,
        plan,
    })
}
