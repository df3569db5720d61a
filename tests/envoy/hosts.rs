//! Many services in one plugin, told apart by host.

use std::time::{Duration, Instant};

use cutover_control::{FlipRequest, Interrupt, flip};
use cutover_core::Color;
use serde_json::{Map, Value, json};

use crate::client::Get;
use crate::stage::Stage;

fn service(hosts: &[&str], active: &str, generation: u64) -> Value {
    json!({
        "hosts": hosts, "active": active, "generation": generation,
        "blue": "blue", "green": "green",
    })
}

/// What upstreams are told of a request to a host.
async fn decision(stage: &Stage, host: &str) -> String {
    let answer = Get::new().host(host).ask(stage).await;
    answer
        .told("x-cutover-decision")
        .unwrap_or_else(|| format!("none: {answer:?}"))
}

#[tokio::test]
async fn services_are_told_apart_by_host() {
    let stage = Stage::with(json!({ "services": {
        "exact": service(&["shop.example.com", "[2001:db8::1]"], "green", 1),
        "suffix": service(&["*.example.com"], "blue", 2),
        "closer": service(&["*.eu.example.com"], "green", 3),
        "any": service(&["*"], "blue", 4),
    } }))
    .await;
    for (host, service, color) in [
        ("shop.example.com", "exact", "green;g=1"),
        ("shop.example.com:8443", "exact", "green;g=1"),
        ("SHOP.Example.COM", "exact", "green;g=1"),
        ("Shop.example.com:80", "exact", "green;g=1"),
        ("[2001:DB8::1]:80", "exact", "green;g=1"),
        ("www.example.com", "suffix", "blue;g=2"),
        ("a.b.example.com:1", "suffix", "blue;g=2"),
        ("WWW.EXAMPLE.COM", "suffix", "blue;g=2"),
        ("shop.eu.example.com", "closer", "green;g=3"),
        ("example.com", "any", "blue;g=4"),
        ("shop.example.com.evil.org", "any", "blue;g=4"),
        ("localhost", "any", "blue;g=4"),
    ] {
        let expect = format!("{color};by=active;svc={service}");
        assert_eq!(decision(&stage, host).await, expect, "{host}");
    }
}

#[tokio::test]
async fn ten_thousand_services_fit_and_a_flip_of_one_touches_no_other() {
    let name = |number: usize| format!("s{number}");
    let services: Map<_, _> = (0..10_000)
        .map(|number| {
            let host = format!("{}.example.com", name(number));
            (name(number), service(&[&host], "blue", 1))
        })
        .collect();
    let stage = Stage::with(json!({ "services": services })).await;
    for number in [0, 4999, 9999] {
        let expect = format!("blue;g=1;by=active;svc=s{number}");
        assert_eq!(
            decision(&stage, &format!("s{number}.example.com")).await,
            expect
        );
    }
    let request = FlipRequest {
        service: Some("s4999".to_owned()),
        to: Color::Green,
        expect_generation: Some(1),
        agreed: None,
        generation: None,
        fleet: stage.envoy.admin().address().into(),
        deadline: Duration::from_mins(1),
        force: false,
        take_fields: false,
        reason: None,
        interrupt: Interrupt::default(),
        steps: None,
    };
    let start = Instant::now();
    let flipped = flip(&(&stage.target).into(), &request).await.unwrap();
    println!("flip of one in 10,000 services: {:?}", start.elapsed());
    let generation = flipped.written.generation;
    let expect = format!("green;g={generation};by=active;svc=s4999");
    assert_eq!(decision(&stage, "s4999.example.com").await, expect);
    for number in [0, 4998, 5000, 9999] {
        let expect = format!("blue;g=1;by=active;svc=s{number}");
        assert_eq!(
            decision(&stage, &format!("s{number}.example.com")).await,
            expect
        );
    }
    let stats = stage.stats().await;
    assert_eq!(stats.services.len(), 10_000);
    let others = stats.services.iter().filter(|(name, _)| *name != "s4999");
    for (name, seen) in others {
        assert_eq!(
            (seen.generation, seen.active),
            (Some(1), Some(Color::Blue)),
            "{name}"
        );
        assert_eq!((seen.stale, seen.conflict), (0, 0), "{name}");
    }
}
