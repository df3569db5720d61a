//! `k8s:NAMESPACE/NAME`: a configuration that lives in a plugin of Istio.

use crate::{Document, Entry, Fleet, JournalError, Kind, TargetError, clock::InWords};
use cutover_kube::{Access, Apply, Cluster, EventKind, EventNote, FindError, ObjectName, Plugin};
use std::fmt;

/// A `WasmPlugin` or `TrafficExtension` in a cluster.
#[derive(Clone)]
pub struct KubeTarget {
    cluster: Cluster,
    /// As it was found: of which kind it is, and which of that name.
    plugin: Plugin,
}

impl KubeTarget {
    /// Finds out which API server is meant, and the plugin of that name in it.
    pub async fn open(access: &Access, name: &ObjectName) -> Result<Self, TargetError> {
        let cluster = Cluster::connect(access).await?;
        let plugin = cluster.find(name).await?;
        Ok(Self { cluster, plugin })
    }

    /// The plugin as it was when it was found.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// The API server.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Reads the plugin as it is now.
    pub(crate) async fn read(&self) -> Result<Document, TargetError> {
        let now = self.cluster.read(&self.plugin).await;
        let now = now.map_err(FindError::from)?;
        let now = now.ok_or_else(|| TargetError::Gone(self.plugin.to_string()))?;
        Document::of_plugin(now)
    }

    /// The pods that the plugin reaches, which come and go.
    pub async fn pods(&self) -> Result<Fleet, TargetError> {
        let pods = self.cluster.proxies(&self.plugin).await;
        Ok(Fleet::of_pods(pods.map_err(FindError::from)?))
    }

    pub(crate) async fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let lines = self.cluster.read_journal(&self.plugin).await?;
        let entries = lines.iter();
        Ok(entries
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    pub(crate) async fn note(&self, entry: &Entry) -> Result<(), JournalError> {
        let line = serde_json::to_string(entry).unwrap_or_default();
        Ok(self.cluster.append_journal(&self.plugin, &line).await?)
    }

    pub(crate) fn journal(&self) -> String {
        let Plugin {
            namespace, name, ..
        } = &self.plugin;
        format!("ConfigMap {namespace}/{name}.cutover-journal")
    }

    /// What the API server says to a switch, without writing it; and whose fields it would take.
    pub async fn try_out(
        &self,
        document: &Document,
        takes_fields: bool,
    ) -> Result<(Document, Vec<String>), TargetError> {
        let Some((plugin, changes)) = document.changes() else {
            return Ok((document.clone(), vec![]));
        };
        let how = Apply {
            force: takes_fields,
            dry_run: true,
        };
        let answer = self.cluster.apply(plugin, changes, how).await?;
        let taken = if takes_fields {
            crate::flip::taken(plugin, changes)
        } else {
            vec![]
        };
        Ok((Document::of_plugin(answer)?, taken))
    }

    /// Tells of the beginning of a switch by an event.
    pub(crate) async fn tell_begin(&self, begun: &Entry) -> Result<(), String> {
        let Entry {
            verb, service, to, ..
        } = begun;
        let by = format!("{}@{}", begun.by.user, begun.by.host);
        let reason = begun.reason.as_ref();
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let (word, when) = match begun.activate_at {
            Some(at) => ("SwitchStaged", format!(", activates at {}", InWords(at))),
            None => ("SwitchBegun", String::new()),
        };
        let note = format!("{verb} of {service} to {to} by {by}{when}{reason}");
        self.event(EventKind::Normal, word, note).await
    }

    /// Tells what came of it.
    pub(crate) async fn tell_end(&self, ended: &Entry) -> Result<(), String> {
        let Entry {
            service,
            to,
            shown,
            missing,
            ..
        } = ended;
        let all = shown.len() + missing.len();
        let took = ended.milliseconds.unwrap_or_default();
        let on = format!("on {} of {all} proxies", shown.len());
        let lacks: Vec<_> = missing.iter().map(|one| one.why.as_str()).collect();
        let lacks = lacks.join("; ");
        let (kind, reason, note) = match ended.kind {
            Kind::Done => (
                EventKind::Normal,
                "Switched",
                format!("{service} is {to}, {on} after {took} ms"),
            ),
            Kind::Activated | Kind::Staged | Kind::Restaged => (
                EventKind::Normal,
                "Switched",
                format!("{service} is {to}, {on}, since {}", instant(ended)),
            ),
            Kind::Cancelled => (
                EventKind::Warning,
                "SwitchCancelled",
                format!(
                    "{service} stays {}: {to} was taken back before {}",
                    ended.from.active,
                    instant(ended)
                ),
            ),
            Kind::Interrupted if ended.in_doubt.is_empty() => (
                EventKind::Warning,
                "SwitchNotConfirmed",
                format!("{service} to {to}: interrupted, {on}; missing: {lacks}"),
            ),
            Kind::InDoubt | Kind::Interrupted => (
                EventKind::Warning,
                "SwitchInDoubt",
                format!(
                    "{service} to {to} was taken back, but {} may have switched at {}; {lacks}",
                    ended.in_doubt.join(", "),
                    instant(ended)
                ),
            ),
            Kind::NotCancelled => (
                EventKind::Warning,
                "SwitchNotCancelled",
                format!(
                    "{service} to {to} could not be taken back, and activates at {}",
                    instant(ended)
                ),
            ),
            Kind::Superseded => (
                EventKind::Warning,
                "SwitchNotConfirmed",
                format!("{service} to {to}: another switch came in between"),
            ),
            Kind::Missing => (
                EventKind::Warning,
                "SwitchNotConfirmed",
                format!("{service} to {to}: {on}; missing: {lacks}"),
            ),
            Kind::Written if !ended.gone.is_empty() => (
                EventKind::Warning,
                "SwitchNotConfirmed",
                format!("{service} to {to}: every proxy went away before it showed it"),
            ),
            Kind::Begun | Kind::Written | Kind::Failed => (
                EventKind::Warning,
                "SwitchNotConfirmed",
                format!("{service} to {to}: written, no proxy was asked"),
            ),
        };
        self.event(kind, reason, note).await
    }

    /// Leaves an event on the plugin, for `kubectl describe`.
    async fn event(&self, kind: EventKind, reason: &str, note: String) -> Result<(), String> {
        let reason = reason.to_owned();
        let note = EventNote { kind, reason, note };
        let left = self.cluster.event(&self.plugin, &note).await;
        left.map_err(|error| format!("no event was left on {}: {error}", self.plugin))
    }
}

fn instant(entry: &Entry) -> InWords {
    InWords(entry.activate_at.unwrap_or_default())
}

impl fmt::Debug for KubeTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "KubeTarget({} at {})",
            self.plugin,
            self.cluster.server()
        )
    }
}
