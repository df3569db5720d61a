//! What happens to a plugin while one looks.

use crate::{
    Cluster, ClusterError, Plugin,
    plugin::api_path,
    tail::{Change, Tail, encoded},
    task::Tied,
};
use serde_json::Value;
use tokio::sync::mpsc;

/// Sees every write to one plugin, until it is dropped.
#[derive(Debug)]
pub struct PluginWatch {
    sightings: mpsc::UnboundedReceiver<Sighting>,
    _watching: Tied,
}

/// What was seen.
#[derive(Debug)]
pub enum Sighting {
    /// Somebody wrote it, or made it anew: the managers tell who.
    Changed(Box<Plugin>),
    /// It was deleted.
    Gone,
    /// The API server does not tell for now.
    Interrupted(ClusterError),
    /// It tells again, and nothing was missed.
    Back,
}

impl Cluster {
    /// Watches a plugin from the version on that was read.
    pub fn watch(&self, plugin: &Plugin) -> PluginWatch {
        let path = api_path(plugin.kind, &plugin.namespace, None);
        let query = format!(
            "fieldSelector={}",
            encoded(&format!("metadata.name={}", plugin.name))
        );
        let (uid, version) = (plugin.uid.clone(), plugin.resource_version.clone());
        let (sender, sightings) = mpsc::unbounded_channel();
        let mut eye = Eye {
            tail: Tail::since(self.clone(), path, query, Some(version.clone())),
            uid,
            version,
            sender,
        };
        let watching = Tied::start(async move { while eye.look().await.is_ok() {} });
        PluginWatch {
            sightings,
            _watching: watching,
        }
    }
}

impl PluginWatch {
    /// Waits for the next write. A broken watch is told once, and opened again. Waiting may be given up
    /// and begun again without missing anything.
    pub async fn next(&mut self) -> Sighting {
        match self.sightings.recv().await {
            Some(sighting) => sighting,
            // The watching task does not end before this is dropped.
            None => std::future::pending().await,
        }
    }
}

struct Eye {
    tail: Tail<Value>,
    uid: String,
    version: String,
    sender: mpsc::UnboundedSender<Sighting>,
}

type Told = Result<(), mpsc::error::SendError<Sighting>>;

impl Eye {
    async fn look(&mut self) -> Told {
        match self.tail.next().await {
            Change::All(items) => {
                if self.tail.was_broken() {
                    self.sender.send(Sighting::Back)?;
                }
                match items.into_iter().next() {
                    Some(object) => self.seen(object),
                    None => self.gone(),
                }
            }
            Change::Put(object) => self.seen(object),
            Change::Gone(_) => self.gone(),
            Change::Broken(error) => self.sender.send(Sighting::Interrupted(error)),
            Change::Back => self.sender.send(Sighting::Back),
        }
    }

    fn gone(&mut self) -> Told {
        // A list that stays empty is told once.
        if std::mem::take(&mut self.uid).is_empty() {
            return Ok(());
        }
        self.sender.send(Sighting::Gone)
    }

    fn seen(&mut self, object: Value) -> Told {
        let Ok(plugin) = Plugin::from_object(object) else {
            return Ok(());
        };
        if plugin.resource_version == self.version {
            return Ok(());
        }
        if plugin.uid != self.uid {
            self.gone()?;
            self.uid.clone_from(&plugin.uid);
        }
        self.version.clone_from(&plugin.resource_version);
        self.sender.send(Sighting::Changed(Box::new(plugin)))
    }
}
