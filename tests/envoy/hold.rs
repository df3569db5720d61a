//! A switch that activates at an instant: old before its window, held within, new after it.

use std::path::PathBuf;

use cutover_core::{Color, token};
use futures_util::future::join_all;
use serde_json::json;

use crate::client::{Get, served_by};
use crate::stage::{Stage, Start, and, switch};
use crate::staged::{Seen, breaches, now, shows_a_clock_that_is_ahead, staged, watch};

/// Half the width of the window: much more than a busy machine is late by.
const HOLD: u64 = 1000;

/// Requests over the whole of a switch from blue, generation 1, to green, generation 2, and its instant.
async fn switched(module: PathBuf) -> (Stage, Vec<Seen>, u64) {
    let start = Start {
        module,
        ..Start::default()
    };
    let stage = start.with(switch("blue", 1)).await;
    let at = now() + 6000;
    stage.stage(staged("green", 2, 1, at, HOLD)).await;
    assert!(now() < at - HOLD, "too slow a machine to show anything");
    let seen = watch(&stage, at + HOLD + 300).await;
    (stage, seen, at)
}

#[tokio::test]
async fn requests_are_old_before_the_window_wait_in_it_and_are_new_after_it() {
    let (stage, seen, at) = switched(cutover_tests::module()).await;
    let found = breaches(&seen, at, HOLD);
    assert!(found.is_empty(), "{found:?} at {at}");
    let waited: Vec<_> = seen
        .iter()
        .filter(|seen| seen.start < at + HOLD && seen.end >= at + HOLD)
        .collect();
    // Each client waits with one request (sent perhaps a moment before the window), and has sent others before and after. As
    // nobody else asks, only the timer can have let them go: without it they would have waited for their answers in vain.
    assert_eq!(waited.len(), 3, "{waited:?}");
    let of = |wanted| seen.iter().filter(|s| s.generation == Some(wanted)).count();
    assert!(of(1) > 3 && of(2) > 3, "{seen:?}");
    stage.rules(2).await;
    for (name, expect) in [
        ("held", 3),
        ("held_over", 0),
        ("late", 0),
        ("clock_steps", 0),
    ] {
        assert_eq!(stage.metric(name).await, expect, "{name}");
    }
    for name in ["staged", "activate_at", "hold", "clock"] {
        stage
            .until(name, async || stage.metric(name).await == 0)
            .await;
    }
}

/// A build with a fault shows it in the same requests.
async fn check_broken(fault: &str, is_it: impl Fn(&Seen, u64) -> bool) {
    let (_stage, seen, at) = switched(cutover_tests::broken_module(fault)).await;
    let found = breaches(&seen, at, HOLD);
    assert!(
        found.iter().any(|seen| is_it(seen, at)),
        "{found:?} at {at}"
    );
}

#[tokio::test]
async fn the_build_that_never_holds_is_caught() {
    let is_it = |seen: &Seen, at| seen.generation == Some(2) && seen.end < at + HOLD;
    check_broken("no-hold", is_it).await;
}

#[tokio::test]
async fn the_build_that_holds_on_the_late_side_only_is_caught() {
    let is_it = |seen: &Seen, at| seen.generation == Some(1) && seen.start >= at - HOLD;
    check_broken("hold-late-side-only", is_it).await;
}

#[tokio::test]
async fn the_build_that_resumes_at_the_instant_is_caught() {
    let is_it =
        |seen: &Seen, at| seen.start < at && seen.generation == Some(2) && seen.end < at + HOLD;
    check_broken("resumes-at-t", is_it).await;
}

#[tokio::test]
async fn what_is_staged_shows_and_so_does_its_clock() {
    let stage = Stage::with(switch("blue", 1)).await;
    let at = now() + 60_000;
    stage.stage(staged("green", 2, 1, at, 20)).await;
    assert_eq!(stage.metric("activate_at").await, at);
    assert_eq!(stage.metric("hold").await, 20);
    assert_eq!(stage.metric("generation").await, 1);
    assert_eq!(stage.metric("active").await, 1);
    for _ in 0..20 {
        shows_a_clock_that_is_ahead(&stage, 0).await;
    }
}

#[tokio::test]
async fn an_override_is_not_held_and_a_refused_one_waits() {
    let keys = vec![("CUTOVER_KEY_k1", "0123456789abcdef")];
    let start = Start {
        keys,
        ..Start::default()
    };
    let rule = json!({ "override": { "header": "x-cutover-override", "keys": ["k1"] } });
    let stage = start.with(and(switch("blue", 1), rule.clone())).await;
    let at = now() + 6000;
    stage
        .stage(and(staged("green", 2, 1, at, 1000), rule))
        .await;
    stage.wait_for(at - 900).await;
    let key = token::Key::new(b"0123456789abcdef").unwrap();
    for color in Color::ALL {
        let token = token::sign("k1", &key, "default", color, color.as_str(), 1 << 40);
        let answer = Get::new()
            .header("x-cutover-override", token)
            .ask(&stage)
            .await;
        assert_eq!(answer.by(), color.as_str());
    }
    assert!(now() < at + 1000, "too slow a machine to show anything");
    assert_eq!(stage.metric("held").await, 0);
    let forged = Get::new().header("x-cutover-override", "blue");
    assert_eq!(forged.ask(&stage).await.by(), "green");
    assert!(now() >= at + 1000);
    assert_eq!(stage.metric("held").await, 1);
}

#[tokio::test]
async fn more_requests_than_may_be_held_are_told_to_come_back() {
    let bound = json!({ "max_held": 3 });
    let stage = Stage::with(and(switch("blue", 1), bound.clone())).await;
    let at = now() + 6000;
    stage
        .stage(and(staged("green", 2, 1, at, 1000), bound))
        .await;
    stage.wait_for(at - 900).await;
    let request = Get::new();
    let answers = join_all((0..40).map(|_| request.ask(&stage))).await;
    let (held, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status == 200);
    // Two workers, three each, and they may share the connections as they like.
    assert!((3..=6).contains(&held.len()), "{}", held.len());
    assert!(held.iter().all(|answer| answer.by() == "green"));
    for answer in &refused {
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
        let body = "cutover: too many requests are held for service default\n";
        assert_eq!(answer.body, body);
    }
    assert_eq!(stage.metric("held").await, held.len() as u64);
    assert_eq!(stage.metric("held_over").await, refused.len() as u64);
    assert_eq!(served_by(&stage).await, "green");
}

#[tokio::test]
async fn two_services_switch_at_one_instant() {
    let service = |host: &str, switch: serde_json::Value| and(switch, json!({ "hosts": [host] }));
    let both = |shop, api| {
        let (shop, api) = (
            service("shop.example.com", shop),
            service("api.example.com", api),
        );
        json!({ "services": { "shop": shop, "api": api } })
    };
    let stage = Stage::with(both(switch("blue", 1), switch("green", 1))).await;
    let at = now() + 6000;
    let next = both(
        staged("green", 2, 1, at, HOLD),
        staged("blue", 5, 1, at, HOLD),
    );
    stage.push(next).await;
    let shop = Get::new();
    let api = Get::new().host("api.example.com");
    let ask = async || (shop.ask(&stage).await.by(), api.ask(&stage).await.by());
    assert_eq!(ask().await, ("blue".to_owned(), "green".to_owned()));
    assert!(now() < at - HOLD, "too slow a machine to show anything");
    stage.wait_for(at - HOLD + 100).await;
    let (shop, api) = tokio::join!(shop.ask(&stage), api.ask(&stage));
    assert_eq!(
        (shop.by(), api.by()),
        ("green".to_owned(), "blue".to_owned())
    );
    assert!(now() >= at + HOLD);
    for (service, generation) in [("shop", 2), ("api", 5)] {
        let name = format!("wasmcustom.cutover.plugin.cutover.service.{service}");
        stage
            .until("it rules", async || {
                stage.number(&format!("{name}.generation")).await == generation
            })
            .await;
        assert_eq!(stage.number(&format!("{name}.held")).await, 1);
    }
}
