//! "Done" is what Envoy shows, not what was written.

use std::process::{Command, Output};
use std::time::Duration;

use cutover_control::{FlipError, Interrupt, RollbackRequest, rollback};
use serde_json::json;

use crate::client::served_by;
use crate::stage::{Stage, and, switch};

/// Green, with a way back to blue; Envoy is stopped, so that no way back can be done.
async fn stopped() -> Stage {
    let previous = json!({ "previous": { "generation": 1, "active": "blue" } });
    let stage = Stage::with(and(switch("green", 2), previous)).await;
    assert_eq!(served_by(&stage).await, "green");
    stage.envoy.pause().unwrap();
    stage
}

fn tool(arguments: &[&str]) -> Output {
    let mut command = Command::new(cutover_tests::tool_that_reports_at_write());
    command.env_clear().args(arguments).output().unwrap()
}

#[tokio::test]
async fn a_stopped_envoy_is_named_and_the_way_back_is_written_for_it() {
    let stage = stopped().await;
    let admin = stage.envoy.admin().address();
    let request = RollbackRequest {
        service: None,
        expect_generation: None,
        fleet: admin.into(),
        deadline: Duration::from_millis(100),
        reason: None,
        interrupt: Interrupt::default(),
        steps: None,
    };
    let error = rollback(&(&stage.target).into(), &request)
        .await
        .unwrap_err();
    assert!(matches!(error, FlipError::NotDone { .. }), "{error}");
    assert!(error.to_string().contains(&admin.to_string()), "{error}");
    stage.envoy.resume().unwrap();
    stage
        .until("blue serves", async || served_by(&stage).await == "blue")
        .await;
}

#[tokio::test]
async fn the_build_that_reports_at_write_says_done_of_a_stopped_envoy() {
    let stage = stopped().await;
    let target = format!("file:{}", stage.target.path().display());
    let admin = stage.envoy.admin().address().to_string();
    let ran = tool(&["rollback", "--target", &target, "--admin", &admin]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    // A lie: nobody has asked Envoy, which stands still.
    assert!(
        String::from_utf8_lossy(&ran.stdout).contains("done"),
        "{ran:?}"
    );
}

#[test]
fn reports_at_write_is_caught_by_verify_as_stale() {
    let folder = tempfile::tempdir().unwrap();
    let (envoy, module) = (cutover_tests::envoy(), cutover_tests::module());
    let (envoy, module) = (envoy.to_str().unwrap(), module.to_str().unwrap());
    let places = [
        "--envoy",
        envoy,
        "--wasm",
        module,
        "--out",
        folder.path().to_str().unwrap(),
    ];
    let run = [
        "--proxies",
        "1",
        "--no-weather",
        "--flips",
        "6",
        "--pause",
        "300ms",
        "--seed",
        "1",
    ];
    let ran = tool(&[["verify"].as_slice(), &run, &places].concat());
    let said = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    let stale =
        "a request was decided by an older generation than one already seen or acknowledged";
    assert!(said.contains("verdict: violated"), "{said}");
    assert!(said.contains(stale), "{said}");
}
