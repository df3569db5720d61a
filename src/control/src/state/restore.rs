//! The configuration of a state folder, whatever became of it since the last start.

use super::{BOOTSTRAP, StateError, StateFolder};
use crate::{
    Document, Entry, InvalidDocument, Journal, JournalError, Kind, Recalled, State, TargetError,
    flip::unix_ms,
};
use cutover_core::{Color, Generation, InvalidConfig, InvalidGeneration};
use std::{collections::BTreeSet, fs, io, path::PathBuf, time::Duration};

/// The only service of a configuration that the tool writes itself.
const SERVICE: &str = "default";

/// A configuration to start with, and where it is from.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The file, as it is on disk now.
    pub document: Document,
    /// Where it is from.
    pub origin: Origin,
}

/// Where a configuration is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file was there, and whole.
    Kept,
    /// The folder is new.
    New,
    /// The file was lost or torn; the journal knew the switch.
    Journal {
        /// Where the torn file is now; none when there was no file.
        damaged: Option<PathBuf>,
        /// What was restored.
        state: State,
        /// False when the journal's last switch may never have been written.
        certain: bool,
    },
}

/// A configuration that cannot be used, and nothing tells a better one.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file cannot be read or replaced, or is no ECDS file though it is whole.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The filter would refuse it.
    #[error("the filter would refuse {}: {reason}", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: InvalidConfig,
    },
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The folder was in use, and nothing in it tells which color was active.
    #[error("{} is {what}, and its journal knows no switch: nothing tells which color was active", .path.display())]
    NoTrace {
        /// The file.
        path: PathBuf,
        /// `missing`, or `no whole file`.
        what: &'static str,
    },
    /// The lost file held more services than the tool can write anew.
    #[error("{} is lost, and held what only it knew: the services {}", .path.display(), .services.join(", "))]
    Services {
        /// The file.
        path: PathBuf,
        /// Those that the journal names.
        services: Vec<String>,
    },
    /// No generation is left.
    #[error(transparent)]
    Generation(#[from] InvalidGeneration),
    /// The folder cannot be written.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What a start finds, before anything is written.
#[derive(Clone, Debug)]
pub enum Found {
    /// The configuration, whole.
    Whole(Document),
    /// None that is whole; it has to be written.
    Nothing {
        /// The switch that is written.
        state: State,
        /// Something is there, and has to be put aside.
        damaged: bool,
        /// What the journal knows; nothing in a new folder.
        recalled: Option<Recalled>,
    },
}

impl StateFolder {
    /// Reads the configuration. Where there is none that is whole it is written anew: with `initial`
    /// active in a new folder, else with the switch that the journal knew last. `render` makes a file.
    ///
    /// A switch is written beside the file and renamed over it, so that a process that dies leaves
    /// the old file or the new one. What is torn was torn by a disk, or by hand. Of a switch that
    /// the journal knows to have begun, and no more, the new color is restored: most of such writers
    /// died while they waited for Envoy, and going back unasked is worse than going where somebody
    /// wanted to go. Its generation is a new one, above all that were ever seen.
    pub fn restore(
        &self,
        initial: Color,
        render: impl FnOnce(State) -> String,
    ) -> Result<Restored, RestoreError> {
        let target = self.target();
        let path = target.path().to_owned();
        let (state, damaged, recalled) = match self.find(initial)? {
            Found::Whole(document) => {
                let origin = Origin::Kept;
                return Ok(Restored { document, origin });
            }
            Found::Nothing {
                state,
                damaged,
                recalled,
            } => (state, damaged, recalled),
        };
        let journal = Journal::of(&target);
        let aside = self.file("cutover.json.damaged");
        if damaged {
            fs::rename(&path, &aside).map_err(failed(&path))?;
        }
        let before = recalled.map_or(
            State {
                generation: None,
                active: state.active,
            },
            |recalled| recalled.last,
        );
        let entry = Entry::begun("up", SERVICE, before, state);
        journal.append(&entry)?;
        let text = render(state);
        self.write(super::CONFIGURATION, text.as_bytes())?;
        journal.append(&entry.ended(Kind::Written, Duration::ZERO))?;
        let document = Document::parse(text.as_bytes())
            .map_err(|reason| TargetError::Document { path, reason })?;
        let origin = recalled.map_or(Origin::New, |recalled| Origin::Journal {
            damaged: damaged.then_some(aside),
            state,
            certain: recalled.certain,
        });
        Ok(Restored { document, origin })
    }

    /// Looks what [`Self::restore`] would read or write, and writes nothing.
    pub fn find(&self, initial: Color) -> Result<Found, RestoreError> {
        let target = self.target();
        let path = target.path().to_owned();
        let damaged = match target.read() {
            Ok(document) => {
                let kept = document.plan();
                kept.map_err(|reason| RestoreError::Config { path, reason })?;
                return Ok(Found::Whole(document));
            }
            Err(TargetError::Missing(_)) => false,
            Err(TargetError::Document {
                reason: InvalidDocument::Json(_) | InvalidDocument::NotText,
                ..
            }) => true,
            Err(error) => return Err(error.into()),
        };
        let entries = Journal::of(&target).read()?;
        let services: BTreeSet<_> = entries.iter().map(|entry| entry.service.clone()).collect();
        if services.iter().any(|name| name != SERVICE) {
            let services = services.into_iter().collect();
            return Err(RestoreError::Services { path, services });
        }
        let recalled = Recalled::of(&entries, SERVICE);
        let state = match &recalled {
            None if damaged || self.file(BOOTSTRAP).exists() => {
                let what = if damaged { "no whole file" } else { "missing" };
                return Err(RestoreError::NoTrace { path, what });
            }
            None => State {
                generation: Some(Generation::after(None, 0)?),
                active: initial,
            },
            Some(Recalled { last, certain, .. }) if *certain && last.generation.is_some() => *last,
            Some(recalled) => State {
                generation: Some(Generation::after(recalled.newest, unix_ms())?),
                active: recalled.last.active,
            },
        };
        Ok(Found::Nothing {
            state,
            damaged,
            recalled,
        })
    }
}

fn failed(path: &std::path::Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io {
        action: "renamed",
        path,
        source,
    }
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
