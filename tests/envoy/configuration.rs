//! Last good: bad configurations, and what serves meanwhile.

use serde_json::{Value, json};

use crate::client::{Get, served_by};
use crate::stage::{Stage, Start, and, switch};

/// A configuration that wants green, and that the filter refuses.
fn bad(generation: u64) -> Value {
    and(switch("green", generation), json!({ "colour": "green" }))
}

#[tokio::test]
async fn a_bad_configuration_is_refused_and_the_next_good_one_works() {
    let stage = Stage::with(switch("blue", 1)).await;
    let purple = and(switch("blue", 3), json!({ "active": "purple" }));
    for (refused, configuration) in (1..).zip([bad(2), purple, json!({}), json!(7), json!("{")]) {
        stage.push(configuration).await;
        assert_eq!(stage.stat("update_rejected").await, refused);
        assert_eq!(stage.stats().await.config_refused, refused);
        assert_eq!(stage.seen().await.generation, Some(1));
        for _ in 0..10 {
            assert_eq!(served_by(&stage).await, "blue");
        }
    }
    assert!(stage.log().contains("cutover: configuration refused"));
    stage.push(switch("green", 2)).await;
    assert_eq!(stage.seen().await.generation, Some(2));
    for _ in 0..10 {
        assert_eq!(served_by(&stage).await, "green");
    }
    assert_eq!(stage.stat("update_rejected").await, 5);
}

#[tokio::test]
async fn a_bad_configuration_at_start_answers_500_and_the_next_good_one_works() {
    let stage = Stage::with(bad(1)).await;
    for _ in 0..4 {
        assert_eq!(served_by(&stage).await, "500");
    }
    assert_eq!(stage.blue.begun() + stage.green.begun(), 0);
    stage.push(bad(2)).await;
    assert_eq!(served_by(&stage).await, "500");
    stage.push(switch("green", 3)).await;
    // Workers that had no filter at all get one a moment after the main thread.
    stage
        .until("green serves", async || served_by(&stage).await == "green")
        .await;
    assert_eq!(stage.seen().await.generation, Some(3));
}

#[tokio::test]
async fn a_torn_file_changes_nothing_and_the_whole_one_works() {
    let stage = Stage::with(switch("blue", 1)).await;
    let whole = stage.file(switch("green", 2));
    for torn in [0, 1, whole.len() / 2, whole.len() - 4] {
        stage.lay(&whole.as_bytes()[..torn]).await;
        assert_eq!(served_by(&stage).await, "blue", "{torn} bytes");
        assert_eq!(stage.seen().await.generation, Some(1), "{torn} bytes");
    }
    stage.lay(whole.as_bytes()).await;
    assert_eq!(served_by(&stage).await, "green");
    assert_eq!(stage.seen().await.generation, Some(2));
}

#[tokio::test]
async fn the_same_bad_configuration_twice_does_not_block_the_next_good_one() {
    let stage = Stage::with(switch("blue", 1)).await;
    stage.push(bad(2)).await;
    stage.push(bad(2)).await;
    assert!(stage.stat("update_rejected").await >= 1);
    assert_eq!(served_by(&stage).await, "blue");
    stage.push(switch("green", 3)).await;
    assert_eq!(served_by(&stage).await, "green");
    stage.push(bad(2)).await;
    assert_eq!(served_by(&stage).await, "green");
    stage.push(switch("blue", 4)).await;
    assert_eq!(served_by(&stage).await, "blue");
}

#[tokio::test]
async fn without_a_generation_workers_switch_for_themselves_and_it_shows() {
    let by_worker = |active: &str| json!({ "active": active, "blue": "blue", "green": "green" });
    let stage = Stage::with(by_worker("blue")).await;
    assert_eq!(stage.seen().await.generation, Some(0));
    let log = "service default: blue without a generation: each worker for itself";
    assert!(stage.log().contains(log), "{}", stage.envoy.log_end());
    let answer = Get::new().ask(&stage).await;
    let decision = answer.told("x-cutover-decision");
    assert_eq!(decision.as_deref(), Some("blue;g=0;by=active;svc=default"));
    for (active, other) in [("green", "blue"), ("blue", "green")] {
        stage.push(by_worker(active)).await;
        // It comes to one worker after the other.
        stage
            .until("no worker has the old color", async || {
                for _ in 0..20 {
                    if served_by(&stage).await == other {
                        return false;
                    }
                }
                true
            })
            .await;
        assert_eq!(served_by(&stage).await, active);
        assert_eq!(stage.seen().await.generation, Some(0));
    }
}

/// A request that makes `panics-on-utf8` trap, and only that one.
fn poison() -> Get {
    Get::new().header("x-cutover-override", b"green\xff")
}

fn previewed(active: &str, generation: u64) -> Value {
    let rule = json!({ "header": "x-cutover-override", "unsigned": true });
    and(switch(active, generation), json!({ "override": rule }))
}

#[tokio::test]
async fn the_failure_policy_is_explicit_and_brings_a_module_back_that_has_trapped() {
    let module = cutover_tests::broken_module("panics-on-utf8");
    let stage = Start {
        module,
        ..Start::default()
    }
    .with(previewed("blue", 1))
    .await;
    assert!(
        stage
            .file(switch("blue", 1))
            .contains(r#""failure_policy": "FAIL_RELOAD""#)
    );
    assert_eq!(served_by(&stage).await, "blue");
    assert_eq!(poison().ask(&stage).await.status, 503);
    // One of the two workers answers 503 until it has loaded the module again, a second later.
    stage
        .until("the module is loaded again", async || {
            served_by(&stage).await;
            stage.number("wasm.cutover.vm_reload_success").await == 1
        })
        .await;
    stage
        .until("all workers serve again", async || {
            for _ in 0..20 {
                if served_by(&stage).await != "blue" {
                    return false;
                }
            }
            true
        })
        .await;
    stage.push(previewed("green", 2)).await;
    assert_eq!(served_by(&stage).await, "green");
}
