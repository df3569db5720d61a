//! Every state of the protocol of a fleet's switch.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot be made has to stop, and a path that was found is worth a look"
)]

use cutover_model::{ALONE, Fault, Fleet, Move, PREPARED, SAFE, World, story};
use stateright::{Checker, HasDiscoveries, Model as _, Path};
use std::num::NonZero;

/// Looks at all states; the path to each property that does not hold, or, of one that shall be reached, to it.
#[track_caller]
fn searched(fleet: Fleet) -> impl Checker<Fleet> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let checker = fleet
        .checker()
        .threads(threads)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    println!(
        "{} states, {} of them different",
        checker.state_count(),
        checker.unique_state_count()
    );
    checker
}

/// Nothing is broken: every property holds in every state.
#[track_caller]
fn holds(fleet: Fleet) {
    let checker = searched(fleet);
    for (property, path) in checker.discoveries() {
        assert!(
            fleet.is_to_be_reached(property),
            "{property} does not hold:\n{}",
            story(&path)
        );
    }
    checker.assert_properties();
}

/// A property is broken, and this is how.
#[track_caller]
fn breaks(fleet: Fleet, property: &'static str) -> Path<World, Move> {
    let checker = searched(fleet);
    let found = checker.discovery(property);
    found.unwrap_or_else(|| panic!("no path breaks: {property}"))
}

#[test]
fn two_proxies_with_two_faults_never_mix_colors_unless_it_is_told() {
    holds(Fleet::of(2).with_faults(2));
}

#[test]
fn three_proxies_with_one_fault_never_mix_colors_unless_it_is_told() {
    holds(Fleet::of(3).with_faults(1));
}

#[test]
fn four_proxies_without_a_fault_never_mix_colors() {
    holds(Fleet::of(4).with_faults(0));
}

#[test]
fn a_hold_that_is_shorter_than_the_clocks_are_off_mixes_colors() {
    let path = breaks(Fleet::of(2).with_clocks_off_by(2), PREPARED);
    let told = story(&path);
    assert!(told.contains("serves green"), "{told}");
}

#[test]
fn each_broken_variant_mixes_colors() {
    for fault in [
        Fault::NoHold,
        Fault::HoldLateSideOnly,
        Fault::ResumesAtT,
        Fault::FollowsClock,
    ] {
        let path = breaks(Fleet::of(2).with(fault), PREPARED);
        println!("{fault:?}:\n{}", story(&path));
    }
    for fault in [Fault::StageNotAwaited, Fault::CancelAfterT] {
        let path = breaks(Fleet::of(2).with_faults(0).with(fault), SAFE);
        println!("{fault:?}:\n{}", story(&path));
    }
}

#[test]
fn a_staged_proxy_that_misses_the_cancel_switches_alone_and_is_named() {
    // Two failures: one proxy did not hear of the switch in time, another did not hear of the cancel.
    let fleet = Fleet::of(2).with_faults(2);
    let checker = searched(fleet);
    let path = checker.discovery(ALONE).unwrap();
    let told = story(&path);
    assert!(told.contains("cancelled; in doubt: {"), "{told}");
}
