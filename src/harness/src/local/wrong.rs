//! Clocks that are wrong, as tests/clock/clock.c makes them.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::time::{ClockId, clock_gettime};

/// How wrong the wall clock of a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WrongClock {
    /// How many nanoseconds it is ahead of the machine's.
    pub ahead_ns: i64,
    /// How many more nanoseconds it gets ahead in each second, from when it was set on.
    pub drift_ppb: i64,
}

impl WrongClock {
    /// Clocks that are off by up to `within_ns` either way: the first by all of it, the second by as much the other way,
    /// the last drifts by 50 parts in a million besides, which takes it less far within a minute.
    pub fn scattered(count: usize, within_ns: i64, seed: u64) -> Vec<Self> {
        let mut random = StdRng::seed_from_u64(seed ^ 0x636c_6f63_6b73);
        let mut clocks: Vec<_> = (0..count)
            .map(|_| Self {
                ahead_ns: random.random_range(-within_ns..=within_ns),
                drift_ppb: 0,
            })
            .collect();
        if let Some(last) = clocks.last_mut() {
            *last = Self {
                ahead_ns: -within_ns / 2,
                drift_ppb: 50_000,
            };
        }
        for (clock, ahead_ns) in clocks.iter_mut().zip([within_ns, -within_ns]) {
            clock.ahead_ns = ahead_ns;
        }
        clocks
    }

    /// Writes it where the library looks (`CUTOVER_CLOCK`); the process must have been started with that file.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(self, file: &Path) -> io::Result<()> {
        let now = clock_gettime(ClockId::Monotonic);
        let since = now.tv_sec * 1_000_000_000 + now.tv_nsec;
        let mut bytes = Vec::new();
        for number in [self.ahead_ns, self.drift_ppb, since] {
            bytes.extend_from_slice(&number.to_ne_bytes());
        }
        let mut options = OpenOptions::new();
        // Its place is mapped: another file in it would not be seen.
        let file = options
            .create(true)
            .write(true)
            .truncate(false)
            .open(file)?;
        file.write_all_at(&bytes, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_clocks_reach_both_ends_and_repeat() {
        let clocks = WrongClock::scattered(20, 10, 7);
        assert_eq!(clocks, WrongClock::scattered(20, 10, 7));
        assert_ne!(clocks, WrongClock::scattered(20, 10, 8));
        let ahead: Vec<_> = clocks.iter().map(|clock| clock.ahead_ns).collect();
        assert_eq!(
            (ahead.iter().max(), ahead.iter().min()),
            (Some(&10), Some(&-10))
        );
        let drift = clocks.iter().filter(|clock| clock.drift_ppb != 0);
        assert_eq!(drift.count(), 1);
    }
}
