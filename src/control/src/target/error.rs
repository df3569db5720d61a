//! Why a target cannot be read or changed.

use crate::InvalidDocument;
use cutover_kube::{ApplyError, ConnectError, FindError};
use std::{io, path::PathBuf};

/// A target that cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// There is no such file.
    #[error("there is no file {}", .0.display())]
    Missing(PathBuf),
    /// It is a folder, a pipe, a device.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// It is a symbolic link: a rename would replace the link, and leave what it points to as it is.
    #[error("{} is a symbolic link to {}, and only a regular file is changed", .path.display(), .to.display())]
    SymbolicLink {
        /// The link.
        path: PathBuf,
        /// Where it points.
        to: PathBuf,
    },
    /// Another process that lives is changing it.
    #[error("{} is being changed by {holder}", .path.display())]
    Locked {
        /// The target.
        path: PathBuf,
        /// The other one, in words.
        holder: String,
    },
    /// The operating system says no.
    #[error("{} cannot be {action}: {source}", .path.display())]
    Io {
        /// What was tried: `read`, `locked`, `replaced`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not an ECDS file with one Wasm filter.
    #[error("{} is not an ECDS file of Cutover: {reason}", .path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: InvalidDocument,
    },
    /// It is not known which API server is meant, or as whom to ask it.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// There is no such plugin in the cluster, or it cannot be read.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The plugin was deleted while it was looked at.
    #[error("{0} is gone: it was deleted")]
    Gone(String),
    /// The plugin has no configuration.
    #[error("{0} has no pluginConfig")]
    NoConfiguration(String),
    /// The new switch is not in the cluster, or is not known to be.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}
