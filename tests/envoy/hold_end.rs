//! How a staged switch ends otherwise: late, canceled, with its proxy, or by its own repetition.

use serde_json::json;

use crate::client::{Get, served_by};
use crate::stage::{DEADLINE, Stage, and, switch};
use crate::staged::{now, staged};

#[tokio::test]
async fn a_late_push_applies_at_once_and_is_counted() {
    let stage = Stage::with(switch("blue", 1)).await;
    stage.push(staged("green", 2, 1, now() - 5000, 20)).await;
    assert_eq!(served_by(&stage).await, "green");
    stage.rules(2).await;
    stage
        .until("it is counted", async || stage.metric("late").await == 1)
        .await;
    assert_eq!(stage.metric("held").await, 0);
}

#[tokio::test]
async fn a_push_within_the_window_is_late_and_waits_for_its_end() {
    let stage = Stage::with(switch("blue", 1)).await;
    let at = now() + 900;
    stage.push(staged("green", 2, 1, at, 1000)).await;
    stage
        .until("it is counted", async || stage.metric("late").await == 1)
        .await;
    assert_eq!(served_by(&stage).await, "green");
    assert!(now() >= at + 1000);
}

#[tokio::test]
async fn a_cancel_before_the_window_leaves_the_old_color() {
    let stage = Stage::with(switch("blue", 1)).await;
    let at = now() + 6000;
    stage.stage(staged("green", 2, 1, at, 100)).await;
    stage.push(switch("blue", 3)).await;
    stage.rules(3).await;
    stage.wait_for(at + 200).await;
    for _ in 0..10 {
        assert_eq!(served_by(&stage).await, "blue");
    }
    assert_eq!(stage.metric("held").await, 0);
    assert_eq!(stage.metric("late").await, 0);
    assert_eq!(stage.metric("clock").await, 0);
}

#[tokio::test]
async fn a_cancel_within_the_window_releases_what_is_held_to_the_old_color() {
    let stage = Stage::with(switch("blue", 1)).await;
    let at = now() + 6000;
    stage.stage(staged("green", 2, 1, at, 1000)).await;
    stage.wait_for(at - 900).await;
    let request = Get::new();
    let held = async { futures_util::future::join_all((0..6).map(|_| request.ask(&stage))).await };
    let cancel = async {
        stage
            .until("all are held", async || stage.metric("held").await == 6)
            .await;
        stage.push(switch("blue", 3)).await;
    };
    let (held, ()) = tokio::join!(held, cancel);
    assert!(now() < at + 1000, "too slow a machine to show anything");
    for answer in held {
        let decision = answer.told("x-cutover-decision");
        assert_eq!(decision.as_deref(), Some("blue;g=3;by=active;svc=default"));
    }
    stage.rules(3).await;
}

#[tokio::test]
async fn a_push_that_is_stale_or_repeated_changes_nothing_of_what_is_staged() {
    let stage = Stage::with(switch("blue", 10)).await;
    let at = now() + 9000;
    let green = staged("green", 20, 10, at, 300);
    stage.stage(green.clone()).await;
    stage.push(switch("green", 15)).await;
    stage
        .until("it is stale", async || stage.metric("stale").await == 1)
        .await;
    // The same switch beside something else that is new, so that Envoy shows it to the filter.
    let exposed = json!({ "expose": { "response_header": true } });
    stage.push(and(green, exposed)).await;
    stage.push(staged("green", 20, 10, at + 1, 300)).await;
    stage
        .until("it is a conflict", async || {
            stage.metric("conflict").await == 1
        })
        .await;
    assert!(now() < at - 300, "too slow a machine to show anything");
    assert_eq!(stage.metric("staged").await, 20);
    assert_eq!(stage.metric("activate_at").await, at);
    assert_eq!(served_by(&stage).await, "blue");
    stage.wait_for(at - 100).await;
    assert_eq!(served_by(&stage).await, "green");
    assert!(now() >= at + 300);
    stage.rules(20).await;
    assert_eq!(stage.metric("late").await, 0);
}

#[tokio::test]
async fn an_envoy_that_starts_anew_serves_the_switch_before_until_the_instant() {
    let mut stage = Stage::with(switch("blue", 1)).await;
    let at = now() + 15_000;
    stage.stage(staged("green", 2, 1, at, 200)).await;
    stage.envoy.restart().await.unwrap();
    for _ in 0..10 {
        let answer = Get::new().ask(&stage).await;
        let decision = answer.told("x-cutover-decision");
        assert_eq!(decision.as_deref(), Some("blue;g=1;by=active;svc=default"));
    }
    assert!(now() < at - 200, "too slow a machine to show anything");
    assert_eq!(stage.metric("staged").await, 2);
    stage.wait_for(at - 100).await;
    assert_eq!(served_by(&stage).await, "green");
    assert!(now() >= at + 200);
    stage.rules(2).await;
    assert_eq!(stage.metric("late").await, 0);
    // And one that starts after it begins with the new one, which is not late.
    stage.envoy.restart().await.unwrap();
    assert_eq!(served_by(&stage).await, "green");
    assert_eq!(stage.metric("late").await, 0);
}

#[tokio::test]
async fn a_switch_comes_to_rule_without_any_request() {
    let stage = Stage::with(switch("blue", 1)).await;
    let at = now() + 5000;
    stage.stage(staged("green", 2, 1, at, 0)).await;
    stage.rules(2).await;
    assert!(now() >= at);
    assert_eq!(stage.metric("late").await, 0);
}

#[tokio::test]
async fn a_worker_that_is_stopped_over_the_instant_decides_right_when_it_wakes() {
    let stage = Stage::with(switch("blue", 1)).await;
    let at = now() + 8000;
    stage.stage(staged("green", 2, 1, at, 100)).await;
    stage.wait_for(at - 4000).await;
    stage.envoy.pause().unwrap();
    stage
        .until("it is stopped", async || is_stopped(&stage))
        .await;
    assert!(now() < at - 100, "too slow a machine to show anything");
    let request = Get::new();
    let asked =
        async { futures_util::future::join_all((0..10).map(|_| request.ask(&stage))).await };
    let wake = async {
        stage.wait_for(at + 600).await;
        stage.envoy.resume().unwrap();
    };
    let (answers, ()) = tokio::time::timeout(DEADLINE, async { tokio::join!(asked, wake) })
        .await
        .unwrap();
    for answer in answers {
        assert_eq!(answer.by(), "green");
    }
    assert_eq!(stage.metric("held").await, 0);
}

/// Whether the kernel has stopped all threads: on a busy machine that takes a moment.
fn is_stopped(stage: &Stage) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", stage.envoy.id())).unwrap();
    tasks.into_iter().all(|task| {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
        let (_, after_name) = stat.rsplit_once(')').unwrap();
        after_name.trim_start().starts_with('T')
    })
}

#[tokio::test]
async fn gauges_are_set_again_in_a_new_vm_though_its_push_is_ignored() {
    let stage = Stage::with(switch("blue", 10)).await;
    stage.push(switch("green", 20)).await;
    stage.rules(20).await;
    // Another configuration of the VM is another VM, and Envoy forgets what the old one has shown.
    let vms = async |what: &str| {
        let name = format!("wasm.envoy.wasm.runtime.v8.{what}");
        stage.number(&name).await
    };
    let (active, created) = (vms("active").await, vms("created").await);
    let file = stage.file(switch("blue", 10));
    let mut file: serde_json::Value = serde_json::from_str(&file).unwrap();
    file["resources"][0]["typed_config"]["config"]["vm_config"]["configuration"] = json!({
        "@type": "type.googleapis.com/google.protobuf.StringValue", "value": "another",
    });
    stage.lay(file.to_string().as_bytes()).await;
    stage
        .until("new VMs are there and the old ones gone", async || {
            vms("created").await >= created + 4 && vms("active").await <= active
        })
        .await;
    stage
        .until("what rules shows", async || {
            stage.metric("generation").await == 20 && stage.metric("active").await == 2
        })
        .await;
    assert_eq!(served_by(&stage).await, "green");
}
