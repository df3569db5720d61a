//! A whole run against real Envoy.

mod common;

use std::time::Duration;

use cutover_harness::{Plan, run};
use cutover_history::Kind;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_with_all_weather_is_recorded_whole() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let mut plan = Plan::new(common::envoy(), common::module(), &history, 42);
    plan.pause = Duration::from_millis(300);
    let summary = run(&plan, &()).await.unwrap();
    println!("{summary:#?}");
    assert_eq!(
        (summary.flips, summary.unacknowledged),
        (10, 0),
        "{:?}",
        summary.troubles
    );
    assert_eq!(summary.troubles, Vec::<String>::new());
    assert!(!summary.interrupted);
}
