//! What fails between the push of a switch and its instant: istiod, the API server, the tool.

use super::opened;
use crate::story::stage::{Said, Stage};
use cutover_history::Color;
use rustix::process::Signal;
use serde_json::json;

const PROXIES: usize = 5;

/// The chapters in their order: each begins with the color that the last one has left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staged_switch_needs_no_control_plane_and_no_tool() {
    let mut stage = opened(PROXIES).await;
    istiod_dies_once_all_have_staged_it(&mut stage).await;
    the_api_server_is_away_while_t_nears(&mut stage).await;
    a_cancel_that_cannot_be_written_is_said(&mut stage).await;
    a_killed_tool_leaves_a_switch_that_another_one_sees_through(&mut stage).await;
    a_killed_tool_leaves_a_switch_that_another_one_takes_back(&mut stage).await;
    without_istiod_nobody_stages_it_and_it_is_taken_back(&mut stage).await;
}

/// A hold that also covers what a busy machine knows of the clocks.
fn held<'a>(color: &'a str, at: &'a str) -> [&'a str; 7] {
    ["flip", color, "--yes", "--at", at, "--hold", "40ms"]
}

async fn istiod_dies_once_all_have_staged_it(stage: &mut Stage) {
    let first = [&held("green", "+8s")[..], &["--force-conflicts"]].concat();
    let mut flip = stage.staging(&first, Color::Green).await;
    stage.stop("istiod");
    activated_on_all(&flip.ended().await);
    stage.activated(&flip).await;
    stage.holds().await;
    stage.start("istiod");
    back_to_blue(stage).await;
}

async fn the_api_server_is_away_while_t_nears(stage: &mut Stage) {
    stage.load_again().await;
    let mut flip = stage.staging(&held("green", "+8s"), Color::Green).await;
    stage.stop("apiserver");
    let said = flip.ended().await;
    activated_on_all(&said);
    // What it could not do.
    said.says("warning: ");
    said.says("journal");
    stage.activated(&flip).await;
    stage.holds().await;
    the_api_server_is_back(stage).await;
}

async fn a_cancel_that_cannot_be_written_is_said(stage: &mut Stage) {
    stage.load_again().await;
    let mut flip = stage.staging(&held("green", "+15s"), Color::Green).await;
    stage.stop("apiserver");
    let other = stage.cutover(&["flip", "--cancel"]).await;
    other.exits_with(3);
    other.says("API server");
    flip.signal(Signal::INT);
    let said = flip.ended().await;
    said.exits_with(1);
    said.says("the switch could not be taken back");
    said.says("green of shop activates at");
    stage.activated(&flip).await;
    stage.holds().await;
    the_api_server_is_back(stage).await;
}

async fn a_killed_tool_leaves_a_switch_that_another_one_sees_through(stage: &mut Stage) {
    stage.load_again().await;
    let mut flip = stage.staging(&held("green", "+12s"), Color::Green).await;
    flip.kill().await;
    staged_and_left(stage, "green").await;
    let resumed = stage.cutover(&["flip", "--resume"]).await;
    activated_on_all(&resumed);
    assert_eq!(resumed.generation(), flip.generation);
    stage.activated(&flip).await;
    assert_eq!(stage.last_outcome().await, "activated");
    stage.holds().await;
}

async fn a_killed_tool_leaves_a_switch_that_another_one_takes_back(stage: &mut Stage) {
    stage.load_again().await;
    let mut flip = stage.staging(&held("blue", "+30s"), Color::Blue).await;
    flip.kill().await;
    staged_and_left(stage, "blue").await;
    let cancelled = stage.cutover(&["flip", "--cancel"]).await;
    cancelled.exits_with(0);
    assert_eq!(
        cancelled.answer["outcome"], "cancelled",
        "{}",
        cancelled.all
    );
    assert_eq!(stage.gauges("staged").await, [0; PROXIES]);
    let by = cancelled.answer["cancelled_by"].as_u64().unwrap();
    assert_eq!(stage.gauges("generation").await, [by; PROXIES]);
    stage.saw_only(Color::Green).await;
}

async fn without_istiod_nobody_stages_it_and_it_is_taken_back(stage: &mut Stage) {
    stage.load_again().await;
    stage.stop("istiod");
    let early = ["--margin", "4s", "--deadline", "1s"];
    let early = [&held("blue", "+7s")[..], &early].concat();
    let said = stage.cutover(&early).await;
    said.exits_with(1);
    said.says("has not staged it");
    let lagging = said.answer["lagging"].as_array().unwrap();
    assert_eq!(lagging.len(), PROXIES, "{}", said.all);
    // What is on its way to a proxy nobody knows, as long as none shows the cancel.
    assert_eq!(said.answer["outcome"], "in-doubt", "{}", said.all);
    let by = said.answer["cancelled_by"].to_string();
    stage.start("istiod");
    let wait = ["wait", "--generation", &by, "--deadline", "60s"];
    stage.cutover(&wait).await.exits_with(0);
    assert_eq!(stage.gauges("staged").await, [0; PROXIES]);
    assert_eq!(stage.gauges("late").await, [0; PROXIES]);
    assert_eq!(stage.standing().await, json!(null));
    stage.saw_only(Color::Green).await;
}

#[track_caller]
fn activated_on_all(said: &Said) {
    said.exits_with(0);
    assert_eq!(said.answer["outcome"], "activated", "{}", said.all);
    let shown = said.answer["shown"].as_array().unwrap();
    assert_eq!(shown.len(), PROXIES, "{}", said.all);
    let late = (&said.answer["late"], &said.answer["unseen"]);
    assert_eq!(late, (&json!([]), &json!([])), "{}", said.all);
}

/// A switch that waits for its instant on all gateways, and nobody sees to it.
async fn staged_and_left(stage: &Stage, color: &str) {
    let standing = stage.standing().await;
    assert_eq!(standing["active"], color, "{standing}");
    let (on, of) = (&standing["on"], &standing["of"]);
    assert_eq!((on, of), (&json!(PROXIES), &json!(PROXIES)));
    assert_eq!(standing["operator"], "gone", "{standing}");
    assert!(standing["activates_in_ms"].as_i64() > Some(0));
}

/// What nobody could note is noted now, and flips go through again.
async fn the_api_server_is_back(stage: &mut Stage) {
    stage.start("apiserver");
    finished_later(stage).await;
    // It may take a minute until it looks for the API server again; a new one looks at once.
    stage.stop("istiod");
    stage.start("istiod");
    back_to_blue(stage).await;
}

/// The journal has a beginning without an end, because nobody could write it; the switch is made everywhere, and whoever
/// comes back to it finishes the line.
async fn finished_later(stage: &Stage) {
    assert_eq!(stage.last_outcome().await, "unknown");
    let standing = stage.standing().await;
    assert_eq!(standing["on"], json!(PROXIES), "{standing}");
    assert!(standing["activates_in_ms"].as_i64() < Some(0));
    let resumed = stage.cutover(&["flip", "--resume"]).await;
    resumed.exits_with(0);
    assert_eq!(resumed.answer["late"], json!([]), "{}", resumed.all);
    assert_eq!(stage.last_outcome().await, "activated");
}

/// Waits until the control plane is there again, and every gateway follows it: a plain push comes to all of them.
async fn back_to_blue(stage: &Stage) {
    let plain = ["flip", "blue", "--now", "--yes", "--deadline", "90s"];
    stage.cutover(&plain).await.exits_with(0);
}
