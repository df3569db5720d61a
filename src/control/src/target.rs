//! Where a configuration lives: a file that Envoy watches, or a plugin in a cluster.

mod error;
mod file;
mod kube;

pub use error::TargetError;
pub use file::{FileTarget, Locked};
pub use kube::KubeTarget;

pub(crate) use file::{holder, open_lock, sync_folder};

use crate::{Document, Entry, Journal, JournalError};
use std::fmt;
use tokio::task::spawn_blocking;

/// A configuration, wherever it lives.
#[derive(Clone, Debug)]
pub enum Target {
    /// `file:PATH`.
    File(FileTarget),
    /// `k8s:NAMESPACE/NAME`.
    Kube(Box<KubeTarget>),
}

impl Target {
    /// Reads the configuration as it is now.
    pub async fn read(&self) -> Result<Document, TargetError> {
        match self {
            Self::File(file) => file.read(),
            Self::Kube(kube) => kube.read().await,
        }
    }

    /// What the journal has, oldest first.
    pub async fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        match self {
            Self::File(file) => Journal::of(file).read(),
            Self::Kube(kube) => kube.entries().await,
        }
    }

    /// Notes a line in the journal.
    pub(crate) async fn note(&self, entry: &Entry) -> Result<(), JournalError> {
        match self {
            Self::File(file) => {
                let (journal, entry) = (Journal::of(file), entry.clone());
                // On a thread of its own: a sync to disk takes milliseconds that others would wait.
                let noted = spawn_blocking(move || journal.append(&entry)).await;
                noted.unwrap_or(Ok(()))
            }
            Self::Kube(kube) => kube.note(entry).await,
        }
    }

    /// Where its journal is, in words.
    pub fn journal(&self) -> String {
        match self {
            Self::File(file) => Journal::of(file).path().display().to_string(),
            Self::Kube(kube) => kube.journal(),
        }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&FileTarget> {
        match self {
            Self::File(file) => Some(file),
            Self::Kube(_) => None,
        }
    }

    /// The plugin in a cluster, if it is one.
    pub fn kube(&self) -> Option<&KubeTarget> {
        match self {
            Self::File(_) => None,
            Self::Kube(kube) => Some(kube),
        }
    }

    /// What people call it where it is meant as one of two: `the file`, `WasmPlugin shop/web`.
    pub fn noun(&self) -> String {
        match self {
            Self::File(_) => "the file".to_owned(),
            Self::Kube(kube) => kube.plugin().to_string(),
        }
    }
}

impl From<FileTarget> for Target {
    fn from(file: FileTarget) -> Self {
        Self::File(file)
    }
}

impl From<&FileTarget> for Target {
    fn from(file: &FileTarget) -> Self {
        Self::File(file.clone())
    }
}

/// As it is typed behind `--target`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "file:{}", file.path().display()),
            Self::Kube(kube) => write!(f, "k8s:{}", kube.plugin().typed()),
        }
    }
}
