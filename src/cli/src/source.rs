//! A configuration that somebody hands over: an ECDS file, a manifest, or a plugin configuration alone.

use crate::{failure::Failure, manifest};
use cutover_control::{Document, FileTarget, Target, resource::PLUGIN};
use cutover_core::Plan;
use serde_json::{Value, json};
use std::{io::Read as _, path::Path};

/// A configuration that the filter would take.
pub(crate) struct Source {
    /// As people call it.
    pub(crate) name: String,
    /// The plugin that has it.
    pub(crate) plugin: String,
    pub(crate) form: Form,
    pub(crate) plan: Plan,
}

/// What a configuration lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// An ECDS file.
    Ecds,
    /// A `WasmPlugin` or `TrafficExtension`.
    Manifest,
    /// Nothing: it is a plugin configuration alone.
    Plugin,
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

/// The configuration of a target.
pub(crate) async fn of_target(target: &Target) -> Result<Source, Failure> {
    match target {
        Target::File(file) => parse(file.path().display().to_string(), &file.read_bytes()?),
        Target::Kube(_) => of_plugin(target.noun(), &target.read().await?),
    }
}

/// The configuration of a plugin, in a cluster or a manifest.
pub(crate) fn of_plugin(name: String, document: &Document) -> Result<Source, Failure> {
    let plugin = document.names().first().map(|names| names.plugin.clone());
    Ok(Source {
        plan: checked(&name, document.configuration())?,
        plugin: plugin.unwrap_or_default(),
        form: Form::Manifest,
        name,
    })
}

fn refused(name: &str, message: &str, details: Value) -> Failure {
    Failure::usage(format!("{name}: {message}"))
        .hint("put that right: the filter would refuse it, and keep what it has")
        .details(details)
}

fn checked(name: &str, configuration: &[u8]) -> Result<Plan, Failure> {
    Plan::parse(configuration).map_err(|invalid| {
        let details = json!({
            "path": invalid.path(), "value": invalid.value(), "problem": invalid.problem(),
        });
        refused(name, &invalid.to_string(), details)
    })
}

/// Reads it with the filter's own parser.
pub(crate) fn parse(name: String, bytes: &[u8]) -> Result<Source, Failure> {
    let json = serde_json::from_slice::<Value>(bytes).ok();
    let has = |key: &str| json.as_ref().is_some_and(|root| root.get(key).is_some());
    if has("resources") || has("version_info") {
        let document = Document::parse(bytes);
        let document =
            document.map_err(|invalid| refused(&name, &invalid.to_string(), json!({})))?;
        let source = of_plugin(name, &document)?;
        return Ok(Source {
            form: Form::Ecds,
            ..source
        });
    }
    if (json.is_none() || has("kind"))
        && let Some(found) = manifest::plugin(&name, bytes)?
    {
        return of_plugin(format!("{name}: {}", found.noun()), &found);
    }
    Ok(Source {
        plan: checked(&name, bytes)?,
        plugin: PLUGIN.to_owned(),
        form: Form::Plugin,
        name,
    })
}
