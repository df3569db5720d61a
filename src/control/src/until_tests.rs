use super::*;
use crate::{
    AdminError, Answer, Document, ModuleId, Proxy, ResourceOptions, Seen, Stats, resource,
};
use cutover_core::Plan;

fn plan() -> Plan {
    Plan::parse(br#"{"active": "green", "generation": 5, "blue": "b", "green": "g"}"#).unwrap()
}

/// An Envoy that shows this generation and color, with so many streams on blue.
fn shows(generation: u64, active: Color, on_blue: u64) -> ProxyStatus {
    let seen = Seen {
        generation: Some(generation),
        active: Some(active),
        ..Seen::default()
    };
    let stats = Stats {
        services: [("default".to_owned(), seen)].into(),
        module: ModuleId::of_gauges(1, 1),
        ..Stats::default()
    };
    ProxyStatus {
        proxy: std::net::SocketAddr::from(([127, 0, 0, 1], 9901)).into(),
        answer: Ok(Answer {
            stats,
            streams: [("b".to_owned(), on_blue), ("g".to_owned(), 3)].into(),
            drift: Some(vec![]),
            ..Answer::default()
        }),
    }
}

fn silent() -> ProxyStatus {
    let proxy = Proxy::from(std::net::SocketAddr::from(([127, 0, 0, 1], 9902)));
    let reason = "no".to_owned();
    ProxyStatus {
        proxy: proxy.clone(),
        answer: Err(AdminError::Unreachable { proxy, reason }),
    }
}

fn document() -> Document {
    let file = resource::render(&ResourceOptions {
        module: "cutover.wasm".into(),
        configuration: serde_json::json!({"active": "blue", "blue": "b", "green": "g"}),
        environment: vec![],
    });
    Document::parse(file.as_bytes()).unwrap()
}

#[track_caller]
fn check(until: &str, proxies: Vec<ProxyStatus>, expect: &[&str]) {
    let until: Until = until.parse().unwrap();
    let plan = plan();
    let services: Vec<&Service> = plan.services().iter().map(AsRef::as_ref).collect();
    let status = Status {
        plan: plan.clone(),
        version: None,
        module: ModuleId::of_gauges(1, 1),
        proxies,
        document: document(),
        reverts: vec![],
        standings: vec![],
    };
    let missing = until.missing(&status, &services);
    let missing: Vec<_> = missing.iter().map(|one| one.why.as_str()).collect();
    assert_eq!(missing, expect);
}

const GREEN: Color = Color::Green;
const BLUE: Color = Color::Blue;

#[test]
fn settled_is_every_envoy_as_the_file() {
    check("settled", vec![shows(5, GREEN, 9), shows(5, GREEN, 0)], &[]);
    let behind = "127.0.0.1:9901 shows blue, generation 4; the file has green, generation 5";
    check(
        "settled",
        vec![shows(5, GREEN, 0), shows(4, BLUE, 0)],
        &[behind],
    );
    check(
        "settled",
        vec![shows(5, GREEN, 0), silent()],
        &["no answer from 127.0.0.1:9902: no"],
    );
    check("settled", vec![], &["no Envoy can be asked"]);
}

#[test]
fn settled_is_nothing_else_either() {
    let mut other = shows(5, GREEN, 0);
    let answer = other.answer.as_mut().unwrap();
    answer.stats.module = ModuleId::of_gauges(1_000_000, 16);
    answer.drift = Some(vec!["a.b".to_owned(), "c".to_owned()]);
    check(
        "settled",
        vec![shows(5, GREEN, 0), other.clone()],
        &[
            "127.0.0.1:9901 runs another configuration than the file: a.b and 1 more",
            "127.0.0.1:9901 runs module 1.0.0 (000000000010); the file names 0.0.1 (000000000001)",
            "the Envoys run different modules: 0.0.1 (000000000001) and 1.0.0 (000000000010)",
        ],
    );
    // Somebody who waits for a color waits for no more.
    check("green", vec![other.clone()], &[]);
    // What is not known is not held against it.
    let answer = other.answer.as_mut().unwrap();
    (answer.drift, answer.stats.module) = (None, ModuleId::of_gauges(1, 1));
    check("settled", vec![other], &[]);
}

#[test]
fn a_color_is_shown_by_every_envoy() {
    check("green", vec![shows(4, GREEN, 0)], &[]);
    check(
        "blue",
        vec![shows(4, GREEN, 0)],
        &["127.0.0.1:9901 shows green, generation 4"],
    );
}

#[test]
fn a_generation_is_reached_by_it_or_a_newer_one() {
    check(
        "generation=5",
        vec![shows(5, GREEN, 0), shows(6, BLUE, 0)],
        &[],
    );
    check(
        "generation=6",
        vec![shows(5, GREEN, 0)],
        &["127.0.0.1:9901 shows green, generation 5"],
    );
}

#[test]
fn drained_is_a_color_without_streams_and_without_new_ones() {
    check("drained", vec![shows(5, GREEN, 0)], &[]);
    check(
        "drained",
        vec![shows(5, GREEN, 2)],
        &["127.0.0.1:9901 has 2 streams on blue"],
    );
    check(
        "drained",
        vec![shows(4, BLUE, 0)],
        &["127.0.0.1:9901 shows blue, generation 4"],
    );
    check(
        "drained=blue",
        vec![shows(5, GREEN, 1)],
        &["127.0.0.1:9901 has 1 stream on blue"],
    );
    check(
        "drained=green",
        vec![shows(5, GREEN, 1)],
        &["127.0.0.1:9901 shows green, generation 5"],
    );
    // Of an Envoy that does not show the service nobody knows where it sends the next request.
    let mut without = shows(5, GREEN, 0);
    without.answer.as_mut().unwrap().stats.services.clear();
    check(
        "drained",
        vec![without],
        &["127.0.0.1:9901 does not show service `default`"],
    );
}

#[test]
fn words_are_read_and_others_are_not() {
    for word in [
        "settled",
        "blue",
        "green",
        "generation=7",
        "drained",
        "drained=blue",
    ] {
        assert_eq!(word.parse::<Until>().unwrap().to_string(), word);
    }
    for word in [
        "",
        "Settled",
        "purple",
        "generation",
        "generation=x",
        "drained=",
        "settled=1",
        "blue=1",
    ] {
        assert!(word.parse::<Until>().is_err(), "{word}");
    }
}
