//! Waiting until a planned instant, to some 50 microseconds.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::clock::Clock;

/// A timer of the kernel. The runtime's own timer has a grain of a millisecond: it would send
/// requests in bursts and count its own delay as the proxy's latency.
pub(crate) struct Pacer {
    timer: Option<AsyncFd<OwnedFd>>,
    /// The instant that the timer is set to and has not told of; 0 for none.
    set_to: u64,
}

impl Pacer {
    /// Makes a timer; the runtime's own serves when the kernel has none to give.
    pub(crate) fn new() -> Self {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)
            .ok()
            .and_then(registered);
        Self { timer, set_to: 0 }
    }

    /// Waits until an instant of the clock, in nanoseconds; not at all when it has passed. May be
    /// dropped and called again.
    pub(crate) async fn until(&mut self, clock: &Clock, instant: u64) {
        loop {
            let left = instant.saturating_sub(clock.now());
            if left == 0 {
                return;
            }
            // Who waits beside other things comes back here often, for the same instant.
            let expired = match &self.timer {
                Some(timer) if self.set_to == instant || set(timer, left).is_ok() => {
                    self.set_to = instant;
                    expired(timer).await.is_ok()
                }
                _ => false,
            };
            self.set_to = 0;
            if !expired {
                tokio::time::sleep(Duration::from_nanos(left)).await;
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "its replacement is unsafe code; an `OwnedFd` stays the same open file while it lives"
)]
fn registered(timer: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
    AsyncFd::new(timer).ok()
}

/// Sets a timer; that also forgets an expiry that nobody read.
fn set(timer: &AsyncFd<OwnedFd>, left: u64) -> std::io::Result<()> {
    let whole = Duration::from_nanos(left);
    let value = Timespec {
        tv_sec: i64::try_from(whole.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(whole.subsec_nanos()),
    };
    let interval = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let once = Itimerspec {
        it_interval: interval,
        it_value: value,
    };
    timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &once)?;
    Ok(())
}

/// Waits until a timer has expired.
async fn expired(timer: &AsyncFd<OwnedFd>) -> std::io::Result<()> {
    loop {
        let mut ready = timer.readable().await?;
        let mut expiries = [0; 8];
        match ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut expiries)?)) {
            Ok(read) => return read.map(|_| ()),
            Err(_not_yet) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wakes_at_the_instant_and_not_before() {
        let clock = Clock::start();
        let mut pacer = Pacer::new();
        assert!(pacer.timer.is_some());
        for step in 1..=20 {
            let instant = step * 700_000;
            pacer.until(&clock, instant).await;
            assert!(clock.now() >= instant);
        }
        pacer.until(&clock, 0).await;
    }

    #[tokio::test]
    async fn dropped_wait_does_not_shorten_the_next() {
        let clock = Clock::start();
        let mut pacer = Pacer::new();
        for _ in 0..10 {
            let short = clock.now() + 100_000;
            let waited = tokio::time::timeout(
                Duration::from_micros(1),
                pacer.until(&clock, short + 2_000_000),
            );
            drop(waited.await);
            let instant = clock.now() + 300_000;
            pacer.until(&clock, instant).await;
            assert!(clock.now() >= instant);
        }
    }
}
