//! Why a flip did not happen, or is not known to have happened.

use super::{InvalidInstant, Written};
use crate::{
    AdminError, JournalError, Refusal, State, TargetError, UnknownService,
    clock::InWords,
    watch::{Shown, Unshown},
};
use cutover_core::{Color, InvalidConfig, InvalidGeneration};

/// A flip that did not happen, or is not known to have happened.
#[derive(Debug, thiserror::Error)]
pub enum FlipError {
    /// The file cannot be read or changed.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The filter would refuse the configuration. Nothing was written.
    #[error("the filter would refuse the configuration: {0}")]
    Config(#[from] InvalidConfig),
    /// No such service, or several. Nothing was written.
    #[error(transparent)]
    Service(#[from] UnknownService),
    /// Another writer is ahead. Nothing was written.
    #[error("generation {expected} was expected, but {who} {}", found_in_words(*.found, *.active))]
    Ahead {
        /// The generation that the caller knew.
        expected: u64,
        /// Who has another: the file or an Envoy.
        who: String,
        /// The other generation, if there is one.
        found: Option<u64>,
        /// The color that is active there.
        active: Color,
    },
    /// The color takes no traffic. Nothing was written.
    #[error("{color} of service `{service}` is closed")]
    Closed {
        /// The service.
        service: String,
        /// The color.
        color: Color,
    },
    /// Generations are used up. Nothing was written.
    #[error(transparent)]
    Generation(#[from] InvalidGeneration),
    /// The wanted generation would be ignored as stale. Nothing was written.
    #[error("generation {wanted} is not newer than {newest}, which is there already")]
    NotNewer {
        /// The generation that the caller wanted.
        wanted: u64,
        /// The newest of the file and the Envoys.
        newest: u64,
    },
    /// The file has changed since it was looked at. Nothing was written.
    #[error("{}", raced_in_words(.service, *.before, *.found))]
    Raced {
        /// The service.
        service: String,
        /// What was seen.
        before: State,
        /// What is there now.
        found: State,
    },
    /// The gates refuse. Nothing was written.
    #[error("{}", joined(.0))]
    Refused(Vec<Refusal>),
    /// A flip that nobody could look up is not done. Nothing was written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It was told to stop.
    #[error("{}", interrupted_in_words(.written.as_deref(), .shown, .missing))]
    Interrupted {
        /// What was written before that; none when nothing was.
        written: Option<Box<Written>>,
        /// The Envoys that show it.
        shown: Vec<Shown>,
        /// The Envoys that do not, and why.
        missing: Vec<Unshown>,
    },
    /// No switch can activate then. Nothing was written.
    #[error(transparent)]
    Instant(#[from] InvalidInstant),
    /// No switch waits for an instant, or has done so last.
    #[error("no switch is staged: {}", .0.join("; "))]
    NothingStaged(Vec<String>),
    /// Several switches wait for different instants, or have different generations.
    #[error("switches of {} are staged apart from each other", .0.join(" and "))]
    StagedApart(Vec<String>),
    /// A cancel would reach some proxies before the instant, and others after it. Nothing was written.
    #[error(
        "it is too late to cancel the switch to {} at {}",
        what_activates(.services, *.active), InWords(*.at)
    )]
    TooLate {
        /// The services.
        services: Vec<String>,
        /// The color that becomes active.
        active: Option<Color>,
        /// The instant, in Unix milliseconds.
        at: u64,
    },
    /// A staged switch shall not activate, and its cancel cannot be written.
    #[error(
        "the switch could not be taken back: {reason}; {} activates at {}",
        what_activates(.services, *.active), InWords(*.at)
    )]
    NotCancelled {
        /// The services.
        services: Vec<String>,
        /// The color that becomes active.
        active: Option<Color>,
        /// The instant, in Unix milliseconds.
        at: u64,
        /// Why not.
        reason: Box<Self>,
    },
    /// An Envoy cannot be asked. Nothing was written.
    #[error("{}", joined(.0))]
    Unreachable(Vec<AdminError>),
    /// Written, but not every Envoy shows it.
    #[error("{}", not_done_in_words(.written, .shown, .missing))]
    NotDone {
        /// What was written.
        written: Box<Written>,
        /// The Envoys that show it.
        shown: Vec<Shown>,
        /// The Envoys that do not, and why.
        missing: Vec<Unshown>,
    },
}

fn what_activates(services: &[String], active: Option<Color>) -> String {
    let active = active.map_or("the other color", Color::as_str);
    format!("{active} of {}", services.join(" and "))
}

fn raced_in_words(service: &str, before: State, found: State) -> String {
    if before == found {
        return "another writer changed the file in between".to_owned();
    }
    format!("another writer came in between: `{service}` was {before}, and now it is {found}")
}

fn joined(many: &[impl ToString]) -> String {
    let many: Vec<_> = many.iter().map(ToString::to_string).collect();
    many.join("; ")
}

fn interrupted_in_words(written: Option<&Written>, shown: &[Shown], missing: &[Unshown]) -> String {
    let Some(Written {
        generation, active, ..
    }) = written
    else {
        return "interrupted: nothing was written".to_owned();
    };
    let who = match (shown.len(), shown.len() + missing.len()) {
        (0, 1) => "the Envoy does not show".to_owned(),
        (1, all) => format!("1 of {all} Envoys shows"),
        (number, all) => format!("{number} of {all} Envoys show"),
    };
    let showing: Vec<_> = shown.iter().map(|one| one.proxy.to_string()).collect();
    let showing = match showing.as_slice() {
        [] => String::new(),
        some => format!(" ({})", some.join(", ")),
    };
    format!(
        "interrupted: generation {generation} ({active}) is written, and {who} it{showing}; missing: {}",
        joined(missing),
    )
}

fn found_in_words(generation: Option<u64>, active: Color) -> String {
    match generation {
        Some(generation) => format!("has generation {generation} ({active})"),
        None => format!("has no generation ({active})"),
    }
}

fn not_done_in_words(written: &Written, shown: &[Shown], missing: &[Unshown]) -> String {
    let Written {
        generation, active, ..
    } = written;
    let who = match (missing.len(), shown.len() + missing.len()) {
        (1, 1) => "the Envoy does".to_owned(),
        (1, all) => format!("1 of {all} Envoys does"),
        (number, all) => format!("{number} of {all} Envoys do"),
    };
    format!(
        "generation {generation} ({active}) is written, but {who} not show it: {}",
        joined(missing),
    )
}
