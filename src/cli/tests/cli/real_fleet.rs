//! `verify --url` on Envoys that are there already.

use crate::real_envoy::{Proxied, get};
use crate::support::{Ran, Stage};
use serde_json::{Value, json};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// An Envoy whose answers tell what was decided, or not.
fn proxied(tells: bool) -> Proxied {
    Proxied::start(&[], |stage| {
        let file = stage.read("envoy/cutover.json");
        let told = file.replace(
            r#"{\"version\":1,"#,
            r#"{\"version\":1,\"expose\":{\"response_header\":true},"#,
        );
        assert_ne!(file, told);
        stage.write("envoy/cutover.json", if tells { &told } else { &file });
    })
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/")
}

fn verify(proxied: &Proxied, urls: &str, more: &[&str]) -> Ran {
    let arguments = ["verify", "--url", urls, "--flips", "2"];
    proxied.run(&[arguments.as_slice(), more].concat())
}

#[test]
fn proxies_that_are_there_are_judged_as_one_fleet() {
    let envoy = proxied(true);
    let port = envoy.listener.port();
    // One register behind two addresses: no answer can be older than another's.
    let urls = format!("http://127.0.0.1:{port},http://localhost:{port}/");
    let ran = verify(&envoy, &urls, &["--yes", "--window", "500ms", "-o", "json"]);
    let json = ran.json();
    assert_eq!(json["figures"]["violations"], json!({}), "{ran}");
    assert_eq!(json["figures"]["flips"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["header"]["scope"], "fleet");
    assert_eq!(
        json["header"]["proxies"][1]["name"],
        format!("localhost:{port}")
    );
    assert_eq!(json["header"]["inferred"], json!(["served"]));
    // A machine that stands still for longer than the window leaves it open.
    assert!(matches!(ran.code, Some(0 | 3)), "{ran}");
    // Two flips lead back to where it began.
    assert!(get(envoy.listener, "/", "").contains("x-cutover-decision: blue;"));
    let again = envoy.run(&["check", "cutover-verify/certificate.json"]);
    assert!(
        again.stdout.contains("LAST PROXY  LAST OLD  MIXED"),
        "{again}"
    );
    assert!(again.stdout.contains("The certificate stands"), "{again}");
}

#[test]
fn a_proxy_that_lags_is_convicted_with_the_window() {
    let (ahead, behind) = (proxied(true), proxied(true));
    let file = ahead.stage.path("envoy/cutover.json");
    let over = AtomicBool::new(false);
    let ran = thread::scope(|scope| {
        scope.spawn(|| follow_late(&ahead, &behind, &over));
        let urls = [url(ahead.listener), url(behind.listener)].join(",");
        let ran = verify(&ahead, &urls, &["--yes", "--window", "500ms", "-o", "json"]);
        over.store(true, Ordering::Relaxed);
        ran
    });
    assert_eq!(ran.code, Some(1), "{ran}");
    let json = ran.json();
    assert_eq!(json["verdict"]["violated"]["rule"], "stale");
    let evidence = json["verdict"]["violated"]["evidence"].as_array().unwrap();
    let last = &evidence.last().unwrap()["proxy"];
    assert_eq!(last, &json!(behind.listener.to_string()));
    for flip in json["figures"]["flips"].as_array().unwrap() {
        assert!(flip["mixed_ns"].as_u64() > Some(0), "{flip}");
        assert!(
            flip["last_proxy_ns"].as_u64() > flip["first_new_ns"].as_u64(),
            "{flip}"
        );
    }
    assert!(file.exists());
}

/// Gives what one Envoy's file says to the other, once the first has answered with it for a while.
fn follow_late(ahead: &Proxied, behind: &Proxied, over: &AtomicBool) {
    let file = |proxied: &Proxied| proxied.stage.path("envoy/cutover.json");
    let mut given = fs::read(file(ahead)).unwrap();
    while !over.load(Ordering::Relaxed) {
        let now = fs::read(file(ahead)).unwrap();
        if now == given {
            thread::yield_now();
            continue;
        }
        let before = get(behind.listener, "/", "").contains("decision: blue;");
        let moved = if before {
            "decision: green;"
        } else {
            "decision: blue;"
        };
        let mut answers = 0;
        while answers < 50 && !over.load(Ordering::Relaxed) {
            answers += usize::from(get(ahead.listener, "/", "").contains(moved));
        }
        let beside = behind.stage.path("envoy/.given");
        fs::write(&beside, &now).unwrap();
        fs::rename(beside, file(behind)).unwrap();
        given = now;
    }
}

#[test]
fn answers_that_do_not_tell_the_decision_are_refused_and_nothing_is_flipped() {
    let envoy = proxied(false);
    let before = envoy.stage.read("envoy/cutover.json");
    let ran = verify(&envoy, &url(envoy.listener), &["--yes", "-o", "json"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    let json = ran.json();
    let said = |key: &str, part: &str| {
        let text = json[key].as_str().unwrap_or_default();
        assert!(text.contains(part), "{text}");
    };
    said("error", "does not tell what was decided");
    said("hint", r#""expose": {"response_header": true}"#);
    assert_eq!(envoy.stage.read("envoy/cutover.json"), before);
    assert!(!envoy.stage.path("cutover-verify/history.jsonl").exists());
}

#[test]
fn a_url_that_refuses_connections_stops_it_and_one_that_may_come_late_does_not() {
    let envoy = proxied(true);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let before = envoy.stage.read("envoy/cutover.json");
    let urls = [url(envoy.listener), url(address)].join(",");
    let ran = verify(&envoy, &urls, &["--yes"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(
        ran.stderr.contains(&format!("{address} does not answer: ")),
        "{ran}"
    );
    assert!(ran.stderr.contains("--late-url"), "{ran}");
    assert_eq!(envoy.stage.read("envoy/cutover.json"), before);

    let late = url(address);
    let more = [
        "--late-url",
        &late,
        "--yes",
        "--window",
        "100ms",
        "-o",
        "json",
    ];
    let ran = verify(&envoy, &url(envoy.listener), &more);
    // It has never come: there was no traffic to see it by.
    assert_eq!(ran.code, Some(3), "{ran}");
    let troubles = ran.json()["troubles"].clone();
    assert!(
        troubles
            .as_array()
            .unwrap()
            .contains(&Value::from(format!("{address} has never answered"))),
        "{troubles}"
    );
}

#[test]
fn a_target_of_other_proxies_is_refused() {
    let (one, other) = (proxied(true), proxied(true));
    one.done(&["flip", "green", "--yes"]);
    let ran = verify(&one, &url(other.listener), &["--yes"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(
        ran.stderr
            .contains("answers with generation 1, and the target has "),
        "{ran}"
    );
}

#[test]
fn what_cannot_be_meant_is_bad_use() {
    let stage = Stage::new();
    let refused = |arguments: &[&str], words: &str| {
        let ran = stage.run(&[&["verify"], arguments].concat());
        assert_eq!(ran.code, Some(2), "{ran}");
        assert!(ran.stderr.contains(words), "{ran}");
    };
    let url = "http://127.0.0.1:9/";
    refused(&["--url", url, "--proxies", "3"], "cannot be used with");
    refused(&["--url", url, "--scope", "proxy"], "cannot be used with");
    refused(&["--host", "shop.example"], "--url");
    refused(
        &["--url", "https://shop.example/"],
        "only http:// can be asked",
    );
    refused(&["--url", "shop.example"], "is not a URL such as");
    refused(&["--url", url, "--host", "a b"], "is not a host name");
    refused(
        &["--url", url, "--target", "file:none.json"],
        "there is no file none.json",
    );
    stage.write(
        "cutover.json",
        &crate::support::ecds(&json!({
            "version": 1, "active": "blue", "generation": 1,
            "blue": { "cluster": "b" }, "green": { "cluster": "g" },
        })),
    );
    refused(
        &["--url", url, "--target", "file:cutover.json"],
        "nobody is there to be asked",
    );
}
