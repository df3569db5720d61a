//! The operator's part of a switch that a whole fleet makes at one instant, as a state machine.
//!
//! It reads no clock, and asks and tells nobody: whoever runs it says what time it is and what proxies
//! show, and does what comes out. Times are Unix microseconds on one line: the operator's wall clock,
//! read once, and a monotonic clock from there on.

mod action;
mod clock;
mod protocol;

pub use action::{Action, Outcome};
pub use clock::{Clock, Edges};
pub use protocol::Protocol;

use crate::Generation;

/// The most that a switch may hold requests on either side of its instant, in milliseconds.
pub const MOST_HOLD_MS: u64 = 1_000;

/// When a switch activates, in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Due {
    /// The instant T, as Unix milliseconds.
    pub at_ms: u64,
    /// Half of the window around it in which requests are held.
    pub hold_ms: u64,
}

impl Due {
    /// When the first clock that is right begins to hold requests: T - hold, in microseconds.
    pub fn opens(self) -> u64 {
        self.at_ms
            .saturating_sub(self.hold_ms)
            .saturating_mul(1_000)
    }

    /// From when on a clock that is right decides new: T + hold, in microseconds.
    pub fn closes(self) -> u64 {
        self.at_ms
            .saturating_add(self.hold_ms)
            .saturating_mul(1_000)
    }
}

/// What is asked of a switch at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// When, and the hold to begin with.
    pub due: Due,
    /// Where the hold is from.
    pub hold: Hold,
    /// How long before the window opens every proxy must have staged it, in microseconds: what a cancel
    /// has to arrive in.
    pub margin: u64,
    /// How long after the window has closed proxies may take to show it, in microseconds.
    pub patience: u64,
    /// What becomes of it when a proxy has not staged it in time.
    pub on_lag: OnLag,
    /// Whether a clock that is off by more than the hold counts as such a lag.
    pub clocks: Clocks,
}

impl Terms {
    /// When it is decided whether the switch goes on.
    pub fn gate(&self) -> u64 {
        self.due.opens().saturating_sub(self.margin)
    }
}

/// Where a hold is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hold {
    /// Somebody chose it: a clock that needs more is a lag.
    Given,
    /// It follows the clocks: one that needs more makes the switch be staged again with twice that.
    FromClocks,
}

/// What becomes of a switch that a proxy has not staged in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnLag {
    /// A newer generation keeps the old color.
    Cancel,
    /// It goes on: that proxy switches when it hears of it.
    Proceed,
}

/// Whether clocks are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clocks {
    /// Each one has to be measured, and to be within the hold.
    Checked,
    /// Whatever they show, it goes on.
    PassedOver,
}

/// What a proxy shows of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    /// The generation that rules; none where nothing is committed.
    pub generation: Option<Generation>,
    /// The generation that is staged.
    pub staged: Option<Generation>,
    /// Its switch clock, where that is measured by now.
    pub clock: Option<Clock>,
    /// Whether it has counted a switch as late since the beginning.
    pub late: bool,
}

/// Why a proxy is not ready for the instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lag {
    /// It gave no answer since the switch was pushed.
    Silent,
    /// It has not staged the switch.
    NotStaged,
    /// The switch rules there already.
    Early,
    /// Its clock is not measured.
    Unmeasured,
    /// Its clock may be further off than the hold.
    ClockOff(Clock),
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
