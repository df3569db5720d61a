//! `PATH.journal`: who switched what, when, why, and what came of it.
//!
//! One JSON object a line. A writer notes what it is about to do before it replaces the file, and
//! what came of it afterwards, under the same id; a beginning without an end is a writer that died.
//!
//! Each line is one `write` in append mode, so that writers need no lock among each other: an end is
//! never lost because another flip holds the target. A line that a full disk or a power failure left
//! torn is closed by the next writer, and skipped by every reader.

mod author;
mod history;

pub use author::Author;
pub use history::{Chapter, Fate, Recalled};

use crate::{FileTarget, target::sync_folder};
use cutover_core::{Color, Generation, Switch, fleet::Due};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// The journal of a target.
#[derive(Clone, Debug)]
pub struct Journal {
    path: PathBuf,
    target: PathBuf,
}

/// A journal that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The one beside a file.
    #[error("the journal {} cannot be {action}: {source}", .path.display())]
    File {
        /// The journal.
        path: PathBuf,
        /// What was tried: `read` or `written`.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The one of a plugin.
    #[error(transparent)]
    Kube(#[from] cutover_kube::JournalError),
}

/// One line: the beginning of a switch, or what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, by the writer's clock.
    #[serde(serialize_with = "rfc_3339", deserialize_with = "from_rfc_3339")]
    pub at: SystemTime,
    /// The same for the beginning and the end of one switch.
    pub id: String,
    /// Which of the two, and what came of it.
    pub kind: Kind,
    /// `flip`, `rollback`, `up`, `init`.
    pub verb: String,
    /// Who.
    pub by: Author,
    /// Why, in the words of `--reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Which service.
    pub service: String,
    /// What the file said before.
    pub from: State,
    /// What was written.
    pub to: State,
    /// The instant that it waits for, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activate_at: Option<u64>,
    /// Half of the window around it in which requests are held, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<u64>,
    /// The Envoys that were seen to show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<String>,
    /// Those that were not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Absent>,
    /// Those that went away before they showed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
    /// Those that may have switched though it was taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_doubt: Vec<String>,
    /// Those that had not staged it in time, or said that they were late.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<String>,
    /// From just before the file was replaced until the last Envoy showed it, or until it was given
    /// up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
}

/// What a line says of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The file is about to be replaced.
    Begun,
    /// Every Envoy shows it.
    Done,
    /// Written; no Envoy was asked.
    Written,
    /// Written; not every Envoy shows it.
    Missing,
    /// Written; the writer was told to stop before every Envoy showed it.
    Interrupted,
    /// The file could not be replaced, and stays as it was.
    Failed,
    /// Every Envoy that is not named as missing has staged it, and it goes on. Its end is yet to come.
    Staged,
    /// It has activated, and every Envoy shows it.
    Activated,
    /// It was taken back before its instant, and every Envoy shows that.
    Cancelled,
    /// It was taken back, and some Envoys did not show that before its instant, or not at all.
    InDoubt,
    /// It was staged again under a newer generation, which has an entry of its own.
    Restaged,
    /// It should have been taken back, and that could not be written: it activates all the same.
    NotCancelled,
    /// Somebody else wrote a newer switch over it.
    Superseded,
}

impl Kind {
    /// Whether it is the last line of a switch.
    pub fn is_end(self) -> bool {
        !matches!(self, Self::Begun | Self::Staged)
    }
}

/// The part of a switch that says what rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// None when each worker switches for itself.
    pub generation: Option<Generation>,
    /// The active color.
    pub active: Color,
}

/// An Envoy that does not show a switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// How it is called: its admin address, or `pod NAMESPACE/NAME`.
    pub admin: String,
    /// Why not, in words.
    pub why: String,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => write!(f, "{}, generation {generation}", self.active),
            None => write!(f, "{} without a generation", self.active),
        }
    }
}

impl From<&Switch> for State {
    fn from(switch: &Switch) -> Self {
        Self {
            generation: switch.generation,
            active: switch.active,
        }
    }
}

impl Entry {
    /// The beginning of a switch by this process, now.
    pub fn begun(verb: &str, service: &str, from: State, to: State) -> Self {
        let by = Author::this_process();
        let generation = to.generation.map_or(0, Generation::get);
        Self {
            at: SystemTime::now(),
            id: format!("{generation}-{}-{service}", by.pid),
            kind: Kind::Begun,
            verb: verb.to_owned(),
            by,
            reason: None,
            service: service.to_owned(),
            from,
            to,
            activate_at: None,
            hold: None,
            shown: vec![],
            missing: vec![],
            gone: vec![],
            in_doubt: vec![],
            late: vec![],
            milliseconds: None,
        }
    }

    /// Notes the instant that it waits for.
    pub(crate) fn due_at(&mut self, due: Due) {
        (self.activate_at, self.hold) = (Some(due.at_ms), Some(due.hold_ms));
    }

    /// How long ago it was made.
    pub(crate) fn took(&self) -> Duration {
        self.at.elapsed().unwrap_or_default()
    }

    /// What came of it, now.
    #[must_use]
    pub fn ended(&self, kind: Kind, took: Duration) -> Self {
        Self {
            at: SystemTime::now(),
            kind,
            milliseconds: u64::try_from(took.as_millis()).ok(),
            ..self.clone()
        }
    }
}

impl Journal {
    /// The journal beside a target.
    pub fn of(target: &FileTarget) -> Self {
        Self {
            path: target.beside("", ".journal"),
            target: target.path().to_owned(),
        }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All lines that can be read, oldest first. A journal that is not there yet is empty.
    pub fn read(&self) -> Result<Vec<Entry>, JournalError> {
        // A pipe would never end, and a device never stop.
        if fs::metadata(&self.path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            return Err(self.failed("read", io::Error::other("it is not a regular file")));
        }
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            Err(source) => return Err(self.failed("read", source)),
        };
        let lines = bytes.split(|byte| *byte == b'\n');
        Ok(lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect())
    }

    /// Appends a line, and returns once it is on disk.
    pub fn append(&self, entry: &Entry) -> Result<(), JournalError> {
        let append = || {
            let mut line = serde_json::to_vec(entry)?;
            line.push(b'\n');
            let mut file = self.open()?;
            if is_torn(&mut file)? {
                line.insert(0, b'\n');
            }
            let written = file.write(&line)?;
            if written < line.len() {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            file.sync_data()
        };
        append().map_err(|source| self.failed("written", source))
    }

    /// Opens it, or makes it: as readable as the target, and of the same owner, so that whoever may
    /// switch may note it, after a switch by root too.
    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        options.read(true).append(true).custom_flags(no_link);
        match options.open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        let target = fs::metadata(&self.target).ok();
        let mode = target
            .as_ref()
            .map_or(0o644, |target| target.mode() & 0o666);
        let file = options.create(true).mode(mode).open(&self.path)?;
        if let Some(target) = target
            && file.metadata()?.uid() != target.uid()
        {
            // Only root can; nothing depends on it.
            let _ = fchown(&file, Some(target.uid()), Some(target.gid()));
        }
        sync_folder(&self.path)?;
        Ok(file)
    }

    fn failed(&self, action: &'static str, source: io::Error) -> JournalError {
        JournalError::File {
            path: self.path.clone(),
            action,
            source,
        }
    }
}

/// True when the last line has no end.
fn is_torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn rfc_3339<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let at = jiff::Timestamp::try_from(*at).map_err(serde::ser::Error::custom)?;
    serializer.collect_str(&format_args!("{at:.3}"))
}

fn from_rfc_3339<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    let at: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
    Ok(at.into())
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
