//! Whole runs against real Envoy.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cutover_checker::{Judgement, Verdict, judge};
use cutover_harness::{Plan, Progress, Snapshot, run};
use cutover_history::{Kind, Operation, Reader};

#[cfg(test)]
fn judged(history: &Path) -> Judgement {
    let reader = Reader::new(BufReader::new(File::open(history).unwrap())).unwrap();
    let header = reader.header().clone();
    judge(&header, reader).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_with_all_weather_holds() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let mut plan = Plan::new(
        cutover_tests::envoy(),
        cutover_tests::module(),
        &history,
        42,
    );
    plan.pause = Duration::from_millis(600);
    // A machine that has other work stops all of it for a while.
    plan.window = Duration::from_secs(1);
    let summary = run(&plan, &()).await.unwrap();
    assert_eq!(summary.troubles, Vec::<String>::new());
    assert_eq!((summary.flips, summary.unacknowledged), (10, 0));
    assert!(!summary.interrupted);

    let kinds: Vec<_> = summary.counts.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, Kind::ALL);
    assert!(
        summary.counts.iter().all(|(_, counts)| counts.answered > 0),
        "{summary:?}"
    );
    assert_eq!(
        summary
            .counts
            .iter()
            .map(|(_, counts)| counts.contrary)
            .sum::<u64>(),
        0
    );
    assert!(
        summary
            .counts
            .iter()
            .any(|(_, counts)| counts.overridden > 0)
    );

    // An older generation that the proxy had never seen, a conflict, two files that it refused.
    let shown = |count: fn(&cutover_harness::Shown) -> u64| -> u64 {
        summary.shown.iter().map(count).sum()
    };
    assert!(shown(|shown| shown.stale) >= 1, "{:?}", summary.shown);
    assert_eq!(shown(|shown| shown.conflict), 1, "{:?}", summary.shown);
    assert_eq!(
        shown(|shown| shown.update_rejected),
        2,
        "{:?}",
        summary.shown
    );
    assert_eq!(summary.memory.len(), 2 * 11);

    let Judgement { verdict, figures } = judged(&history);
    assert!(
        matches!(verdict, Verdict::Holds),
        "{verdict:#?} {figures:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_outlasts_what_is_judged_around_the_last_flip() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let mut plan = Plan::new(cutover_tests::envoy(), cutover_tests::module(), &history, 3);
    plan.proxies = 1;
    plan.flips = 1;
    plan.weather = false;
    plan.pause = Duration::from_millis(100);
    plan.window = Duration::from_secs(1);
    run(&plan, &()).await.unwrap();
    let flip = judged(&history).figures.flips[0].clone();
    let settled = flip.invoked + flip.acknowledged_ns.unwrap();
    let reader = Reader::new(BufReader::new(File::open(&history).unwrap())).unwrap();
    let starts = reader.filter_map(|operation| match operation.unwrap() {
        Operation::Request(request) => Some(request.start),
        _ => None,
    });
    let starts: Vec<_> = starts.collect();
    assert!(starts.iter().min() < Some(&(flip.invoked - 2_000_000_000)));
    assert!(starts.iter().max() > Some(&(settled + 2_000_000_000)));
}

/// Stops a run once it has flipped.
struct Impatient<'p> {
    plan: &'p Plan,
    shown: AtomicU32,
}

impl Progress for Impatient<'_> {
    fn show(&self, now: &Snapshot) {
        self.shown.fetch_add(1, Ordering::Relaxed);
        if now.flips > 0 {
            self.plan.stop.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_that_is_stopped_finishes_its_history() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let mut plan = Plan::new(cutover_tests::envoy(), cutover_tests::module(), &history, 7);
    plan.proxies = 1;
    plan.weather = false;
    plan.pause = Duration::from_millis(100);
    let progress = Impatient {
        plan: &plan,
        shown: AtomicU32::new(0),
    };
    let summary = run(&plan, &progress).await.unwrap();
    assert!(summary.interrupted);
    assert_eq!(summary.flips, 1);
    assert!(progress.shown.load(Ordering::Relaxed) > 3);
    let reader = Reader::new(BufReader::new(File::open(&history).unwrap())).unwrap();
    let lines = reader.map(Result::unwrap).count() as u64;
    assert_eq!(lines + 1, summary.contents.lines);
}
