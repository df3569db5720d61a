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
}

impl Pacer {
    /// Makes a timer; the runtime's own serves when the kernel has none to give.
    pub(crate) fn new() -> Self {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)
            .ok()
            .and_then(registered);
        Self { timer }
    }

    /// Waits until an instant of the clock, in nanoseconds; not at all when it has passed. May be
    /// dropped and called again.
    pub(crate) async fn until(&self, clock: &Clock, instant: u64) {
        loop {
            let left = instant.saturating_sub(clock.now());
            if left == 0 {
                return;
            }
            let expired = match &self.timer {
                Some(timer) => expire(timer, left).await.is_ok(),
                None => false,
            };
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

async fn expire(timer: &AsyncFd<OwnedFd>, left: u64) -> std::io::Result<()> {
    let whole = Duration::from_nanos(left);
    let value = Timespec {
        tv_sec: i64::try_from(whole.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(whole.subsec_nanos()),
    };
    let once = Itimerspec {
        it_interval: Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
        it_value: value,
    };
    // Setting a timer also forgets an expiry that nobody read.
    timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &once)?;
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
        let pacer = Pacer::new();
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
        let pacer = Pacer::new();
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
