//! How far a proxy's switch clock is off, told from the outside.
//!
//! While a switch is staged a proxy shows its clock again and again. A value that was not there at
//! one look and is there at the next was read in between: not before the first look began, and not
//! after the second one ended.

use super::MOST_HOLD_MS;

/// A clock beside the operator's: true is that its difference lies within `offset ± error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Clock {
    /// By how many microseconds it is ahead; behind, when it is negative.
    pub offset: i64,
    /// By how many microseconds that may be wrong, either way.
    pub error: u64,
}

impl Clock {
    /// The most that it can be off, in microseconds.
    pub fn worst(self) -> u64 {
        self.offset.unsigned_abs().saturating_add(self.error)
    }

    /// The least that it is off, in microseconds.
    pub fn least(self) -> u64 {
        self.offset.unsigned_abs().saturating_sub(self.error)
    }

    /// Whether no hold covers it: one that follows the clocks is twice what they are off.
    pub fn is_beyond_holds(self) -> bool {
        self.least() > MOST_HOLD_MS * 1_000 / 2
    }
}

/// What looks at a clock have told so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Edges {
    last: Option<Look>,
    best: Option<Range>,
    /// What all edges have in common; none where they contradict each other.
    common: Option<Range>,
    /// What covers all of them.
    hull: Option<Range>,
    count: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Look {
    shown: u64,
    began: u64,
}

/// The difference of two clocks lies in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Range {
    low: i64,
    high: i64,
}

impl Range {
    fn width(self) -> u64 {
        self.high.abs_diff(self.low)
    }
}

impl Edges {
    /// Takes in a look that began and ended at these times, and the clock that it showed; all in
    /// microseconds.
    pub fn see(&mut self, began: u64, ended: u64, shown: u64) {
        let last = self.last.replace(Look { shown, began });
        let Some(last) = last.filter(|last| last.shown != shown) else {
            return;
        };
        let edge = Range {
            low: difference(shown, ended),
            high: difference(shown, last.began),
        };
        self.count += 1;
        if self.best.is_none_or(|best| edge.width() < best.width()) {
            self.best = Some(edge);
        }
        let Some(hull) = &mut self.hull else {
            (self.common, self.hull) = (Some(edge), Some(edge));
            return;
        };
        hull.low = hull.low.min(edge.low);
        hull.high = hull.high.max(edge.high);
        self.common = self.common.and_then(|common| {
            let low = common.low.max(edge.low);
            let high = common.high.min(edge.high);
            (low <= high).then_some(Range { low, high })
        });
    }

    /// How many times the clock was seen to have moved.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// What the narrowest edge tells; none before the first one. Where edges contradict each other (a
    /// worker stood still between reading its clock and showing it), what covers them all.
    pub fn clock(&self) -> Option<Clock> {
        let range = self.common.and(self.best).or(self.hull)?;
        let offset = range.low.midpoint(range.high);
        let error = range.high.abs_diff(offset).max(offset.abs_diff(range.low));
        Some(Clock { offset, error })
    }
}

/// By how much one time is after another.
fn difference(one: u64, other: u64) -> i64 {
    let apart = i64::try_from(one.abs_diff(other)).unwrap_or(i64::MAX);
    if one >= other { apart } else { -apart }
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
