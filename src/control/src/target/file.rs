//! `file:PATH`: a configuration that lives in a file which Envoy watches.

use crate::{Author, Document, TargetError};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
};

/// An ECDS file, and the only way in which Cutover changes it: whole, or not at all.
///
/// The new content is written beside the file, synced, and renamed over it, so that a reader and a
/// crash see the old file or the new one. Envoy notices the rename, not the write.
#[derive(Clone, Debug)]
pub struct FileTarget {
    path: PathBuf,
}

/// The right to change a target, until it is dropped or the process dies.
#[derive(Debug)]
pub struct Locked {
    target: FileTarget,
    _lock: File,
}

impl FileTarget {
    /// Names a file; nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file; a symbolic link is followed.
    pub fn read_bytes(&self) -> Result<Vec<u8>, TargetError> {
        let metadata = fs::metadata(&self.path).map_err(|error| self.io("read", error))?;
        if !metadata.is_file() {
            return Err(TargetError::NotAFile(self.path.clone()));
        }
        fs::read(&self.path).map_err(|error| self.io("read", error))
    }

    /// Reads the file and takes it apart.
    pub fn read(&self) -> Result<Document, TargetError> {
        Document::parse(&self.read_bytes()?).map_err(|reason| TargetError::Document {
            path: self.path.clone(),
            reason,
        })
    }

    /// Takes the lock at `PATH.lock`, without waiting. The lock belongs to the open file (flock), so
    /// that a process that died holds none; the file itself stays.
    pub fn lock(&self) -> Result<Locked, TargetError> {
        self.own_metadata()?;
        let path = self.beside("", ".lock");
        let failed = |source| TargetError::Io {
            action: "locked",
            path: path.clone(),
            source,
        };
        let mut file = open_lock(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(TargetError::Locked {
                    path: self.path.clone(),
                    holder: holder(&path),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // Only for the message of whoever comes second: the lock does not depend on it.
        let _ = file
            .set_len(0)
            .and_then(|()| write!(file, "{}", Author::this_process()));
        self.give_to_owner(&file);
        Ok(Locked {
            target: self.clone(),
            _lock: file,
        })
    }

    /// Replaces the file by any bytes under its lock, atomically.
    pub fn replace(&self, bytes: &[u8]) -> Result<(), TargetError> {
        self.lock()?.replace(bytes)
    }

    /// Lets the target's owner take the lock, too, after root did it first.
    fn give_to_owner(&self, lock: &File) {
        if let (Ok(target), Ok(lock_metadata)) = (self.own_metadata(), lock.metadata())
            && target.uid() != lock_metadata.uid()
        {
            // Only root can; nothing depends on it.
            let _ = fchown(lock, Some(target.uid()), Some(target.gid()));
        }
    }

    /// The file's own metadata; refuses what a rename would not replace as meant.
    pub(crate) fn own_metadata(&self) -> Result<fs::Metadata, TargetError> {
        let metadata = fs::symlink_metadata(&self.path).map_err(|error| self.io("read", error))?;
        if metadata.is_symlink() {
            let to = fs::read_link(&self.path).map_err(|error| self.io("read", error))?;
            return Err(TargetError::SymbolicLink {
                path: self.path.clone(),
                to,
            });
        }
        if !metadata.is_file() {
            return Err(TargetError::NotAFile(self.path.clone()));
        }
        Ok(metadata)
    }

    fn io(&self, action: &'static str, source: io::Error) -> TargetError {
        if source.kind() == io::ErrorKind::NotFound {
            return TargetError::Missing(self.path.clone());
        }
        TargetError::Io {
            action,
            path: self.path.clone(),
            source,
        }
    }

    /// A file in the same folder, named after this one.
    pub(crate) fn beside(&self, before: &str, after: &str) -> PathBuf {
        let mut name = OsString::from(before);
        name.push(self.path.file_name().unwrap_or_default());
        name.push(after);
        self.path.with_file_name(name)
    }
}

impl Locked {
    /// Reads the file and takes it apart.
    pub fn read(&self) -> Result<Document, TargetError> {
        self.target.read()
    }

    /// Replaces the file, atomically; mode and owner stay.
    pub fn replace(&self, bytes: &[u8]) -> Result<(), TargetError> {
        let target = &self.target;
        let old = target.own_metadata()?;
        // One name, under the lock: what a killed writer left is overwritten, and never adds up.
        let beside = target.beside(".", ".tmp");
        let replaced = write_beside(&beside, &old, bytes)
            .and_then(|()| fs::rename(&beside, &target.path))
            .and_then(|()| sync_folder(&target.path));
        replaced.map_err(|source| {
            let _ = fs::remove_file(&beside);
            TargetError::Io {
                action: "replaced",
                path: target.path.clone(),
                source,
            }
        })
    }
}

fn write_beside(beside: &Path, old: &fs::Metadata, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(beside)?;
    file.write_all(bytes)?;
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        // Envoy may run as that owner: a file that it can't read is as bad as none.
        fchown(&file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(old.permissions())?;
    file.sync_all()
}

/// Opens a lock file, or makes it; what its last holder wrote into it stays.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// Who holds a lock, as they wrote into it.
pub(crate) fn holder(lock: &Path) -> String {
    let holder = fs::read_to_string(lock).unwrap_or_default();
    match holder.trim() {
        "" => "another process".to_owned(),
        holder => holder.to_owned(),
    }
}

/// Makes a rename outlive a power failure.
pub(crate) fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
