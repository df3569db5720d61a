//! The journal as people ask for it: one chapter per switch, and what it knows of a lost file.

use super::{Entry, Kind, State};
use crate::unix_ms;
use cutover_core::Generation;

/// One switch: how it began, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// The line before the file was replaced.
    pub begun: Entry,
    /// What came of it.
    pub fate: Fate,
}

/// What came of a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// As the writer noted it.
    Noted(Box<Entry>),
    /// It still waits for its Envoys.
    UnderWay,
    /// The writer died without a word. `written` says whether the file was replaced, where a later
    /// line or the file itself tells.
    Unknown {
        /// None when nothing tells.
        written: Option<bool>,
    },
}

/// What a journal knows of the switch of a service whose file is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// The last switch that was written, or may have been.
    pub last: State,
    /// False when its writer died between the first line and the second: it may never have been
    /// written, and what was there before rules.
    pub certain: bool,
    /// The newest generation that was ever noted: whatever is written next must be newer.
    pub newest: Option<Generation>,
}

impl Chapter {
    /// Puts beginnings and ends together, oldest first. `file` says what the file has of a service
    /// now.
    pub fn of(entries: &[Entry], file: impl Fn(&str) -> Option<State>) -> Vec<Self> {
        let begun = entries.iter().enumerate();
        let begun = begun.filter(|(_, entry)| entry.kind == Kind::Begun);
        begun
            .map(|(at, begun)| {
                let later = entries.get(at + 1..).unwrap_or_default();
                Self {
                    begun: begun.clone(),
                    fate: fate(begun, later, &file),
                }
            })
            .collect()
    }

    /// False when it is known that the file stayed as it was.
    pub fn may_be_written(&self) -> bool {
        match &self.fate {
            Fate::Noted(end) => end.kind != Kind::Failed,
            Fate::UnderWay => true,
            Fate::Unknown { written } => *written != Some(false),
        }
    }
}

fn fate(begun: &Entry, later: &[Entry], file: &impl Fn(&str) -> Option<State>) -> Fate {
    // Who takes up a staged switch ends the same line again, and knows more. The one that it was taken from
    // only sees a newer switch, earlier or later.
    let ends = later
        .iter()
        .filter(|entry| entry.id == begun.id && entry.kind.is_end());
    if let Some(end) = ends.max_by_key(|end| end.kind != Kind::Superseded) {
        return Fate::Noted(Box::new(end.clone()));
    }
    if begun.by.is_alive_elsewhere(begun.at) {
        return Fate::UnderWay;
    }
    // Whoever came next wrote down what the file said; else the file itself tells.
    let next = later
        .iter()
        .find(|entry| entry.kind == Kind::Begun && entry.service == begun.service);
    let found = next.map_or_else(|| file(&begun.service), |next| Some(next.from));
    let written = found.and_then(|found| match found {
        found if found == begun.to => Some(true),
        found if found == begun.from => Some(false),
        _ => None,
    });
    Fate::Unknown { written }
}

impl Recalled {
    /// What the lines know of a service; none when they do not name it.
    pub fn of(entries: &[Entry], service: &str) -> Option<Self> {
        let mut chapters = Chapter::of(entries, |_| None);
        chapters.retain(|chapter| chapter.begun.service == service);
        let noted = chapters
            .iter()
            .flat_map(|chapter| [chapter.begun.from, chapter.begun.to]);
        let newest = noted.filter_map(|state| state.generation).max();
        let last = chapters.last()?;
        let written = last.may_be_written();
        // What waits for its instant does not rule yet, and nobody is left to see it through.
        let is_due = last.begun.activate_at.is_none_or(|at| at <= unix_ms());
        Some(Self {
            last: if written && is_due {
                last.begun.to
            } else {
                last.begun.from
            },
            certain: !matches!(last.fate, Fate::Unknown { .. } | Fate::UnderWay),
            newest,
        })
    }
}
