//! How long requests are held.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cutover_harness::{LocalFleet, Waited};

/// What a request may wait beyond the hold: a tick of the timer that releases it, and what a machine with two busy cores
/// makes of that.
const MORE: Duration = Duration::from_millis(5);

/// Holds that no request waited longer than 2 ε + 5 ms beyond what requests otherwise take.
///
/// Both are measured by the Envoys themselves: from the first byte of a request to the first byte that goes upstream, in
/// their access logs. So neither the client's nor the backend's wait for a CPU is in it; the Envoy's own is, and it is what
/// other requests of the same run have to wait for as well. Other requests are those that came outside of [T - ε, T + ε) by
/// the clock of their Envoy; there are many more of them, and what they take is the longest that any of them took. Where the
/// whole machine stalled around T, those that were held may take as much longer.
#[track_caller]
pub(crate) fn are_no_longer_than_the_hold(
    bed: &LocalFleet,
    at_ms: u64,
    half_width: Duration,
    stall: Duration,
) {
    let waits = bed.waits().unwrap();
    let at = i64::try_from(at_ms * 1_000).unwrap();
    let side = i64::try_from(half_width.as_micros()).unwrap();
    let is_held = |waited: &Waited| (waited.came_us - at).abs() < side;
    let (held, rest) = (waits.of(is_held), waits.of(|waited| !is_held(waited)));
    let most = 2 * side + i64::try_from(MORE.as_micros()).unwrap();
    let stall = i64::try_from(stall.as_micros()).unwrap();
    // Half of the time that they would wait beyond the hold, if it were twice as long as it should be.
    let end = at + side + side / 2 + stall + rest.quantile_us(990);
    let in_time = held.of(|waited| waited.came_us + waited.took_us <= end);
    let figures = format!(
        "{} held: half at most {} µs, longest {} µs, {} in time; {} others: half at most {} µs, longest {} µs; stall {} µs",
        held.count(),
        held.quantile_us(500),
        held.longest_us(),
        in_time.count(),
        rest.count(),
        rest.quantile_us(500),
        rest.longest_us(),
        stall,
    );
    // It shows that there were any, and that they were held: those of the first half of the window for at least the second.
    assert!(held.count() > 5 && held.longest_us() > side, "{figures}");
    let usual = rest.longest_us().max(stall);
    assert!(held.longest_us() <= most + usual, "{figures}");
    assert!(held.quantile_us(500) <= most + stall, "{figures}");
    assert!(in_time.count() * 4 >= held.count(), "{figures}");
}

/// The longest time around an instant in which this machine did not run a thread that wanted to run each millisecond: then
/// it may not have run an Envoy either. Returns when the instant is over.
pub(crate) fn longest_stall(at_ms: u64) -> Duration {
    let around = Duration::from_millis(500);
    let at = UNIX_EPOCH + Duration::from_millis(at_ms);
    let left = (at - around).duration_since(SystemTime::now());
    let left = left.unwrap_or_default();
    // From when it wanted to wake: a stall may have begun by then.
    let mut before = Instant::now() + left;
    thread::sleep(left);
    let mut longest = Duration::ZERO;
    loop {
        let now = Instant::now();
        longest = longest.max(now.saturating_duration_since(before));
        if SystemTime::now() >= at + around {
            return longest;
        }
        before = now;
        thread::sleep(Duration::from_millis(1));
    }
}
