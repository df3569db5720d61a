//! When a switch activates, and the window around that instant in which nobody is told a color.

use std::time::Duration;

/// When a switch activates: an instant, and how far clocks may be from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Activation {
    at: u64,
    hold: u32,
}

/// Where an instant lies to an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before the window: the switch before still rules.
    Before,
    /// Within the window: another proxy's clock may say before, a third one's after. What is left of it.
    Within(Duration),
    /// After the window: the switch rules.
    After,
}

const NANOS: i64 = 1_000_000;

impl Activation {
    /// The latest instant, in Unix milliseconds (the year 2255): nanoseconds of it fit in 64 bits.
    pub const LATEST: u64 = 9_000_000_000_000;

    /// The longest hold, in milliseconds.
    pub const LONGEST: u32 = 1000;

    /// An activation at `at`, in Unix milliseconds, with a window of `hold` milliseconds before and
    /// after it; none when one of them is out of bounds.
    pub fn new(at: u64, hold: u32) -> Option<Self> {
        ((1..=Self::LATEST).contains(&at) && hold <= Self::LONGEST).then_some(Self { at, hold })
    }

    /// The instant, in Unix milliseconds.
    pub fn at(self) -> u64 {
        self.at
    }

    /// Half the width of the window, in milliseconds.
    pub fn hold(self) -> u32 {
        self.hold
    }

    /// Where `x` lies, in Unix nanoseconds of the switch clock.
    pub fn phase(self, x: i64) -> Phase {
        let (from, until) = self.window();
        if x < from {
            Phase::Before
        } else if x < until {
            Phase::Within(span(x, until))
        } else {
            Phase::After
        }
    }

    /// The time from `x` to the end of the window; zero when it is over.
    pub fn remaining(self, x: i64) -> Duration {
        span(x, self.window().1)
    }

    /// From when requests are held, and until when.
    fn window(self) -> (i64, i64) {
        let at = i64::try_from(self.at).unwrap_or(0).saturating_mul(NANOS);
        let hold = i64::from(self.hold).saturating_mul(NANOS);
        let (before, after) = (at.saturating_sub(hold), at.saturating_add(hold));
        if cfg!(feature = "broken-no-hold") {
            (at, at)
        } else if cfg!(feature = "broken-hold-late-side-only") {
            (at, after)
        } else if cfg!(feature = "broken-resumes-at-t") {
            (before, at)
        } else {
            (before, after)
        }
    }
}

fn span(from: i64, until: i64) -> Duration {
    Duration::from_nanos(until.saturating_sub(from).try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_belong_to_what_is_allowed() {
        let latest = Activation::LATEST;
        assert!(Activation::new(1, 0).is_some());
        assert!(Activation::new(latest, Activation::LONGEST).is_some());
        assert!(Activation::new(0, 0).is_none());
        assert!(Activation::new(latest + 1, 0).is_none());
        assert!(Activation::new(1, Activation::LONGEST + 1).is_none());
    }
}
