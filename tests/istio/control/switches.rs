//! Forth and back, in both kinds, and what is left of it.

use super::stage::Stage;
use serde_json::json;

/// A flip and a rollback that proxies show, an event for each, and the journal.
#[track_caller]
fn a_switch_lands(kind: &'static str, name: &'static str) {
    let stage = Stage::with(kind, name);
    let green = stage.cutover(&[
        "flip",
        "green",
        "--now",
        "--yes",
        "--force-conflicts",
        "-o",
        "json",
        "--reason",
        "try",
    ]);
    assert_eq!(green.code, 0, "{green}");
    let json = green.json();
    assert_eq!(json["shown"].as_array().unwrap().len(), stage.proxies());
    assert_eq!(stage.switch()["active"], "green");
    // Cutover owns it now: no force is needed any more.
    let blue = stage.cutover(&["flip", "blue", "--now", "--yes"]);
    assert_eq!(blue.code, 0, "{blue}");
    let back = stage.cutover(&["rollback", "-o", "json"]);
    assert_eq!(back.code, 0, "{back}");
    let generation = back.json()["generation"].clone();
    assert_eq!(stage.switch()["generation"], generation);
    assert_eq!(stage.switch()["active"], "green");
    let history = stage.cutover(&["history", "-o", "json"]).json();
    let verbs = history["switches"].as_array().unwrap().iter();
    let verbs: Vec<_> = verbs
        .map(|one| (one["verb"].clone(), one["outcome"].clone()))
        .collect();
    let done = json!("done");
    assert_eq!(
        verbs,
        [
            (json!("flip"), done.clone()),
            (json!("flip"), done.clone()),
            (json!("rollback"), done)
        ]
    );
    assert_eq!(history["switches"][0]["reason"], "try");
    let events = stage.bed.kubectl_says(&[
        "--namespace",
        "shop",
        "get",
        "events.events.k8s.io",
        "--output=json",
    ]);
    let events: serde_json::Value = serde_json::from_str(&events).unwrap();
    let notes = events["items"].as_array().unwrap().iter();
    let uid = stage.object()["metadata"]["uid"].clone();
    let notes = notes.filter(|event| event["regarding"]["uid"] == uid);
    let reasons: Vec<_> = notes
        .map(|event| event["reason"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        reasons
            .iter()
            .filter(|reason| *reason == "SwitchBegun")
            .count(),
        3,
        "{reasons:?}"
    );
    assert_eq!(
        reasons
            .iter()
            .filter(|reason| *reason == "Switched")
            .count(),
        3,
        "{reasons:?}"
    );
    let described = stage
        .bed
        .kubectl_says(&["--namespace", "shop", "describe", kind, name]);
    assert!(described.contains("Switched"), "{described}");
}

#[test]
fn a_switch_of_a_wasm_plugin_lands_on_every_proxy() {
    a_switch_lands("WasmPlugin", "control-wasm");
}

#[test]
fn a_switch_of_a_traffic_extension_lands_on_every_proxy() {
    a_switch_lands("TrafficExtension", "control-extension");
}

#[test]
fn status_agrees_with_what_every_proxy_shows() {
    let stage = Stage::with("WasmPlugin", "control-status");
    let settled = stage.cutover(&["status", "--until", "settled", "--deadline", "60s"]);
    assert_eq!(settled.code, 0, "{settled}");
    let status = stage.cutover(&["status", "-o", "json"]);
    assert_eq!(status.code, 0, "{status}");
    let json = status.json();
    assert_eq!(json["target"], "k8s:shop/wasmplugin/control-status");
    assert_eq!(json["wrong"], json!([]));
    for envoy in json["envoys"].as_array().unwrap() {
        assert_eq!(envoy["services"][0]["agreement"], "agrees", "{json:#}");
        assert_eq!(envoy["drift"], json!([]), "{json:#}");
    }
    let explained = stage.cutover(&[
        "explain",
        "--host",
        "control-status.control.example",
        "-o",
        "json",
    ]);
    assert_eq!(explained.json()["color"], "blue", "{explained}");
    let planned = stage.cutover(&["plan", "green", "-o", "json"]);
    assert_eq!(
        planned.json()["services"][0]["after"]["active"],
        "green",
        "{planned}"
    );
}

#[test]
fn a_generation_that_no_proxy_has_is_told_as_missing_everywhere() {
    let stage = Stage::with("WasmPlugin", "control-wait");
    let waited = stage.cutover(&[
        "wait",
        "--generation",
        "2",
        "--deadline",
        "5s",
        "-o",
        "json",
    ]);
    assert_eq!(waited.code, 1, "{waited}");
    assert_eq!(
        waited.json()["missing"].as_array().unwrap().len(),
        stage.proxies()
    );
}
