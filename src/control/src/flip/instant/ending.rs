//! What a switch at one instant has come to.

use super::{Intent, Look, Written};
use crate::{
    Kind, Proxy,
    watch::{Shown, Unshown},
};
use cutover_core::{
    Generation,
    fleet::{Clock, Due, Lag},
};
use std::{fmt, time::Instant};

/// What a switch at one instant has come to.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// The switches that were staged, of each service: the last ones, where they were staged again.
    pub written: Vec<Written>,
    /// When they activate; none where all of it was there already.
    pub due: Option<Due>,
    /// What came of them.
    pub ending: Ending,
    /// The clocks of the Envoys, by the order of their names.
    pub clocks: Vec<Measured>,
    /// The Envoys that show what rules at the end.
    pub shown: Vec<Shown>,
    /// The Envoys that had not staged it in time, or say that they were late.
    pub late: Vec<Proxy>,
    /// The Envoys of which nobody saw in time that they had staged it: whether they were late is not known.
    pub unseen: Vec<Proxy>,
    /// The Envoys that left the fleet meanwhile.
    pub gone: Vec<Proxy>,
    /// What was passed over, and what went wrong beside it.
    pub warnings: Vec<String>,
}

/// What came of switches that were staged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing had to be written: file and Envoys had it already.
    Already,
    /// Every Envoy shows it.
    Activated,
    /// It has activated, and not every Envoy shows it.
    Missing(Vec<Unshown>),
    /// It was taken back.
    Cancelled {
        /// The generation that keeps the old color.
        generation: Generation,
        /// The Envoys for whose sake; none when somebody asked for it.
        why: Vec<Lagging>,
        /// Those that had not shown the cancel when the window opened.
        in_doubt: Vec<Proxy>,
        /// How long after the window had opened the last one showed it, in microseconds.
        heard_after: Option<u64>,
        /// Those that did not show it in the end.
        unheard: Vec<Unshown>,
    },
    /// Somebody else wrote a newer switch.
    Superseded {
        /// Its generation.
        generation: u64,
        /// Who shows it; nobody, where the configuration tells.
        by: Option<Proxy>,
    },
    /// It was told to stop when it was too late to take it back.
    Interrupted(Vec<Unshown>),
    /// It was told to stop, and told again while it took it back.
    Stopped {
        /// The generation that keeps the old color; none where that could not be written yet, and the switch is
        /// staged still.
        cancel: Option<Generation>,
        /// Those that did not show the cancel by then: they switch if they have not heard of it at the instant.
        in_doubt: Vec<Proxy>,
        /// What they showed.
        unheard: Vec<Unshown>,
    },
}

/// An Envoy that is not ready for an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lagging {
    /// Which.
    pub proxy: Proxy,
    /// Why.
    pub lag: Lag,
    /// What it shows, where it is not staged.
    pub unshown: Option<Unshown>,
    /// The hold that its clock is compared with, in milliseconds.
    pub hold_ms: u64,
}

impl fmt::Display for Lagging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxy = &self.proxy;
        match (self.lag, &self.unshown) {
            (Lag::Silent | Lag::NotStaged, Some(unshown)) => {
                write!(f, "{proxy} has not staged it: {unshown}")
            }
            (Lag::Silent | Lag::NotStaged, None) => write!(f, "{proxy} has not staged it"),
            (Lag::Early, _) => write!(f, "{proxy} switched before the instant"),
            (Lag::Unmeasured, _) => write!(f, "the clock of {proxy} could not be measured"),
            (Lag::ClockOff(clock), _) => write!(
                f,
                "the clock of {proxy} is off by {}, which is more than the hold of {} ms",
                InMilliseconds(clock),
                self.hold_ms
            ),
        }
    }
}

/// `+1.20 ms ± 0.35 ms`.
#[derive(Clone, Copy, Debug)]
pub struct InMilliseconds(pub Clock);

impl fmt::Display for InMilliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0.offset < 0 { '-' } else { '+' };
        let hundredths = |micros: u64| {
            let hundredths = micros.div_ceil(10);
            format!("{}.{:02}", hundredths / 100, hundredths % 100)
        };
        let (offset, error) = (self.0.offset.unsigned_abs(), self.0.error);
        write!(
            f,
            "{sign}{} ms ± {} ms",
            hundredths(offset),
            hundredths(error)
        )
    }
}

/// A proxy's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Whose.
    pub proxy: Proxy,
    /// None where it could not be measured.
    pub clock: Option<Clock>,
}

impl Ending {
    /// What the journal says of it.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Already | Self::Activated => Kind::Activated,
            Self::Missing(_) => Kind::Missing,
            Self::Superseded { .. } => Kind::Superseded,
            Self::Cancelled {
                in_doubt, unheard, ..
            } if in_doubt.is_empty() && unheard.is_empty() => Kind::Cancelled,
            Self::Cancelled { .. } => Kind::InDoubt,
            Self::Interrupted(_) | Self::Stopped { .. } => Kind::Interrupted,
        }
    }

    /// The Envoys that may have switched though it was taken back.
    pub fn in_doubt(&self) -> &[Proxy] {
        match self {
            Self::Cancelled { in_doubt, .. } | Self::Stopped { in_doubt, .. } => in_doubt,
            _ => &[],
        }
    }
}

impl Scheduled {
    /// Nothing was written.
    pub(super) fn already(intents: &[Intent], looks: &[Look]) -> Self {
        let now = Instant::now();
        let shown = looks.iter().map(|look| Shown {
            proxy: look.admin.proxy().clone(),
            at: now,
        });
        Self {
            written: intents
                .iter()
                .map(|intent| intent.written(&intent.before, now))
                .collect(),
            due: None,
            ending: Ending::Already,
            clocks: vec![],
            shown: shown.collect(),
            late: vec![],
            unseen: vec![],
            gone: vec![],
            warnings: vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn lagging(lag: Lag) -> String {
        let proxy = SocketAddr::from(([127, 0, 0, 1], 9901)).into();
        let unshown = None;
        let hold_ms = 20;
        Lagging {
            proxy,
            lag,
            unshown,
            hold_ms,
        }
        .to_string()
    }

    #[test]
    fn a_lag_is_told_with_its_name_and_its_numbers() {
        let clock = |offset, error| Lag::ClockOff(Clock { offset, error });
        assert_eq!(
            lagging(clock(-31_234, 350)),
            "the clock of 127.0.0.1:9901 is off by -31.24 ms ± 0.35 ms, which is more than the hold of 20 ms"
        );
        assert!(lagging(clock(7, 40_000)).contains("+0.01 ms ± 40.00 ms"));
        assert_eq!(
            lagging(Lag::Unmeasured),
            "the clock of 127.0.0.1:9901 could not be measured"
        );
    }

    #[test]
    fn a_cancel_that_everybody_heard_in_time_leaves_no_doubt() {
        let proxy: Proxy = SocketAddr::from(([127, 0, 0, 1], 9901)).into();
        let cancelled = |in_doubt: Vec<Proxy>| Ending::Cancelled {
            generation: Generation::after(None, 7).unwrap(),
            why: vec![],
            in_doubt,
            heard_after: None,
            unheard: vec![],
        };
        assert_eq!(cancelled(vec![]).kind(), Kind::Cancelled);
        assert_eq!(cancelled(vec![proxy.clone()]).kind(), Kind::InDoubt);
        assert_eq!(cancelled(vec![proxy.clone()]).in_doubt(), [proxy]);
    }
}
