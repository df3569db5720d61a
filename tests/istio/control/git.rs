//! What Git needs of the tool, and what the API server says beforehand.

use super::stage::Stage;
use serde_json::{Value, json};

#[test]
fn yaml_is_the_object_for_git_and_nothing_is_applied() {
    let stage = Stage::with("WasmPlugin", "control-yaml");
    let before = stage.object();
    let rendered = stage.cutover(&["flip", "green", "--yes", "-o", "yaml"]);
    assert_eq!(rendered.code, 0, "{rendered}");
    assert_eq!(stage.object(), before);
    assert!(rendered.err.contains("nothing was applied"), "{rendered}");
    let file = stage.write("rendered.yaml", &Value::String(rendered.out.clone()));
    std::fs::write(&file, &rendered.out).unwrap();
    let linted = stage.cutover(&["lint", &file, "-o", "json"]);
    assert_eq!(linted.json()["services"][0]["active"], "green", "{linted}");
    for word in [
        "managedFields",
        "resourceVersion",
        "uid",
        "creationTimestamp",
        "status:",
    ] {
        assert!(!rendered.out.contains(word), "{word}: {rendered}");
    }
    // The cluster has blue: the file differs by the switch alone.
    let status = stage.cutover(&["status", "--git", &file, "-o", "json"]);
    assert_eq!(status.code, 1, "{status}");
    let json = status.json();
    assert_eq!(
        json["git"]["switches"][0]["git"]["active"], "green",
        "{json:#}"
    );
    assert_eq!(json["git"]["paths"], json!([]), "{json:#}");
    // As a controller would apply it.
    stage.bed.kubectl_says(&[
        "apply",
        "--server-side",
        "--field-manager=kubectl",
        "--filename",
        &file,
    ]);
    let landed = stage.cutover(&["wait", "--deadline", "60s"]);
    assert_eq!(landed.code, 0, "{landed}");
    let status = stage.cutover(&["status", "--git", &file, "-o", "json"]);
    assert_eq!(status.code, 0, "{status}");
}

#[test]
fn yaml_for_git_is_shown_to_the_api_server_where_that_is_asked() {
    let stage = Stage::with("WasmPlugin", "control-asked");
    let asked = ["flip", "green", "-o", "yaml", "--dry-run=server"];
    let refused = stage.cutover(&asked);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.err.contains("kubectl"), "{refused}");
    let taken = stage.cutover(&[&asked[..], &["--force-conflicts"]].concat());
    assert_eq!(taken.code, 0, "{taken}");
    assert!(taken.err.contains("the API server takes it"), "{taken}");
    assert!(taken.out.contains("active: green"), "{taken}");
    assert_eq!(stage.switch()["active"], "blue");
}

#[test]
fn a_file_in_git_that_differs_beside_the_switch_is_told_with_its_paths() {
    let stage = Stage::with("TrafficExtension", "control-drift");
    let mut manifest = stage.manifest("blue", stage.generation);
    manifest["spec"]["wasm"]["pluginConfig"]["expose"] = json!({ "response_header": true });
    let file = stage.write("drift.yaml", &manifest);
    let status = stage.cutover(&["status", "--git", &file, "-o", "json"]);
    assert_eq!(status.code, 1, "{status}");
    let json = status.json();
    assert_eq!(json["git"]["switches"], json!([]), "{json:#}");
    assert_eq!(
        json["git"]["paths"],
        json!(["spec.wasm.pluginConfig.expose"]),
        "{json:#}"
    );
}

#[test]
fn a_dry_run_on_the_server_says_what_the_api_server_would() {
    let stage = Stage::with("WasmPlugin", "control-dry");
    let before = stage.object();
    let refused = stage.cutover(&["flip", "green", "--dry-run=server"]);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(
        refused
            .out
            .contains("belong to kubectl apply --server-side"),
        "{refused}"
    );
    let taken = stage.cutover(&["flip", "green", "--dry-run=server", "--force-conflicts"]);
    assert_eq!(taken.code, 0, "{taken}");
    assert!(taken.out.contains("the API server takes it"), "{taken}");
    assert_eq!(stage.object(), before);
}
