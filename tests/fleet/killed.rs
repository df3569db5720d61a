//! The tool is killed at each step of a staged flip, under load: what `status` says then, and what finishes it. No request
//! gets an old answer after a new one, whatever becomes of the flip.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use cutover_checker::Verdict;
use cutover_history::Color;
use serde_json::{Value, json};
use tokio::process::Child;

use crate::history::{answered_with, flip};
use crate::stage::{self, ByHand, PROXIES, Stage};

/// The Envoy that gives no answer, once, and gets no push, once.
const SILENT: usize = 5;
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How long a condition is waited for.
const DEADLINE: Duration = Duration::from_mins(1);

/// A hold that also covers what a busy machine knows of the clocks.
const HOLD: [&str; 2] = ["--hold", "40ms"];

/// The steps in their order: each begins with the color that the last one has left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_is_killed_at_any_step_leaves_a_flip_that_can_be_finished() {
    let _alone = stage::alone().await;
    let mut stage = Stage::open().await;
    before_the_write_nothing_has_happened(&mut stage).await;
    while_staging_it_is_seen_through(&mut stage).await;
    once_all_have_staged_it_it_is_taken_back(&mut stage).await;
    after_the_gate_it_is_made_without_anybody(&mut stage).await;
    in_the_window_it_is_too_late_for_a_cancel(&mut stage).await;
    while_a_cancel_is_under_way_it_goes_on(&mut stage).await;
}

async fn before_the_write_nothing_has_happened(stage: &mut Stage) {
    stage.begin().await;
    let (before, asked) = (stage.written(), stage.bed.envoy(SILENT).unwrap());
    // It waits for the answer of this one before it writes.
    asked.pause().unwrap();
    let mut tool = stage.started(&["flip", "green", "--yes", "--at", "+8s"]);
    let sockets = format!("/proc/{}/fd", tool.id().unwrap());
    until("the tool asks all Envoys", || {
        let files = fs::read_dir(&sockets).unwrap().flatten();
        let targets = files.filter_map(|file| fs::read_link(file.path()).ok());
        let sockets = targets.filter(|to| to.to_string_lossy().starts_with("socket:"));
        sockets.count() >= PROXIES as usize
    })
    .await;
    tool.kill().await.unwrap();
    stage.bed.envoy(SILENT).unwrap().resume().unwrap();
    assert_eq!(stage.written(), before);
    assert_eq!(standing(stage).await, Value::Null);
    let nothing = stage.cutover(&["flip", "--resume"]).await;
    nothing.exits_with(2);
    assert!(nothing.all.contains("no switch is staged"), "{nothing:?}");
    let noted = stage.cutover(&["history"]).await;
    assert_eq!(noted.answer["switches"], json!([]), "{noted:?}");
    saw_only(stage, Color::Blue).await;
}

async fn while_staging_it_is_seen_through(stage: &mut Stage) {
    stage.begin().await;
    stage.bed.withhold(SILENT);
    let (mut tool, flipped, invoked) = written(stage, Color::Green, "+12s", &[]).await;
    stage
        .until("staged", flipped.generation, PROXIES as usize - 1)
        .await;
    tool.kill().await.unwrap();
    let standing = standing(stage).await;
    assert_eq!(standing["operator"], "gone", "{standing}");
    assert_eq!(standing["not_on"].as_array().map(Vec::len), Some(1));
    stage.bed.let_through(SILENT);
    finished(stage, flipped, invoked).await;
}

async fn once_all_have_staged_it_it_is_taken_back(stage: &mut Stage) {
    stage.begin().await;
    let (mut tool, ..) = written(stage, Color::Blue, "+20s", &[]).await;
    stage.until_staged(PROXIES as usize).await;
    tool.kill().await.unwrap();
    let standing = standing(stage).await;
    assert_eq!(standing["operator"], "gone", "{standing}");
    assert_eq!(standing["on"], PROXIES, "{standing}");
    let cancelled = stage.cutover(&["flip", "--cancel"]).await;
    cancelled.exits_with(0);
    assert_eq!(cancelled.answer["outcome"], "cancelled", "{cancelled:?}");
    assert_eq!(stage.count("staged", 0).await, PROXIES as usize);
    assert_eq!(last_outcomes(stage, 2).await, ["cancelled", "done"]);
    saw_only(stage, Color::Green).await;
}

async fn after_the_gate_it_is_made_without_anybody(stage: &mut Stage) {
    stage.begin().await;
    let margin = ["--margin", "5s"];
    let (mut tool, flipped, invoked) = written(stage, Color::Blue, "+15s", &margin).await;
    let journal = stage.cutover(&["history"]).await.answer["journal"].clone();
    let journal = journal.as_str().unwrap().to_owned();
    // What the gate leaves behind.
    until("the gate", || {
        let last = fs::read_to_string(&journal).unwrap();
        let last: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
        last["kind"] == "staged" && last["to"]["generation"] == flipped.generation
    })
    .await;
    tool.kill().await.unwrap();
    let standing = standing(stage).await;
    assert_eq!(standing["on"], PROXIES, "{standing}");
    assert!(standing["activates_in_ms"].as_i64() > Some(0), "{standing}");
    stage
        .until_after(flipped.at, Duration::from_millis(100))
        .await;
    finished(stage, flipped, invoked).await;
}

async fn in_the_window_it_is_too_late_for_a_cancel(stage: &mut Stage) {
    stage.begin().await;
    let wide = ["--hold", "1s"];
    let (mut tool, flipped, invoked) = written(stage, Color::Green, "+8s", &wide).await;
    stage.until_staged(PROXIES as usize).await;
    stage
        .until_before(flipped.at, Duration::from_millis(800))
        .await;
    tool.kill().await.unwrap();
    let late = stage.cutover(&["flip", "--cancel"]).await;
    late.exits_with(1);
    assert!(late.all.contains("too late to cancel"), "{late:?}");
    let standing = standing(stage).await;
    assert_eq!(standing["operator"], "gone", "{standing}");
    finished(stage, flipped, invoked).await;
}

async fn while_a_cancel_is_under_way_it_goes_on(stage: &mut Stage) {
    stage.begin().await;
    let (mut tool, flipped, _) = written(stage, Color::Blue, "+15s", &[]).await;
    stage.until_staged(PROXIES as usize).await;
    tool.kill().await.unwrap();
    // This one does not hear of the cancel before it was looked at.
    stage.bed.withhold(SILENT);
    let mut cancel = stage.started(&["flip", "--cancel"]);
    until("the cancel", || stage.written()["activate_at"].is_null()).await;
    cancel.kill().await.unwrap();
    let cancelled = stage.written()["generation"].as_u64().unwrap();
    assert!(stage.count("staged", flipped.generation).await > 0);
    stage.bed.let_through(SILENT);
    assert_eq!(standing(stage).await, Value::Null);
    let wait = ["wait", "--generation", &cancelled.to_string()];
    stage.cutover(&wait).await.exits_with(0);
    assert_eq!(stage.count("staged", 0).await, PROXIES as usize);
    stage
        .until_after(flipped.at, Duration::from_millis(100))
        .await;
    assert_eq!(last_outcomes(stage, 2).await, ["unknown", "unknown"]);
    saw_only(stage, Color::Green).await;
}

/// Starts a flip that is to be killed, and returns once the file has it.
async fn written(stage: &Stage, color: Color, at: &str, more: &[&str]) -> (Child, ByHand, Instant) {
    let (before, invoked) = (stage.written()["generation"].clone(), Instant::now());
    let name = match color {
        Color::Blue => "blue",
        Color::Green => "green",
    };
    let hold = if more.contains(&"--hold") {
        &[][..]
    } else {
        &HOLD
    };
    let tool = stage.started(&[&["flip", name, "--yes", "--at", at], hold, more].concat());
    until("the write", || stage.written()["generation"] != before).await;
    let now = stage.written();
    let number = |key: &str| now[key].as_u64().unwrap();
    let flipped = ByHand {
        generation: number("generation"),
        color,
        at: number("activate_at"),
        hold: number("hold"),
    };
    (tool, flipped, invoked)
}

/// Another tool sees the flip through: all Envoys show it, the journal has its end, and no request was mixed.
async fn finished(stage: &mut Stage, flipped: ByHand, invoked: Instant) {
    let resumed = stage.cutover(&["flip", "--resume"]).await;
    resumed.exits_with(0);
    assert_eq!(resumed.answer["outcome"], "activated", "{resumed:?}");
    assert_eq!(resumed.answer["late"], json!([]), "{resumed:?}");
    assert_eq!(resumed.generation(), flipped.generation);
    assert_eq!(last_outcomes(stage, 1).await, ["activated"]);
    stage.shown_and_noted(flipped, invoked).await;
    let run = stage.judged().await;
    // Requests that wait for a second leave a gap of which nobody can tell: that alone leaves a verdict open.
    let open = matches!(run.verdict, Verdict::Holds | Verdict::Inconclusive(_));
    assert!(open && run.figures.violations.is_empty(), "{}", run.verdict);
    assert_eq!((flip(&run).mixed_ns, flip(&run).stale), (Some(0), 0));
    assert_eq!(run.figures.total().failed, 0);
}

/// Ends the load: every proxy was asked, no request got another color than this, and none failed.
async fn saw_only(stage: &mut Stage, color: Color) {
    let (history, _) = stage.ended().await;
    let asked: BTreeSet<_> = answered_with(color, history).into_iter().collect();
    assert_eq!(asked.len(), PROXIES as usize);
}

/// What `status` says of a switch that waits for an instant, or has done so.
async fn standing(stage: &Stage) -> Value {
    let status = stage.cutover(&["status"]).await;
    // 1 as long as not all Envoys show the same.
    assert!(matches!(status.code, Some(0 | 1)), "{status:?}");
    status.answer["staged"][0].clone()
}

/// What the journal says became of the last switches.
async fn last_outcomes(stage: &Stage, number: usize) -> Vec<String> {
    let history = stage
        .cutover(&["history", "--last", &number.to_string()])
        .await;
    history.exits_with(0);
    let switches = history.answer["switches"].as_array().unwrap().iter();
    switches
        .map(|one| one["outcome"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits for what comes by itself.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < DEADLINE, "{what} does not come");
        tokio::time::sleep(LOOK).await;
    }
}
