//! The state folder of `cutover up`: what lies in it, and whether an `up` lives on it.

mod restore;

pub use restore::{Found, Origin, RestoreError, Restored};

use crate::{
    FileTarget,
    target::{holder, open_lock, sync_folder},
};
use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// The ECDS file; the journal and the lock of flips lie beside it.
pub const CONFIGURATION: &str = "cutover.json";
/// The module that the ECDS file names.
pub const MODULE: &str = "cutover.wasm";
/// The bootstrap, written at each start.
pub const BOOTSTRAP: &str = "envoy.yaml";
/// What Envoy has to say.
pub const LOG: &str = "envoy.log";
/// Where Envoy's admin interface listens, as Envoy itself writes it.
pub const ADMIN_ADDRESS: &str = "admin-address.txt";
/// Held (flock) by the `up` that lives; its process id is inside.
pub const LOCK: &str = "up.lock";

/// How long an `up` tries to take the lock: whoever only looks holds it for an instant.
const LOOKERS: Duration = Duration::from_millis(250);

/// A folder that one `cutover up` at a time keeps its Envoy's files in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFolder {
    path: PathBuf,
}

/// An `up` that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Living {
    /// Who, in words: `process 4711`.
    pub holder: String,
    /// Its Envoy's admin interface; none while that is starting.
    pub admin: Option<SocketAddr>,
}

/// The right to run on a state folder, until it is dropped or the process dies.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

/// A state folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another `up` lives on it.
    #[error("`cutover up` runs on {} already: {holder}", .path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
        /// The other one, in words.
        holder: String,
    },
    /// The operating system says no.
    #[error("{} cannot be {action}: {source}", .path.display())]
    Io {
        /// What was tried: `made`, `written`, `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl StateFolder {
    /// Names a folder; nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is when nobody names it: `cutover` in `$XDG_STATE_HOME`, else in
    /// `$HOME/.local/state`. None when neither is an absolute path (XDG base directories, 0.8).
    pub fn usual(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let absolute = |name| {
            let path = PathBuf::from(variable(name)?);
            path.is_absolute().then_some(path)
        };
        let home = || Some(absolute("HOME")?.join(".local/state"));
        let states = absolute("XDG_STATE_HOME").or_else(home)?;
        Some(Self::new(states.join("cutover")))
    }

    /// The folder of a target, be it one of `up` or not.
    pub fn of(target: &FileTarget) -> Self {
        let folder = target.path().parent().unwrap_or(Path::new(""));
        Self::new(if folder == Path::new("") {
            Path::new(".")
        } else {
            folder
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The configuration in it, which flips change.
    pub fn target(&self) -> FileTarget {
        FileTarget::new(self.file(CONFIGURATION))
    }

    /// Writes a file, whole or not at all; one that has this content already is left alone. Only the
    /// holder of the lock may.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), StateError> {
        let path = self.file(name);
        if fs::read(&path).is_ok_and(|old| old == content) {
            return Ok(());
        }
        let beside = self.file(&format!(".{name}.tmp"));
        let write = || {
            let mut file = File::create(&beside)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            sync_folder(&path)
        };
        write().map_err(|source| StateError::Io {
            action: "written",
            path,
            source,
        })
    }

    /// The `up` that lives on it. What a dead one left behind (its lock file, the address of its
    /// Envoy) is not taken for a living one.
    pub fn running(&self) -> Result<Option<Living>, StateError> {
        let path = self.file(LOCK);
        let failed = |source| StateError::Io {
            action: "read",
            path: path.clone(),
            source,
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(source)),
            Err(TryLockError::WouldBlock) => {
                let admin = fs::read_to_string(self.file(ADMIN_ADDRESS)).ok();
                Ok(Some(Living {
                    holder: holder(&path),
                    admin: admin.and_then(|text| text.trim().parse().ok()),
                }))
            }
        }
    }

    /// Makes the folder where there is none, and takes it for this process.
    pub fn lock(&self) -> Result<StateLock, StateError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| StateError::Io {
                action,
                path,
                source,
            }
        };
        if self.path.exists() && !self.path.is_dir() {
            let source = io::Error::new(io::ErrorKind::NotADirectory, "it is no folder");
            return Err(failed("made", &self.path)(source));
        }
        fs::create_dir_all(&self.path).map_err(failed("made", &self.path))?;
        let path = self.file(LOCK);
        let mut file = open_lock(&path).map_err(failed("written", &path))?;
        let until = Instant::now() + LOOKERS;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StateError::Taken {
                        path: self.path.clone(),
                        holder: holder(&path),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed("written", &path)(source)),
            }
        }
        // An address that a killed one left would be taken for this one's.
        let old = self.file(ADMIN_ADDRESS);
        match fs::remove_file(&old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("removed", &old)(error));
            }
            _ => {}
        }
        file.set_len(0)
            .and_then(|()| write!(file, "process {}", std::process::id()))
            .map_err(failed("written", &path))?;
        Ok(StateLock { _file: file })
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
