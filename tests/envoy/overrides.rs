//! Overrides: green while green has no traffic, for those who may.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cutover_core::Color;
use cutover_core::token::{Key, sign};
use serde_json::{Value, json};

use crate::client::{Answer, Get, served_by};
use crate::stage::{Stage, Start, and, switch};

const K1: &str = "0123456789abcdef";
const K2: &str = "fedcba9876543210";
const HEADER: &str = "x-cutover-override";

/// Blue is active; overrides are as this says, by header or cookie.
fn with_override(generation: u64, rule: Value) -> Value {
    let names = json!({ "header": HEADER, "cookie": "preview" });
    and(
        switch("blue", generation),
        json!({ "override": and(names, rule) }),
    )
}

/// An Envoy whose VM has two keys.
async fn start(rule: Value) -> Stage {
    let keys = vec![("CUTOVER_KEY_k1", K1), ("CUTOVER_KEY_k2", K2)];
    let start = Start {
        keys,
        ..Start::default()
    };
    start.with(with_override(1, rule)).await
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A token for green of the only service, good for a minute.
fn token(id: &str, key: &str) -> String {
    signed(id, key, Color::Green, now() + 60)
}

fn signed(id: &str, key: &str, color: Color, expiry: u64) -> String {
    let key = Key::new(key.as_bytes()).unwrap();
    sign(id, &key, "default", color, color.as_str(), expiry)
}

async fn by_header(stage: &Stage, value: &str) -> Answer {
    Get::new().header(HEADER, value).ask(stage).await
}

async fn by_cookie(stage: &Stage, value: &str) -> Answer {
    let cookies = format!("a=b; preview={value}; c=d");
    Get::new().header("cookie", cookies).ask(stage).await
}

/// Overrides used and refused, as Envoy counts them.
async fn counted(stage: &Stage) -> (u64, u64) {
    let seen = stage.seen().await;
    (seen.override_used, seen.override_refused)
}

#[tokio::test]
async fn an_unsigned_override_reaches_green_by_header_and_by_cookie() {
    let stage = start(json!({ "unsigned": true })).await;
    for answer in [
        by_header(&stage, "green").await,
        by_cookie(&stage, "green").await,
    ] {
        assert_eq!(answer.by(), "green");
        let decision = answer.told("x-cutover-decision");
        assert_eq!(
            decision.as_deref(),
            Some("green;g=1;by=override;svc=default")
        );
    }
    assert_eq!(counted(&stage).await, (2, 0));
    for no_value in ["Green", "greener", "purple", "", "v2"] {
        assert_eq!(by_header(&stage, no_value).await.by(), "blue", "{no_value}");
        assert_eq!(by_cookie(&stage, no_value).await.by(), "blue", "{no_value}");
    }
    assert_eq!(served_by(&stage).await, "blue");
    assert_eq!(counted(&stage).await, (2, 0));
}

#[tokio::test]
async fn pieces_of_a_cookie_are_one_in_http2_and_the_first_counts_in_http1() {
    let stage = start(json!({ "unsigned": true })).await;
    let pieces = Get::new()
        .header("cookie", "a=b")
        .header("cookie", "preview=green");
    assert_eq!(pieces.ask_h2(&stage).await.by(), "green");
    assert_eq!(pieces.ask(&stage).await.by(), "blue");
}

#[tokio::test]
async fn an_override_has_the_value_that_the_configuration_says() {
    let stage = start(json!({ "unsigned": true, "values": { "green": "let-me-in" } })).await;
    assert_eq!(by_header(&stage, "let-me-in").await.by(), "green");
    assert_eq!(by_cookie(&stage, "let-me-in").await.by(), "green");
    assert_eq!(by_header(&stage, "green").await.by(), "blue");
    assert_eq!(counted(&stage).await, (2, 0));
}

#[tokio::test]
async fn a_signed_override_needs_a_key_of_the_configuration_and_a_later_time() {
    let stage = start(json!({ "keys": ["k1"] })).await;
    let good = token("k1", K1);
    assert_eq!(by_header(&stage, &good).await.by(), "green");
    assert_eq!(by_cookie(&stage, &good).await.by(), "green");
    assert_eq!(counted(&stage).await, (2, 0));
    let other_service = {
        let key = Key::new(K1.as_bytes()).unwrap();
        sign("k1", &key, "shop", Color::Green, "green", now() + 60)
    };
    let refused = [
        ("forged", token("k1", K2)),
        (
            "of a key that the configuration does not name",
            token("k2", K2),
        ),
        ("expired", signed("k1", K1, Color::Green, now() - 1)),
        ("for another service", other_service),
        (
            "for another color",
            signed("k1", K1, Color::Blue, now() + 60).replace("blue", "green"),
        ),
        ("for a later time than signed", good.replacen(".1", ".2", 1)),
        (
            "cut short",
            good.trim_end_matches(good.chars().last().unwrap())
                .to_owned(),
        ),
        ("without a token", "green".to_owned()),
    ];
    for (number, (what, value)) in (1..).zip(&refused) {
        assert_ne!(*value, good, "{what}");
        let answer = if number % 2 == 0 {
            by_header(&stage, value).await
        } else {
            by_cookie(&stage, value).await
        };
        assert_eq!(answer.by(), "blue", "{what}");
        let decision = answer.told("x-cutover-decision");
        assert_eq!(
            decision.as_deref(),
            Some("blue;g=1;by=active;svc=default"),
            "{what}"
        );
        assert_eq!(counted(&stage).await, (2, number), "{what}");
    }
}

#[tokio::test]
async fn a_refused_override_is_answered_with_403_where_the_configuration_forbids() {
    let stage = start(json!({ "keys": ["k1"], "refused": "forbid" })).await;
    let forged = by_header(&stage, &token("k1", K2)).await;
    assert_eq!(forged.status, 403);
    assert_eq!(forged.header("content-type").as_deref(), Some("text/plain"));
    let why = "cutover: override refused for service default: the token's signature is wrong\n";
    assert_eq!(forged.body, why);
    let expired = by_cookie(&stage, &signed("k1", K1, Color::Green, now() - 1)).await;
    assert_eq!(expired.status, 403);
    assert!(
        expired.body.contains("the token has expired"),
        "{expired:?}"
    );
    assert_eq!(counted(&stage).await, (0, 2));
    assert_eq!(stage.blue.begun() + stage.green.begun(), 0);
    assert_eq!(by_header(&stage, &token("k1", K1)).await.by(), "green");
    assert_eq!(served_by(&stage).await, "blue");
}

#[tokio::test]
async fn an_override_to_a_closed_color_is_answered_with_503_and_the_reason() {
    let stage = start(json!({ "keys": ["k1"] })).await;
    let closed = and(
        with_override(2, json!({ "keys": ["k1"] })),
        json!({ "closed": ["green"] }),
    );
    stage.push(closed).await;
    stage
        .until("workers have the configuration", async || {
            by_header(&stage, &token("k1", K1)).await.status == 503
        })
        .await;
    let begun = stage.green.begun();
    let mut waits = Vec::new();
    for _ in 0..20 {
        let answer = by_header(&stage, &token("k1", K1)).await;
        if answer.status != 503 {
            // The other worker has not got it yet.
            continue;
        }
        assert_eq!(
            answer.body,
            "cutover: green is closed for service default\n"
        );
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((5..=10).contains(&wait), "{wait}");
        waits.push(wait);
    }
    assert_eq!(stage.green.begun(), begun);
    // 20 draws of 6: all alike would be a chance of 1 in 6^19.
    waits.dedup();
    assert!(waits.len() > 1, "not drawn at random: {waits:?}");
    // Who has no token does not even learn that.
    assert_eq!(by_header(&stage, &token("k1", K2)).await.by(), "blue");
    assert_eq!(served_by(&stage).await, "blue");
}

#[tokio::test]
async fn an_override_is_limited_to_its_paths() {
    let stage = start(json!({ "unsigned": true, "paths": ["/api/", "/health"] })).await;
    for (path, color) in [
        ("/api/", "green"),
        ("/api/v1?x=1", "green"),
        ("/healthz", "green"),
        ("/", "blue"),
        ("/api", "blue"),
        ("/x/api/", "blue"),
        ("/?/api/", "blue"),
    ] {
        let ask = Get::new().path(path).header(HEADER, "green");
        assert_eq!(ask.ask(&stage).await.by(), color, "{path}");
    }
}

#[tokio::test]
async fn keys_rotate_with_both_accepted_in_between() {
    let stage = start(json!({ "keys": ["k1"] })).await;
    let (old, new) = (token("k1", K1), token("k2", K2));
    let served = async |value: &str| by_header(&stage, value).await.by();
    assert_eq!(
        (served(&old).await, served(&new).await),
        ("green".into(), "blue".into())
    );
    stage
        .push(with_override(2, json!({ "keys": ["k1", "k2"] })))
        .await;
    // Keys are each worker's own: its requests know them when the push has come to it.
    stage
        .until("all workers know the new key", async || {
            all(&stage, &new, "green").await
        })
        .await;
    assert_eq!(served(&old).await, "green");
    stage
        .push(with_override(3, json!({ "keys": ["k2"] })))
        .await;
    stage
        .until("no worker takes the old key", async || {
            all(&stage, &old, "blue").await
        })
        .await;
    assert_eq!(served(&new).await, "green");
}

/// Whether twenty connections, of which each worker has some, are all answered by a color.
async fn all(stage: &Stage, value: &str, color: &str) -> bool {
    for _ in 0..20 {
        if by_header(stage, value).await.by() != color {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn a_configuration_whose_key_is_not_in_the_environment_is_refused_and_the_old_one_serves() {
    let stage = start(json!({ "keys": ["k1"] })).await;
    stage
        .push(with_override(2, json!({ "keys": ["k1", "k3"] })))
        .await;
    assert_eq!(stage.stat("update_rejected").await, 1);
    assert_eq!(stage.stats().await.config_refused, 1);
    assert!(
        stage.log().contains("CUTOVER_KEY_k3"),
        "{}",
        stage.envoy.log_end()
    );
    assert_eq!(stage.seen().await.generation, Some(1));
    assert_eq!(by_header(&stage, &token("k1", K1)).await.by(), "green");
    assert_eq!(served_by(&stage).await, "blue");
    stage
        .push(with_override(3, json!({ "keys": ["k2"] })))
        .await;
    assert_eq!(stage.seen().await.generation, Some(3));
}

#[tokio::test]
async fn a_token_expires_while_envoy_runs() {
    let stage = start(json!({ "keys": ["k1"] })).await;
    let short = signed("k1", K1, Color::Green, now() + 6);
    assert_eq!(by_header(&stage, &short).await.by(), "green");
    let expired = async || by_header(&stage, &short).await.by() == "blue";
    let wait = stage.until("the token has expired", expired);
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .unwrap();
}
