//! The clock line of one run of the tool.

use std::{
    fmt,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Wall-clock time as it was at the beginning, and monotonic time since: a step of the wall clock in between
/// moves nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockLine {
    /// Unix microseconds.
    wall: u64,
    began: Instant,
}

impl ClockLine {
    /// Begins now.
    pub(crate) fn start() -> Self {
        let began = Instant::now();
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            wall: micros(wall),
            began,
        }
    }

    /// Unix microseconds.
    pub(crate) fn now(&self) -> u64 {
        self.wall.saturating_add(micros(self.began.elapsed()))
    }

    /// The instant of a time on this line; that of its beginning for one before.
    pub(crate) fn instant(&self, at: u64) -> Instant {
        self.began + Duration::from_micros(at.saturating_sub(self.wall))
    }
}

/// A time in microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// An instant in Unix milliseconds, as people read it: `2026-11-21T21:30:00.000Z`.
#[derive(Clone, Copy, Debug)]
pub struct InWords(pub u64);

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = i64::try_from(self.0).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(at) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}
