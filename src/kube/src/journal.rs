//! The journal of a plugin, in a `ConfigMap` beside it.

use crate::{Cluster, ClusterError, Plugin, call::Failed};
use hyper::Method;
use serde_json::{Value, json};

/// The most lines that are kept.
const MOST_LINES: usize = 200;
/// The most bytes that are kept: a `ConfigMap` takes a mebibyte.
const MOST_BYTES: usize = 256 * 1024;
/// How often it is written again because another one wrote in between.
const TRIES: usize = 10;
/// The key.
const KEY: &str = "journal";

/// A line that was not noted.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The API server does not take it, or does not answer.
    #[error("the journal {name} cannot be {action}: {source}")]
    Cluster {
        /// The `ConfigMap`, with its namespace.
        name: String,
        /// `read` or `written`.
        action: &'static str,
        /// Why.
        source: ClusterError,
    },
    /// Others write all the time.
    #[error("the journal {0} cannot be written: others change it all the time")]
    Busy(String),
    /// Too long, or more than one line.
    #[error("the journal takes lines of up to {MOST_BYTES} bytes, not this one of {0}")]
    NotALine(usize),
}

impl Cluster {
    /// The lines of the journal, the oldest first. None are there before the first is noted.
    pub async fn read_journal(&self, plugin: &Plugin) -> Result<Vec<String>, JournalError> {
        let map = self.journal_map(plugin).await;
        let map = map.map_err(|failed| failed_to("read", plugin, failed))?;
        let text = map.as_ref().map(text_of).unwrap_or_default();
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Notes one line behind the others. The oldest go when there are more than 200, or 256 KiB.
    pub async fn append_journal(&self, plugin: &Plugin, line: &str) -> Result<(), JournalError> {
        if line.contains('\n') || line.len() >= MOST_BYTES {
            return Err(JournalError::NotALine(line.len()));
        }
        for _ in 0..TRIES {
            let map = self.journal_map(plugin).await;
            let map = map.map_err(|failed| failed_to("read", plugin, failed))?;
            match self.write_journal(plugin, map.as_ref(), line).await {
                Ok(()) => return Ok(()),
                // Another one made or changed it since it was read, or deleted it.
                Err(failed) if matches!(failed.code(), 404 | 409) => {}
                Err(failed) => return Err(failed_to("written", plugin, failed)),
            }
        }
        Err(JournalError::Busy(shown(plugin)))
    }

    async fn journal_map(&self, plugin: &Plugin) -> Result<Option<Value>, Failed> {
        match self.get(&path(plugin, true)).await {
            Ok(map) => Ok(Some(map)),
            Err(failed) if failed.code() == 404 => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    async fn write_journal(
        &self,
        plugin: &Plugin,
        map: Option<&Value>,
        line: &str,
    ) -> Result<(), Failed> {
        let text = appended(map.map(text_of).unwrap_or_default(), line);
        let Some(map) = map else {
            let map = json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": name(plugin),
                    "namespace": plugin.namespace,
                    "labels": {"app.kubernetes.io/managed-by": "cutover"},
                },
                "data": {KEY: text},
            });
            let path = format!("{}?fieldManager=cutover", path(plugin, false));
            let _: Value = self
                .ask(Method::POST, &path, "application/json", &map)
                .await?;
            return Ok(());
        };
        // With the resource version it is a compare-and-set; what else is in the map stays.
        let change = json!({
            "metadata": {"resourceVersion": map.pointer("/metadata/resourceVersion")},
            "data": {KEY: text},
        });
        let path = format!("{}?fieldManager=cutover", path(plugin, true));
        let _: Value = self
            .ask(
                Method::PATCH,
                &path,
                "application/merge-patch+json",
                &change,
            )
            .await?;
        Ok(())
    }
}

/// `<name>.cutover-journal`; the longest names are cut, and told apart by their uid.
fn name(plugin: &Plugin) -> String {
    const SUFFIX: &str = ".cutover-journal";
    if plugin.name.len() + SUFFIX.len() <= 253 {
        return format!("{}{SUFFIX}", plugin.name);
    }
    let (name, uid) = (plugin.name.get(..200), plugin.uid.get(..8));
    let name = name.unwrap_or_default().trim_end_matches(['.', '-']);
    format!("{name}-{}{SUFFIX}", uid.unwrap_or_default())
}

fn path(plugin: &Plugin, with_name: bool) -> String {
    let list = format!("/api/v1/namespaces/{}/configmaps", plugin.namespace);
    if with_name {
        format!("{list}/{}", name(plugin))
    } else {
        list
    }
}

fn shown(plugin: &Plugin) -> String {
    format!("ConfigMap {}/{}", plugin.namespace, name(plugin))
}

fn failed_to(action: &'static str, plugin: &Plugin, failed: Failed) -> JournalError {
    JournalError::Cluster {
        name: shown(plugin),
        action,
        source: failed.error,
    }
}

fn text_of(map: &Value) -> &str {
    let text = map.pointer("/data").and_then(|data| data.get(KEY));
    text.and_then(Value::as_str).unwrap_or_default()
}

/// The newest lines that fit, and the new one.
fn appended(text: &str, line: &str) -> String {
    let mut kept = vec![line];
    let mut bytes = line.len() + 1;
    for old in text.lines().rev() {
        bytes += old.len() + 1;
        if kept.len() == MOST_LINES || bytes > MOST_BYTES {
            break;
        }
        kept.push(old);
    }
    kept.reverse();
    kept.join("\n") + "\n"
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
