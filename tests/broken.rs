//! Each broken build of the filter is caught by a run in which the filter as it is breaks no rule.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be made has to stop, also in functions beside the tests"
)]

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::time::Duration;

use cutover_checker::{Judgement, Rule, Verdict, judge};
use cutover_harness::{Plan, Rate, Shares, run};
use cutover_history::Reader;

/// A run of a few seconds with one Envoy, each kind of weather, and more of what clients should not
/// send than is usual; judged.
async fn judged(module: PathBuf) -> Judgement {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let mut plan = Plan::new(cutover_tests::envoy(), module, &history, 20);
    plan.proxies = 1;
    plan.flips = 4;
    plan.pause = Duration::from_millis(100);
    // Reads are looked for in two windows: a busy machine may make none for a while.
    plan.window = Duration::from_millis(500);
    plan.deadline = Duration::from_secs(3);
    for rate in [&mut plan.load.h1, &mut plan.load.h2] {
        rate.per_second = 250.0;
    }
    // Some of these have begun before each flip and are answered after it.
    plan.load.upload = Rate {
        per_second: 40.0,
        clients: 4,
    };
    plan.load.stream_for = Duration::from_millis(400);
    plan.load.shares = Shares {
        forged: 0.1,
        overridden: 0.01,
        invalid: 0.05,
    };
    run(&plan, &()).await.unwrap();
    let reader = Reader::new(BufReader::new(File::open(&history).unwrap())).unwrap();
    let header = reader.header().clone();
    judge(&header, reader).unwrap()
}

async fn check(fault: &str, expect: Rule) {
    let Judgement { verdict, figures } = judged(cutover_tests::broken_module(fault)).await;
    let Verdict::Violated(witness) = &verdict else {
        panic!("{fault} was not caught: {verdict} {figures:#?}")
    };
    assert_eq!(witness.rule, expect, "{verdict}");
}

/// Without a violation, the verdict may still be inconclusive: flips follow kills too closely for a
/// claim about windows. That such a run holds is shown by `cutover-harness`.
#[tokio::test]
async fn the_filter_as_it_is_breaks_no_rule_in_the_same_run() {
    let Judgement { verdict, figures } = judged(cutover_tests::module()).await;
    assert!(!matches!(verdict, Verdict::Violated(_)), "{verdict}");
    assert!(figures.violations.is_empty(), "{figures:#?}");
    assert!(figures.reads > 500, "{figures:#?}");
    for flip in &figures.flips {
        let seen = flip.reads_before > 0 && flip.reads_after > 0;
        assert!(seen && flip.acknowledged_ns.is_some(), "{flip:#?}");
    }
    assert!(figures.flips.len() >= 4, "{figures:#?}");
}

#[tokio::test]
async fn per_worker_is_caught_as_stale() {
    check("per-worker", Rule::Stale).await;
}

#[tokio::test]
async fn commits_older_is_caught_as_stale() {
    check("commits-older", Rule::Stale).await;
}

#[tokio::test]
async fn decides_twice_is_caught_as_redecided() {
    check("decides-twice", Rule::Redecided).await;
}

#[tokio::test]
async fn trusts_client_is_caught_as_misrouted() {
    check("trusts-client", Rule::Misrouted).await;
}

#[tokio::test]
async fn panics_on_utf8_is_caught_as_failed() {
    check("panics-on-utf8", Rule::Failed).await;
}
