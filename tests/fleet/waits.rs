//! How long requests are held.

use std::time::Duration;

use cutover_harness::{LocalFleet, Waited};

/// What a request may wait beyond the hold: a tick of the timer that releases it, and what a machine with two busy cores
/// makes of that.
const MORE: Duration = Duration::from_millis(5);

/// Holds that no request waited longer than 2 ε + 5 ms beyond what requests otherwise take.
///
/// Both are measured by the Envoys themselves: from the first byte of a request to the first byte that goes upstream, in
/// their access logs. So neither the client's nor the backend's wait for a CPU is in it; the Envoy's own is, and it is what
/// other requests of the same run have to wait for as well. Other requests are those that came outside of [T - ε, T + ε) by
/// the clock of their Envoy; there are many more of them, and what they take is the longest that any of them took.
#[track_caller]
pub(crate) fn are_no_longer_than_the_hold(bed: &LocalFleet, at_ms: u64, half_width: Duration) {
    let waits = bed.waits().unwrap();
    let at = i64::try_from(at_ms * 1_000).unwrap();
    let side = i64::try_from(half_width.as_micros()).unwrap();
    let is_held = |waited: &Waited| (waited.came_us - at).abs() < side;
    let (held, rest) = (waits.of(is_held), waits.of(|waited| !is_held(waited)));
    let most = 2 * side + i64::try_from(MORE.as_micros()).unwrap();
    let figures = format!(
        "{} held: half at most {} µs, longest {} µs; {} others: half at most {} µs, longest {} µs",
        held.count(),
        held.quantile_us(500),
        held.longest_us(),
        rest.count(),
        rest.quantile_us(500),
        rest.longest_us(),
    );
    // It shows that there were any, and that they were held: those of the first half of the window for at least the second.
    assert!(held.count() > 5 && held.longest_us() > side, "{figures}");
    assert!(held.longest_us() <= most + rest.longest_us(), "{figures}");
    assert!(held.quantile_us(500) <= most, "{figures}");
}
