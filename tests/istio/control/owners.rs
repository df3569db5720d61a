//! Other writers of the same plugin.

use super::stage::Stage;
use crate::assert_said;

#[test]
fn a_switch_that_another_manager_owns_is_a_conflict_that_names_it() {
    let stage = Stage::with("WasmPlugin", "control-owner");
    let refused = stage.cutover(&["flip", "green", "--yes"]);
    assert_said!(refused, @"");
    assert_eq!(stage.switch()["active"], "blue");
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
        "--yes",
        "--force-conflicts",
        "--expect-generation",
        "7",
    ]);
    assert_said!(refused, @"");
    let taken = stage.cutover(&[
        "flip",
        "green",
        "--yes",
        "--force-conflicts",
        "--expect-generation",
        "1",
    ]);
    assert_eq!(taken.code, 0, "{taken}");
}

#[test]
fn a_switch_that_git_writes_back_is_told_as_reverted_and_proxies_keep_what_they_have() {
    let stage = Stage::with("TrafficExtension", "control-revert");
    let green = stage.cutover(&["flip", "green", "--yes", "--force-conflicts"]);
    assert_eq!(green.code, 0, "{green}");
    stage.apply(
        "blue",
        1,
        &["--force-conflicts", "--field-manager=argocd-controller"],
    );
    let status = stage.cutover(&["status", "-o", "json"]);
    assert_eq!(status.code, 1, "{status}");
    let json = status.json();
    assert_eq!(json["reverts"][0]["to"]["active"], "blue", "{json:#}");
    assert_eq!(json["reverts"][0]["kept"], true, "{json:#}");
    let wrong = json["wrong"][0].as_str().unwrap();
    assert!(
        wrong.starts_with("`control-revert` was reverted by Argo CD (argocd-controller, since "),
        "{wrong}"
    );
    assert!(
        wrong.ends_with("the proxies keep green, because generations only grow"),
        "{wrong}"
    );
    for envoy in json["envoys"].as_array().unwrap() {
        assert_eq!(envoy["services"][0]["active"], "green", "{json:#}");
    }
    let mended = stage.cutover(&["flip", "green", "--yes", "--force-conflicts"]);
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
