//! Schedules within the assumptions hold, and each way to break the protocol is found.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has to stop, also in functions beside the tests"
)]

use std::path::Path;

use cutover_sim::{Assumption, Failing, Findings, Module, Search, Variant};

/// How many seeds are enough to find anything that is broken.
const ENOUGH: u64 = 40;

/// How many are tried with what is not broken.
const MANY: u64 = 200;

fn searched(module: &Path, variant: Variant, within: bool, seeds: u64) -> Findings {
    let module = Module::new(&std::fs::read(module).unwrap()).unwrap();
    let search = Search {
        module: &module,
        variant,
        threads: 2,
        within,
    };
    search.seeds(0..seeds).unwrap()
}

#[test]
fn no_schedule_within_the_assumptions_is_violated_and_some_beyond_them_are() {
    let found = searched(&cutover_tests::module(), Variant::AsBuilt, false, MANY);
    let story = found.failing.map(|failing| failing.story);
    assert_eq!(story, None);
    assert!(found.within > MANY / 2);
    for assumption in [
        Assumption::Clocks,
        Assumption::Staged,
        Assumption::Cancelled,
    ] {
        let (tried, violated) = found.beyond.get(&assumption).copied().unwrap_or_default();
        assert!(violated > 0, "{assumption:?}: {violated} of {tried}");
    }
}

/// Finds what is broken, and checks that the story is a short one.
#[track_caller]
fn check(module: &Path, variant: Variant) -> Failing {
    let found = searched(module, variant, true, ENOUGH);
    let failing = found.failing.unwrap();
    let plans = &failing.schedule.plans;
    let asks: usize = plans.iter().map(|plan| plan.asks.len()).sum();
    assert!(plans.len() <= 3 && asks <= 6, "{}", failing.story);
    assert!(
        failing.story.contains("pushes generation 2, green"),
        "{}",
        failing.story
    );
    assert!(failing.story.contains("violated"), "{}", failing.story);
    failing
}

fn broken(fault: &str) -> Failing {
    check(&cutover_tests::broken_module(fault), Variant::AsBuilt)
}

#[test]
fn a_filter_that_does_not_hold_is_found() {
    broken("no-hold");
}

#[test]
fn a_filter_that_holds_on_the_late_side_only_is_found() {
    broken("hold-late-side-only");
}

#[test]
fn a_filter_that_resumes_at_t_is_found() {
    broken("resumes-at-t");
}

#[test]
fn a_filter_that_follows_the_wall_clock_is_found_by_a_step() {
    let failing = broken("follows-clock");
    assert!(
        failing.story.contains("its wall clock steps"),
        "{}",
        failing.story
    );
}

#[test]
fn an_operator_who_does_not_wait_for_the_stage_is_found() {
    check(&cutover_tests::module(), Variant::StageNotAwaited);
}

#[test]
fn an_operator_who_cancels_after_t_is_found() {
    let failing = check(&cutover_tests::module(), Variant::CancelAfterT);
    assert!(failing.story.contains(", blue"), "{}", failing.story);
}

#[test]
fn a_seed_fails_with_the_same_story_each_time() {
    let module = cutover_tests::broken_module("no-hold");
    let story = || check(&module, Variant::AsBuilt).story;
    assert_eq!(story(), story());
}
