//! The one clock of a run.

use std::time::{Duration, Instant};

/// The monotonic clock of a run: nanoseconds since its start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts the clock: this instant is 0.
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Nanoseconds since the start.
    pub fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// An instant on this clock, in nanoseconds; 0 for instants before its start.
    pub fn at(&self, instant: Instant) -> u64 {
        nanos(instant.saturating_duration_since(self.start))
    }

    /// The instant of a time of this clock.
    pub(crate) fn instant(&self, at: u64) -> Instant {
        self.start + Duration::from_nanos(at)
    }
}

/// A duration in whole nanoseconds; 584 years at most.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_counted_from_the_start() {
        let clock = Clock::start();
        let later = clock.start + Duration::from_micros(7);
        assert_eq!(clock.at(later), 7_000);
        assert_eq!(clock.instant(7_000), later);
        assert!(clock.now() <= clock.now());
    }
}
