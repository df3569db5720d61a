//! A flip of all gateways at one instant, through istiod.

use super::stage::Stage;
use serde_json::{Value, json};

/// Staged, activated, taken back: what is written, who owns it, and what is left of it.
#[track_caller]
fn a_staged_switch_is_made_or_taken_back(kind: &'static str, name: &'static str) {
    let stage = Stage::with(kind, name);
    let at = |lead: &'static str| {
        [
            "flip",
            "green",
            "--yes",
            "--force-conflicts",
            "--at",
            lead,
            "-o",
            "json",
        ]
    };
    let green = stage.cutover(&at("+10s"));
    assert_eq!(green.code, 0, "{green}");
    let flip = green.json();
    assert_eq!(flip["outcome"], "activated", "{green}");
    assert_eq!(flip["shown"].as_array().unwrap().len(), stage.proxies());
    assert_eq!(flip["late"], json!([]), "{green}");
    let switch = stage.switch();
    assert_eq!(switch["activate_at"], flip["at"]);
    assert_eq!(switch["hold"], flip["hold"]);
    let before = json!({ "active": "blue", "generation": stage.generation });
    assert_eq!(switch["previous"], before);
    for clock in flip["clocks"].as_array().unwrap() {
        let number = |key: &str| clock[key].as_f64().unwrap();
        // All gateways of the bed are on this machine.
        assert!(
            number("offset_ms").abs() <= number("error_ms") + 1.0,
            "{green}"
        );
    }
    // A plain switch leaves nothing of the instant behind.
    let back = stage.cutover(&["rollback"]);
    assert_eq!(back.code, 0, "{back}");
    for field in ["activate_at", "hold", "previous"] {
        assert_eq!(stage.switch()[field], Value::Null, "{field}");
    }
    // Before its instant the way back is the cancel.
    let mut command = stage.command(&at("+60s"));
    let child = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while stage.switch()["activate_at"].is_null() {
        assert!(std::time::Instant::now() < until, "nothing was staged");
    }
    let status = stage.cutover(&["status", "-o", "json"]);
    assert_eq!(status.json()["staged"][0]["operator"], "lives", "{status}");
    let cancelled = stage.cutover(&["flip", "--cancel", "-o", "json"]);
    assert_eq!(cancelled.code, 0, "{cancelled}");
    assert_eq!(cancelled.json()["outcome"], "cancelled");
    assert_eq!(stage.switch()["active"], "blue");
    assert_eq!(stage.switch()["activate_at"], Value::Null);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(1));
    let described = stage
        .bed
        .kubectl_says(&["--namespace", "shop", "describe", kind, name]);
    for event in ["SwitchStaged", "Switched", "SwitchCancelled"] {
        assert!(described.contains(event), "{event}: {described}");
    }
}

#[test]
fn a_staged_switch_of_a_wasm_plugin_is_made_or_taken_back() {
    a_staged_switch_is_made_or_taken_back("WasmPlugin", "control-instant");
}

#[test]
fn a_staged_switch_of_a_traffic_extension_is_made_or_taken_back() {
    a_staged_switch_is_made_or_taken_back("TrafficExtension", "control-moment");
}
