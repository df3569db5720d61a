//! Other writers of the same plugin.

use super::stage::Stage;
use crate::assert_said;

#[test]
fn a_switch_that_another_manager_owns_is_a_conflict_that_names_it() {
    let stage = Stage::with("WasmPlugin", "control-owner");
    let refused = stage.cutover(&["flip", "green", "--now", "--yes"]);
    assert_said!(refused, @r#"
    exit code: 1
    error: .spec.pluginConfig.services.control-owner.active, .spec.pluginConfig.services.control-owner.generation belong to kubectl apply --server-side (kubectl, since [TIME])
    hint: nothing was written; flip once with --force-conflicts, which makes Cutover the owner, and take `active`, `generation` and `previous` out of the file that is applied, or the next apply is refused with this conflict
    "#);
    assert_eq!(stage.switch()["active"], "blue");
    let planned = stage.cutover(&["plan", "green"]);
    assert_eq!(planned.code, 1, "{planned}");
    assert!(
        planned
            .out
            .contains("a flip would fail: .spec.pluginConfig.services.control-owner.active"),
        "{planned}"
    );
    // What was refused beforehand is no beginning that would need an end.
    let history = stage.cutover(&["history", "-o", "json"]);
    assert_eq!(
        history.json()["switches"],
        serde_json::json!([]),
        "{history}"
    );
    // A way back is never gated: it takes the switch, and says from whom.
    let back = stage.cutover(&["rollback"]);
    assert_eq!(back.code, 0, "{back}");
    assert!(
        back.err
            .contains("the switch is taken from kubectl apply --server-side"),
        "{back}"
    );
    assert_eq!(stage.switch()["active"], "green");
}

#[test]
fn a_generation_that_is_not_expected_is_refused() {
    let stage = Stage::with("WasmPlugin", "control-expect");
    let refused = stage.cutover(&[
        "flip",
        "green",
        "--now",
        "--yes",
        "--force-conflicts",
        "--expect-generation",
        "7",
    ]);
    assert_said!(refused, @r#"
    exit code: 1
    error: generation 7 was expected, but WasmPlugin shop/control-expect has generation [GENERATION] (blue)
    hint: nothing was written; look with `cutover status` at what the other one did
    "#);
    let taken = stage.cutover(&[
        "flip",
        "green",
        "--now",
        "--yes",
        "--force-conflicts",
        "--expect-generation",
        &stage.generation.to_string(),
    ]);
    assert_eq!(taken.code, 0, "{taken}");
}

#[test]
fn a_switch_that_git_writes_back_is_told_as_reverted_and_proxies_keep_what_they_have() {
    let stage = Stage::with("TrafficExtension", "control-revert");
    let green = stage.cutover(&["flip", "green", "--now", "--yes", "--force-conflicts"]);
    assert_eq!(green.code, 0, "{green}");
    stage.apply(
        "blue",
        stage.generation,
        &["--force-conflicts", "--field-manager=argocd-controller"],
    );
    let status = stage.cutover(&["status", "-o", "json"]);
    assert_eq!(status.code, 1, "{status}");
    let json = status.json();
    assert_eq!(json["reverts"][0]["to"]["active"], "blue", "{json:#}");
    assert_eq!(json["reverts"][0]["from"]["active"], "green", "{json:#}");
    let wrong = json["wrong"][0].as_str().unwrap();
    assert!(
        wrong.starts_with("`control-revert` was reverted by Argo CD (argocd-controller, since "),
        "{wrong}"
    );
    assert!(
        wrong.ends_with(", because generations only grow"),
        "{wrong}"
    );
    let mended = stage.cutover(&["flip", "green", "--now", "--yes", "--force-conflicts"]);
    assert_eq!(mended.code, 0, "{mended}");
    assert!(
        mended
            .err
            .contains("which will write it back from Git unless it is told not to"),
        "{mended}"
    );
    let status = stage.cutover(&["status", "-o", "json"]);
    assert_eq!(
        status.json()["reverts"].as_array().unwrap().len(),
        0,
        "{status}"
    );
}
