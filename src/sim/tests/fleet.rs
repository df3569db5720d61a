//! A fleet of the real module, flipped in each way.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has to stop, also in functions beside the tests"
)]

use std::path::Path;

use cutover_checker::Verdict;
use cutover_sim::{Flip, Module, Outturn, Run, Trial, Way};

const MS: u64 = 1_000_000;

fn module() -> Module {
    Module::new(&std::fs::read(cutover_tests::module()).unwrap()).unwrap()
}

/// A fleet that is large enough to mix, and small enough for a test.
fn trial() -> Trial {
    Trial {
        proxies: 24,
        requests: 2_400,
        ..Trial::default()
    }
}

fn flipped(trial: &Trial, flip: Flip, threads: usize, history: Option<&Path>) -> Outturn {
    let module = module();
    let plan = |proxy| trial.plan(proxy);
    let run = Run {
        module: &module,
        proxies: trial.proxies,
        plan: &plan,
        flip,
        until: trial.times().until,
        window: trial.window(),
        seed: trial.seed,
        workers: trial.workers,
        command: "cutover sim",
        threads,
        tell: false,
    };
    cutover_sim::run(&run, history).unwrap()
}

fn mixed(outturn: &Outturn) -> u64 {
    outturn.mixed_ns().unwrap()
}

#[test]
fn a_plain_flip_mixes_for_as_long_as_the_push_takes_from_the_first_proxy_to_the_last() {
    let outturn = flipped(&trial(), trial().flip(Way::Plain), 2, None);
    assert!(matches!(outturn.judgement.verdict, Verdict::Violated(_)));
    assert!(
        (100 * MS..235 * MS).contains(&mixed(&outturn)),
        "{}",
        mixed(&outturn)
    );
    assert!(outturn.deeds.done && outturn.failed == 0 && outturn.waited == 0);
}

#[test]
fn a_scheduled_flip_mixes_for_no_longer_than_the_clocks_are_apart() {
    let outturn = flipped(&trial(), trial().flip(Way::Scheduled), 2, None);
    assert!(matches!(outturn.judgement.verdict, Verdict::Violated(_)));
    assert!(
        (1..=20 * MS).contains(&mixed(&outturn)),
        "{}",
        mixed(&outturn)
    );
    assert!(outturn.deeds.done && outturn.failed == 0 && outturn.waited == 0);
}

#[test]
fn a_held_flip_holds_and_nobody_waits_longer_than_the_window_and_a_tick() {
    let outturn = flipped(&trial(), trial().flip(Way::Held), 2, None);
    assert_eq!(outturn.judgement.verdict, Verdict::Holds);
    assert_eq!(mixed(&outturn), 0);
    assert!(outturn.deeds.done && outturn.failed == 0 && outturn.waited > 0);
    assert!(outturn.longest_wait <= 45 * MS, "{}", outturn.longest_wait);
}

#[test]
fn a_hold_that_is_too_short_for_the_clocks_is_refused_beforehand_and_caught_if_it_is_not() {
    let short = Trial {
        hold_ms: 3,
        ..trial()
    };
    let refused = flipped(&short, short.flip(Way::Held), 2, None);
    assert_eq!(refused.deeds.pushes.len(), 2, "{:?}", refused.deeds);
    assert!(!refused.deeds.done && !matches!(refused.judgement.verdict, Verdict::Violated(_)));
    let blind = Flip {
        checks_clocks: false,
        ..short.flip(Way::Held)
    };
    let outturn = flipped(&short, blind, 2, None);
    assert!(matches!(outturn.judgement.verdict, Verdict::Violated(_)));
}

#[test]
fn a_run_repeats_byte_for_byte_whatever_the_number_of_threads() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let history = |name: &str, threads| {
        let path = folder.join(name);
        let outturn = flipped(&trial(), trial().flip(Way::Held), threads, Some(&path));
        (std::fs::read(path).unwrap(), outturn)
    };
    let (first, outturn) = history("first", 1);
    assert!(first.len() > 100_000);
    for threads in [1, 3] {
        let (again, same) = history("again", threads);
        assert!(
            first == again,
            "the history of {threads} threads is another one"
        );
        assert_eq!(outturn, same);
    }
    let other = Trial { seed: 8, ..trial() };
    let path = folder.join("other");
    flipped(&other, other.flip(Way::Held), 1, Some(&path));
    assert!(
        first != std::fs::read(path).unwrap(),
        "the seed makes no difference"
    );
}
