//! A proxy's clocks, and the one that a staged switch goes by.

/// What can be read of a proxy's clocks, in nanoseconds.
pub trait Clock {
    /// Wall-clock time since 1970; none where it cannot be read.
    fn wall(&self) -> Option<i64>;

    /// Time since some moment that is the same for all workers of the proxy, and that no step of the
    /// wall clock moves; none where it cannot be read.
    fn monotonic(&self) -> Option<i64>;
}

/// Both clocks at one moment, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// [`Clock::wall`].
    pub wall: i64,
    /// [`Clock::monotonic`].
    pub monotonic: i64,
    /// They were read within this time of each other.
    pub width: i64,
}

/// Two clocks that were read within this time of each other, in nanoseconds, are read well enough.
const NARROW: i64 = 20_000;

/// How often both clocks are read, at most: a thread that is interrupted between them tries again.
const TRIES: u32 = 8;

impl Reading {
    /// Reads both clocks, as close to each other as a few tries bring them; none where one of them
    /// cannot be read.
    ///
    /// The wall clock is read between two looks at the other one. A thread that lost the processor
    /// there for a scheduler's slice would stage a switch with an error of milliseconds.
    pub fn take(clock: &impl Clock) -> Option<Self> {
        let mut best: Option<Self> = None;
        for _try in 0..TRIES {
            let before = clock.monotonic()?;
            let wall = clock.wall()?;
            let after = clock.monotonic()?;
            let width = after.saturating_sub(before).saturating_abs();
            if best.is_none_or(|best| width < best.width) {
                let monotonic = before.saturating_add(after.saturating_sub(before) / 2);
                best = Some(Self {
                    wall,
                    monotonic,
                    width,
                });
            }
            if width <= NARROW {
                break;
            }
        }
        best
    }

    /// What has to be added to the monotonic clock to get the wall clock of this moment.
    pub fn offset(&self) -> i64 {
        self.wall.saturating_sub(self.monotonic)
    }
}

/// A proxy's switch clock in Unix nanoseconds: the monotonic one, with the `offset` that was taken when
/// the switch was staged. A step of the wall clock since then does not move it.
pub fn switch_clock(clock: &(impl Clock + ?Sized), offset: i64) -> Option<i64> {
    if cfg!(feature = "broken-follows-clock") {
        return clock.wall();
    }
    Some(clock.monotonic()?.saturating_add(offset))
}

/// The wall clock in whole Unix seconds; where it cannot be read, later than any.
pub(crate) fn unix_seconds(clock: &(impl Clock + ?Sized)) -> u64 {
    let wall = clock.wall().and_then(|wall| u64::try_from(wall).ok());
    wall.map_or(u64::MAX, |wall| wall / 1_000_000_000)
}
