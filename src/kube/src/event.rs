//! Events, so that `kubectl describe` tells what was done to a plugin.

use crate::{Cluster, ClusterError, Plugin, name::API_VERSION};
use hyper::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The longest note that the API server takes.
const LONGEST_NOTE: usize = 1024;

/// Something to tell of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventNote {
    /// How it went.
    pub kind: EventKind,
    /// One word in upper camel case: `Flipped`.
    pub reason: String,
    /// A sentence.
    pub note: String,
}

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// As it should be.
    Normal,
    /// Not as it should be.
    Warning,
}

impl Cluster {
    /// Leaves an event on a plugin.
    pub async fn event(&self, plugin: &Plugin, note: &EventNote) -> Result<(), ClusterError> {
        let path = format!(
            "/apis/events.k8s.io/v1/namespaces/{}/events?fieldManager=cutover",
            plugin.namespace
        );
        let event = rendered(plugin, note, Timestamp::now());
        let _: Value = self
            .ask(Method::POST, &path, "application/json", &event)
            .await?;
        Ok(())
    }
}

fn rendered(plugin: &Plugin, note: &EventNote, now: Timestamp) -> Value {
    // Names are up to 253 long, and the time makes them differ.
    let name: String = plugin.name.chars().take(230).collect();
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": format!("{}.{:x}", name.trim_end_matches(['.', '-']), now.as_nanosecond()),
            "namespace": plugin.namespace,
        },
        "eventTime": format!("{now:.6}"),
        "type": match note.kind {
            EventKind::Normal => "Normal",
            EventKind::Warning => "Warning",
        },
        "reason": note.reason,
        "action": note.reason,
        "note": shortened(&note.note),
        "reportingController": "cutover",
        "reportingInstance": format!("cutover-{}", std::process::id()),
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": plugin.kind.as_str(),
            "namespace": plugin.namespace,
            "name": plugin.name,
            "uid": plugin.uid,
            "resourceVersion": plugin.resource_version,
        },
    })
}

fn shortened(note: &str) -> String {
    if note.len() <= LONGEST_NOTE {
        return note.to_owned();
    }
    let end = note.floor_char_boundary(LONGEST_NOTE - "…".len());
    format!("{}…", note.get(..end).unwrap_or_default())
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
