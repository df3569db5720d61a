//! The register: the newest generation wins, in whatever order pushes come.

use cutover_core::Color;
use serde_json::json;
use std::collections::BTreeSet;

use crate::client::{Get, served_by};
use crate::stage::{Stage, Start, and, switch};

/// Pushes that were ignored, as Envoy counts them: stale, conflicting.
async fn ignored(stage: &Stage) -> (u64, u64) {
    let seen = stage.seen().await;
    (seen.stale, seen.conflict)
}

#[tokio::test]
async fn a_stale_push_is_ignored_and_counted_each_time() {
    let stage = Stage::with(switch("blue", 10)).await;
    let (old, new) = (switch("blue", 10), switch("green", 20));
    stage.push(new.clone()).await;
    assert_eq!(served_by(&stage).await, "green");
    for stale in 1..4 {
        // The first of these is a file that Envoy has had before, byte for byte. Were all of them, one
        // could come while a worker still holds what it made of the one before: Envoy takes that
        // again, and the filter is not asked.
        let old = match stale {
            1 => old.clone(),
            _ => and(
                old.clone(),
                json!({ "previous": { "generation": stale, "active": "green" } }),
            ),
        };
        stage.push(old).await;
        stage
            .until("it is counted", async || ignored(&stage).await.0 >= stale)
            .await;
        assert_eq!(stage.shows().await, (Some(20), Some(Color::Green)));
        for _ in 0..10 {
            assert_eq!(served_by(&stage).await, "green");
        }
        stage.push(new.clone()).await;
        assert_eq!(ignored(&stage).await, (stale, 0));
    }
    stage.push(switch("blue", 15)).await;
    assert_eq!(served_by(&stage).await, "green");
    stage
        .until("it is counted", async || ignored(&stage).await == (4, 0))
        .await;
    stage.push(switch("blue", 21)).await;
    assert_eq!(served_by(&stage).await, "blue");
    assert_eq!(stage.shows().await, (Some(21), Some(Color::Blue)));
    assert_eq!(ignored(&stage).await, (4, 0));
}

#[tokio::test]
async fn a_conflicting_push_is_ignored_and_counted() {
    let stage = Stage::with(switch("blue", 10)).await;
    stage.push(switch("green", 10)).await;
    stage
        .until("it is counted", async || ignored(&stage).await == (0, 1))
        .await;
    assert_eq!(stage.shows().await, (Some(10), Some(Color::Blue)));
    for _ in 0..10 {
        let answer = Get::new().ask(&stage).await;
        let decision = answer.told("x-cutover-decision");
        assert_eq!(decision.as_deref(), Some("blue;g=10;by=active;svc=default"));
    }
    // The way back is a part of the switch.
    let previous = json!({ "previous": { "generation": 9, "active": "green" } });
    stage.push(and(switch("blue", 10), previous)).await;
    stage
        .until("it is counted", async || ignored(&stage).await == (0, 2))
        .await;
    // What is no part of it may change.
    let exposed = json!({ "expose": { "response_header": true } });
    stage.push(and(switch("blue", 10), exposed)).await;
    assert_eq!(ignored(&stage).await, (0, 2));
    stage.push(switch("green", 11)).await;
    assert_eq!(served_by(&stage).await, "green");
    assert_eq!(ignored(&stage).await, (0, 2));
}

#[tokio::test]
async fn an_ignored_push_shows_in_the_log() {
    let stage = Stage::with(switch("blue", 10)).await;
    stage.push(switch("green", 9)).await;
    let line = "cutover: service default: stale: green 9 is ignored, 10 rules";
    stage
        .until("it is logged", async || stage.log().contains(line))
        .await;
    assert_eq!(stage.log().matches(line).count(), 1);
}

#[tokio::test]
async fn listeners_switch_together() {
    let start = Start {
        listeners: 2,
        ..Start::default()
    };
    let stage = start.with(switch("blue", 1)).await;
    let generation = async |listener: usize| {
        let answer = Get::new().ask_at(stage.envoy.listeners()[listener]).await;
        let decision = answer.told("x-cutover-decision").unwrap();
        let (_, generation) = decision.split_once(";g=").unwrap();
        let (generation, _) = generation.split_once(';').unwrap();
        generation.parse::<u64>().unwrap()
    };
    for next in 2..12 {
        let active = if next % 2 == 0 { "green" } else { "blue" };
        let file = stage.file(switch(active, next));
        stage.target.replace(file.as_bytes()).unwrap();
        // Whichever listener shows it first: from then on both do, on all workers.
        let mut shown = [false; 2];
        stage
            .until("the switch shows", async || {
                for listener in [0, 1] {
                    let newest = generation(listener).await == next;
                    assert!(
                        newest || shown == [false; 2],
                        "{shown:?} and back at {next}"
                    );
                    shown[listener] |= newest;
                }
                shown == [true; 2]
            })
            .await;
        for listener in [0, 1, 0, 1, 0, 1, 0, 1] {
            assert_eq!(generation(listener).await, next);
        }
    }
}

#[tokio::test]
async fn a_restarted_envoy_takes_what_the_file_says() {
    let mut stage = Stage::with(switch("blue", 10)).await;
    stage.push(switch("green", 20)).await;
    stage.push(switch("blue", 10)).await;
    assert_eq!(served_by(&stage).await, "green");
    stage.envoy.restart().await.unwrap();
    assert_eq!(served_by(&stage).await, "blue");
    assert_eq!(stage.shows().await, (Some(10), Some(Color::Blue)));
}

#[tokio::test]
async fn an_ignored_push_is_ignored_whole() {
    let stage = Stage::with(switch("blue", 10)).await;
    stage.push(switch("green", 20)).await;
    assert_eq!(served_by(&stage).await, "green");
    let crossed = json!({
        "blue": { "cluster": "green" }, "green": { "cluster": "blue" }, "closed": ["green"],
    });
    stage.push(and(switch("blue", 15), crossed)).await;
    stage
        .until("it is counted", async || ignored(&stage).await == (1, 0))
        .await;
    for _ in 0..20 {
        let answer = Get::new().ask(&stage).await;
        let decision = answer.told("x-cutover-decision");
        assert_eq!(
            decision.as_deref(),
            Some("green;g=20;by=active;svc=default")
        );
        assert_eq!(answer.by(), "green");
    }
}

#[tokio::test]
async fn a_generation_that_was_lost_and_comes_back_shows_again() {
    let stage = Stage::with(switch("blue", 10)).await;
    stage.push(switch("green", 20)).await;
    assert_eq!(stage.shows().await, (Some(20), Some(Color::Green)));
    let mut lost = switch("blue", 30);
    lost.as_object_mut().unwrap().remove("generation");
    stage.push(lost).await;
    stage
        .until("it shows", async || {
            stage.shows().await == (Some(0), Some(Color::Blue))
        })
        .await;
    // Envoy does not show a worker again what that worker still holds: one that took the loss only after what
    // follows would have the last word on the gauges.
    stage
        .until("every thread has taken it", async || {
            threads_that_said(&stage.log(), "blue without a generation") == 3
        })
        .await;
    stage.push(switch("green", 20)).await;
    stage
        .until("what rules shows", async || {
            stage.shows().await == (Some(20), Some(Color::Green))
        })
        .await;
    assert_eq!(served_by(&stage).await, "green");
}

/// How many threads of Envoy have logged this: `[time][thread][level]…`.
fn threads_that_said(log: &str, what: &str) -> usize {
    let lines = log.lines().filter(|line| line.contains(what));
    let threads: BTreeSet<_> = lines.filter_map(|line| line.split("][").nth(1)).collect();
    threads.len()
}
