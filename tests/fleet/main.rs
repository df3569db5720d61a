//! A fleet of twenty Envoys on this machine: pushes reach them within two seconds, each in its own time, clocks are off by up
//! to ±10 ms, and one drifts. Every request of the load goes to the checker.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot be made has to stop"
)]

mod history;
mod killed;
mod stage;
mod waits;
mod weather;

use std::thread;
use std::time::Duration;

use cutover_checker::{Rule, Verdict};
use cutover_harness::WrongClock;
use cutover_history::Color;
use history::flip;
use stage::{CLOCKS_MS, SKEW, Stage};

/// How long before its time a switch is written that nobody watches: a busy machine has to have staged it by then.
const AHEAD_MS: u64 = 8_000;

/// The Envoy whose clock is wrong by more than the hold, once: by so much that a busy machine makes requests in between.
const FAR: usize = 3;
const FAR_MS: u64 = 2_000;

/// The same fleet, flipped in one way after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_proxies_are_mixed_by_a_plain_flip_and_not_by_a_held_one() {
    let _alone = stage::alone().await;
    let mut stage = Stage::open().await;
    a_plain_flip_mixes_colors_for_as_long_as_the_push_takes(&mut stage).await;
    without_hold_the_window_is_the_clocks(&mut stage).await;
    with_hold_there_is_no_window_and_no_wait_but_the_hold(&mut stage).await;
    a_hold_below_the_clocks_is_caught(&mut stage).await;
}

async fn a_plain_flip_mixes_colors_for_as_long_as_the_push_takes(stage: &mut Stage) {
    stage.begin().await;
    let now = ["flip", "green", "--now", "--yes"];
    stage.switched(&now, Color::Green).await;
    let run = stage.judged().await;
    let Verdict::Violated(witness) = &run.verdict else {
        panic!("{}", run.verdict);
    };
    assert_eq!(witness.rule, Rule::Stale);
    let mixed = Duration::from_nanos(flip(&run).mixed_ns.unwrap());
    let landed = Duration::from_nanos(flip(&run).acknowledged_ns.unwrap());
    assert!(mixed > SKEW / 2 && mixed < landed, "{mixed:?}, {landed:?}");
    assert_eq!(run.figures.total().failed, 0);
}

async fn without_hold_the_window_is_the_clocks(stage: &mut Stage) {
    stage.begin().await;
    let switch = stage.by_hand(Color::Blue, AHEAD_MS, 0);
    stage.switched_by_hand(switch).await;
    let run = stage.judged().await;
    // Of two clocks, one is 10 ms ahead and one as much behind.
    let mixed = Duration::from_nanos(flip(&run).mixed_ns.unwrap());
    let clocks = Duration::from_millis(2 * CLOCKS_MS);
    assert!(mixed <= clocks, "{mixed:?}");
    // Mostly a request comes at the right time to see it.
    if let Verdict::Violated(witness) = &run.verdict {
        assert_eq!(witness.rule, Rule::Stale);
    }
}

async fn with_hold_there_is_no_window_and_no_wait_but_the_hold(stage: &mut Stage) {
    // A machine that has other work stops all of it for a while.
    stage.begin_with(Duration::from_secs(1)).await;
    let switch = stage.by_hand(Color::Green, AHEAD_MS, 20);
    let at = switch.at;
    let stall = thread::spawn(move || waits::longest_stall(at));
    stage.switched_by_hand(switch).await;
    let run = stage.judged().await;
    assert_eq!(run.verdict, Verdict::Holds, "{}", run.verdict);
    assert_eq!((flip(&run).mixed_ns, flip(&run).stale), (Some(0), 0));
    assert_eq!(run.figures.total().failed, 0);
    let (half_width, stall) = (Duration::from_millis(20), stall.join().unwrap());
    waits::are_no_longer_than_the_hold(&stage.bed, at, half_width, stall);
}

async fn a_hold_below_the_clocks_is_caught(stage: &mut Stage) {
    let far = WrongClock {
        ahead_ns: i64::try_from(FAR_MS * 1_000_000).unwrap(),
        drift_ppb: 0,
    };
    let near = stage.bed.clock(FAR).unwrap();
    stage.bed.set_clock(FAR, far).unwrap();
    stage.until_nothing_is_staged().await;

    stage.begin().await;
    let switch = stage.by_hand(Color::Blue, AHEAD_MS + FAR_MS, 20);
    stage.switched_by_hand(switch).await;
    let run = stage.judged().await;
    let Verdict::Violated(witness) = &run.verdict else {
        panic!("{}", run.verdict);
    };
    assert_eq!(witness.rule, Rule::Stale);
    let mixed = Duration::from_nanos(flip(&run).mixed_ns.unwrap());
    // What that clock and the one farthest behind are apart, less what is held on either side.
    let most = Duration::from_millis(FAR_MS + CLOCKS_MS - 2 * 20);
    assert!(mixed <= most, "{mixed:?}");
    stage.bed.set_clock(FAR, near).unwrap();
}

/// All that can happen to a fleet between the push and T. Nobody is there who would look after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staged_switch_holds_while_proxies_die_come_and_stand_still() {
    let _alone = stage::alone().await;
    let mut stage = Stage::open().await;
    stage.begin().await;
    weather::on_the_way_to_t(&mut stage).await;
    let run = stage.judged().await;
    // While an Envoy is dead nobody can see what it would have answered: that alone leaves a verdict open.
    let open = matches!(run.verdict, Verdict::Holds | Verdict::Inconclusive(_));
    assert!(open && run.figures.violations.is_empty(), "{}", run.verdict);
    assert_eq!((flip(&run).mixed_ns, flip(&run).stale), (Some(0), 0));
    let total = run.figures.total();
    assert_eq!(total.failed + total.timed_out, total.excused, "{total:?}");
}
