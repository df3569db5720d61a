//! The clocks of a proxy's machine, as functions of true time.

/// Unix time at the start of every run, ns: any instant would do.
pub const EPOCH: u64 = 1_795_294_800_000_000_000;

/// What a machine's monotonic clock shows at the start of every run, ns.
const UPTIME: u64 = 86_400_000_000_000;

/// The clocks of one machine.
///
/// True time is the clock of whoever flips: `T` is an instant of that clock, and "wrong" means wrong against it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// How far the wall clock is ahead at the start of the run, ns.
    pub offset: i64,
    /// By how much both clocks run too fast, parts per billion.
    pub drift: i64,
    /// Steps of the wall clock, by their true time; the monotonic clock takes none of them.
    pub steps: Vec<Step>,
}

/// A step of a wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, in true time from the start of the run, ns.
    pub at: u64,
    /// How far forward, ns.
    pub by: i64,
}

/// What a machine's clocks show at one instant, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock: Unix time.
    pub wall: u64,
    /// The monotonic clock.
    pub monotonic: u64,
}

impl Clock {
    /// What the clocks show at an instant of true time.
    pub fn at(&self, now: u64) -> Reading {
        let steps = self.steps.iter().filter(|step| step.at <= now);
        let stepped: i64 = steps.map(|step| step.by).sum();
        Reading {
            wall: shift(shift(EPOCH.saturating_add(now), self.error(now)), stepped),
            monotonic: shift(UPTIME.saturating_add(now), self.drifted(now)),
        }
    }

    /// How far the wall clock is ahead of true time, steps left out, ns.
    pub fn error(&self, now: u64) -> i64 {
        self.offset.saturating_add(self.drifted(now))
    }

    fn drifted(&self, now: u64) -> i64 {
        let drifted = i128::from(now) * i128::from(self.drift) / 1_000_000_000;
        i64::try_from(drifted).unwrap_or_default()
    }
}

fn shift(instant: u64, by: i64) -> u64 {
    instant.saturating_add_signed(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_moves_the_wall_clock_and_not_the_monotonic_one() {
        let clock = Clock {
            offset: -5,
            drift: 1_000_000,
            steps: vec![Step {
                at: 2_000,
                by: -300,
            }],
        };
        let (before, after) = (clock.at(1_000), clock.at(2_000));
        assert_eq!(before.wall, EPOCH + 1_000 + 1 - 5);
        assert_eq!(before.monotonic, UPTIME + 1_001);
        assert_eq!(after.wall, EPOCH + 2_000 + 2 - 5 - 300);
        assert_eq!(after.monotonic, UPTIME + 2_002);
    }
}
