//! A wall clock that is set while a switch is staged.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::json;

use crate::client::{Get, served_by};
use crate::shown::{STAGED, documented};
use crate::stage::{DEADLINE, Stage, Start, and, switch};
use crate::staged::{now, shows_a_clock_that_is_ahead, staged};

/// Where an Envoy with a clock of its own has it, in its folder.
const CLOCK: &str = "clock";

/// An Envoy whose wall clock can be set: `tests/clock/clock.c` is loaded into it.
fn with_own_clock(folder: &Path) -> PathBuf {
    let library = Command::new(cutover_tests::root().join("scripts/get-clock"))
        .env("CARGO_TARGET_DIR", cutover_tests::target())
        .output()
        .unwrap();
    assert!(library.status.success(), "{library:?}");
    let library = String::from_utf8(library.stdout).unwrap();
    let clock = folder.join(CLOCK);
    std::fs::write(&clock, [0; 24]).unwrap();
    let script = format!(
        "#!/bin/sh\nLD_PRELOAD='{}' CUTOVER_CLOCK='{}' exec '{}' \"$@\"\n",
        library.trim_end(),
        clock.display(),
        cutover_tests::envoy().canonicalize().unwrap().display()
    );
    let (name, scripts) = ("envoy-with-own-clock", folder.join("scripts"));
    std::fs::create_dir(&scripts).unwrap();
    let path = scripts.join(name);
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    // What is run is written by another process: a child of another thread may still have this one open.
    cutover_tests::copy([name], &scripts, folder).unwrap();
    folder.join(name)
}

impl Stage {
    /// Sets its Envoy's wall clock so many milliseconds ahead of the true one.
    fn set_clock(&self, ahead: i64) {
        use std::os::unix::fs::FileExt as _;
        let file = std::fs::File::options()
            .write(true)
            .open(self.folder().join(CLOCK))
            .unwrap();
        file.write_all_at(&(ahead * 1_000_000).to_ne_bytes(), 0)
            .unwrap();
    }
}

async fn with_module(module: PathBuf) -> Stage {
    let start = Start {
        module,
        binary: with_own_clock,
        ..Start::default()
    };
    start.with(switch("blue", 1)).await
}

/// Sets the clock far ahead and back while a switch is staged; whoever serves after each step, and
/// after the instant.
async fn stepped(module: PathBuf) -> (Stage, Vec<String>) {
    let stage = with_module(module).await;
    let at = now() + 15_000;
    stage.stage(staged("green", 2, 1, at, 100)).await;
    let mut served = vec![served_by(&stage).await];
    for (steps, ahead) in [(1, 3_600_000), (2, -3_600_000), (3, -3_599_990)] {
        stage.set_clock(ahead);
        // A broken build may not count what it goes by: then the switch comes to rule.
        let deadline = Instant::now() + DEADLINE;
        while stage.metric("clock_steps").await < steps && stage.metric("generation").await < 2 {
            assert!(Instant::now() < deadline, "step {steps} does nothing");
            tokio::task::yield_now().await;
        }
        served.push(served_by(&stage).await);
    }
    assert!(now() < at - 100, "too slow a machine to show anything");
    stage.wait_for(at + 200).await;
    served.push(served_by(&stage).await);
    (stage, served)
}

#[tokio::test]
async fn a_step_of_the_wall_clock_is_counted_and_moves_nothing() {
    let (stage, served) = stepped(cutover_tests::module()).await;
    assert_eq!(served, ["blue", "blue", "blue", "blue", "green"]);
    stage.rules(2).await;
    assert_eq!(stage.metric("clock_steps").await, 3);
    let log = stage.log();
    assert!(
        log.contains("the wall clock was set by 3600000 ms"),
        "{log}"
    );
    // Nobody looks at the clock any more.
    stage.set_clock(0);
    assert_eq!(served_by(&stage).await, "green");
    assert_eq!(stage.metric("clock_steps").await, 3);
}

#[tokio::test]
async fn the_build_that_follows_the_wall_clock_is_caught() {
    let (_stage, served) = stepped(cutover_tests::broken_module("follows-clock")).await;
    assert_eq!(served[1], "green", "{served:?}");
}

#[tokio::test]
async fn a_switch_activates_by_the_clock_of_its_proxy() {
    let stage = with_module(cutover_tests::module()).await;
    stage.set_clock(30_000);
    let at = now() + 36_000;
    stage.stage(staged("green", 2, 1, at, 0)).await;
    shows_a_clock_that_is_ahead(&stage, 30_000).await;
    stage.rules(2).await;
    let ruled = now();
    assert!((at - 30_000..at).contains(&ruled), "{ruled} for {at}");
}

#[tokio::test]
async fn prometheus_has_the_metrics_of_staged_switches_that_the_documentation_lists() {
    let stage = with_module(cutover_tests::module()).await;
    let bound = json!({ "max_held": 1 });
    let at = now() + 8000;
    stage
        .stage(and(staged("green", 2, 1, at, 1000), bound))
        .await;
    stage.set_clock(100);
    stage
        .until("the step is counted", async || {
            stage.metric("clock_steps").await == 1
        })
        .await;
    stage.wait_for(at - 900).await;
    let request = Get::new();
    join_all((0..20).map(|_| request.ask(&stage))).await;
    stage.rules(2).await;
    stage.push(staged("blue", 3, 2, at, 0)).await;
    stage.rules(3).await;
    let documented = documented();
    for name in STAGED {
        assert!(documented.contains(&(name.to_owned(), true)), "{name}");
        let kind = match name {
            "cutover_staged" | "cutover_activate_at" | "cutover_hold" | "cutover_clock" => "gauge",
            _ => "counter",
        };
        let labels = r#"{cutover_plugin="cutover",cutover_service="default"}"#;
        let expect = format!("# TYPE {name} {kind}\n{name}{labels} ");
        stage
            .until(&expect, async || {
                stage.admin("/stats/prometheus").await.contains(&expect)
            })
            .await;
    }
}
