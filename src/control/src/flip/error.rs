//! Why a flip did not happen, or is not known to have happened.

use super::Written;
use crate::{
    AdminError, TargetError, UnknownService,
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
    /// An Envoy cannot be asked. Nothing was written.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
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
    let all = shown.len() + missing.len();
    let reasons: Vec<_> = missing.iter().map(ToString::to_string).collect();
    format!(
        "generation {generation} ({active}) is written, but {} of {all} Envoys {} not show it: {}",
        missing.len(),
        if missing.len() == 1 { "does" } else { "do" },
        reasons.join("; "),
    )
}
