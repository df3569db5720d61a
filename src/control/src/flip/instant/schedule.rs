//! When a switch shall activate, and what is asked of the proxies until then.

use crate::{
    Target,
    clock::{InWords, micros},
};
use cutover_core::fleet::{Clocks, Due, Hold, MOST_HOLD_MS, OnLag, Terms};
use std::time::Duration;

/// The hold to begin with, where it follows the clocks, in milliseconds.
pub const USUAL_HOLD_MS: u64 = 20;

/// How far ahead an instant is, where nobody names one.
pub const USUAL_LEAD: Duration = Duration::from_secs(5);

/// How long before the window every proxy must have staged a switch, where nobody says so.
///
/// A cancel has to reach them in it, and through a cluster's control plane it takes longer: a busy istiod with 30 Envoys
/// needed up to 800 ms.
pub fn usual_margin(target: &Target) -> Duration {
    match target {
        Target::File(_) => Duration::from_millis(500),
        Target::Kube(_) => Duration::from_secs(1),
    }
}

/// What a switch needs to be written, and to reach the proxies, before the margin begins.
const TIME_TO_STAGE: Duration = Duration::from_secs(1);

/// A switch that is staged for longer is more likely a slip than a plan; nobody looks after it for that long.
const FARTHEST: Duration = Duration::from_hours(1);

/// When a switch activates, as somebody says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after it is written.
    In(Duration),
    /// At this time, in Unix milliseconds.
    At(u64),
}

/// When a switch shall activate, and what is asked of the proxies until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// When.
    pub when: When,
    /// Half of the window in which requests are held, in milliseconds; none follows the clocks.
    pub hold_ms: Option<u64>,
    /// How long before the window every proxy must have staged it.
    pub margin: Duration,
    /// What becomes of it when one has not.
    pub on_lag: OnLag,
}

/// An instant that no switch can activate at. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInstant {
    /// It is over.
    #[error("{} is in the past, by {}", InWords(*.at), seconds(*.by))]
    Past {
        /// Unix milliseconds.
        at: u64,
        /// Since when, in microseconds.
        by: u64,
    },
    /// There is no time to stage it.
    #[error(
        "{} is {} away, which is too near: a switch with this hold and margin needs {}",
        InWords(*.at), seconds_at_most(*.left), seconds(*.needs)
    )]
    Near {
        /// Unix milliseconds.
        at: u64,
        /// How far away it is, in microseconds.
        left: u64,
        /// How far away it has to be, in microseconds.
        needs: u64,
    },
    /// It is too far away.
    #[error("{} is {} away: the farthest is one hour", InWords(*.at), seconds(*.left))]
    Far {
        /// Unix milliseconds.
        at: u64,
        /// How far away it is, in microseconds.
        left: u64,
    },
    /// No proxy holds requests for so long.
    #[error("a hold of {0} ms is too long: the longest is 1000 ms")]
    Hold(u64),
}

impl Schedule {
    /// The instant, now that it is this late, in Unix microseconds.
    pub fn due(&self, now: u64) -> Result<Due, InvalidInstant> {
        let at_ms = match self.when {
            When::At(at) => at,
            When::In(lead) => now.saturating_add(micros(lead)).div_ceil(1_000),
        };
        let hold_ms = self.hold_ms.unwrap_or(USUAL_HOLD_MS);
        if hold_ms > MOST_HOLD_MS {
            return Err(InvalidInstant::Hold(hold_ms));
        }
        let at = at_ms.saturating_mul(1_000);
        let Some(left) = at.checked_sub(now).filter(|left| *left > 0) else {
            let by = now.saturating_sub(at);
            return Err(InvalidInstant::Past { at: at_ms, by });
        };
        let needs = hold_ms * 1_000 + micros(self.margin) + micros(TIME_TO_STAGE);
        if left < needs {
            let at = at_ms;
            return Err(InvalidInstant::Near { at, left, needs });
        }
        if left > micros(FARTHEST) + 1_000 {
            return Err(InvalidInstant::Far { at: at_ms, left });
        }
        Ok(Due { at_ms, hold_ms })
    }

    /// The terms of a switch at that instant.
    pub(super) fn terms(&self, due: Due, patience: Duration, passes_over_clocks: bool) -> Terms {
        Terms {
            due,
            hold: match self.hold_ms {
                Some(_) => Hold::Given,
                None => Hold::FromClocks,
            },
            margin: micros(self.margin),
            patience: micros(patience),
            on_lag: self.on_lag,
            clocks: if passes_over_clocks {
                Clocks::PassedOver
            } else {
                Clocks::Checked
            },
        }
    }
}

/// A number of microseconds in seconds, as people read it.
fn seconds(micros: u64) -> String {
    let tenths = micros.div_ceil(100_000);
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// The same, rounded down: what is too little never looks like enough.
fn seconds_at_most(micros: u64) -> String {
    format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_294_800_000_000;

    fn schedule(when: When) -> Schedule {
        Schedule {
            when,
            hold_ms: Some(20),
            margin: Duration::from_millis(500),
            on_lag: OnLag::Cancel,
        }
    }

    #[track_caller]
    fn check(when: When, expected: Result<u64, &str>) {
        let due = schedule(when).due(NOW).map(|due| due.at_ms - NOW / 1_000);
        assert_eq!(
            due.map_err(|e| e.to_string()),
            expected.map_err(str::to_owned)
        );
    }

    #[test]
    fn an_instant_is_near_enough_and_far_enough_or_told() {
        let at = |ms: i64| When::At((NOW / 1_000).saturating_add_signed(ms));
        let lead = |ms| When::In(Duration::from_millis(ms));
        check(lead(5_000), Ok(5_000));
        check(lead(1_520), Ok(1_520));
        check(at(3_600_000), Ok(3_600_000));
        check(
            at(0),
            Err("2026-11-21T21:00:00.000Z is in the past, by 0.0 s"),
        );
        check(
            at(-90_000),
            Err("2026-11-21T20:58:30.000Z is in the past, by 90.0 s"),
        );
        let near = "2026-11-21T21:00:01.519Z is 1.5 s away, which is too near: a switch with this hold and margin needs 1.6 s";
        check(lead(1_519), Err(near));
        let far = "2026-11-21T22:00:00.002Z is 3600.1 s away: the farthest is one hour";
        check(at(3_600_002), Err(far));
        let long = Schedule {
            hold_ms: Some(1_001),
            ..schedule(lead(9_000))
        };
        assert_eq!(long.due(NOW), Err(InvalidInstant::Hold(1_001)));
    }

    #[test]
    fn a_time_between_two_milliseconds_is_the_later_one() {
        let due = schedule(When::In(Duration::from_secs(5))).due(NOW + 1);
        assert_eq!(due.unwrap().at_ms, NOW / 1_000 + 5_001);
    }
}
