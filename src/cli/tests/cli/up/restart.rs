//! What outlives an `up`, however it ended.

#![expect(
    clippy::indexing_slicing,
    reason = "what an event does not have fails the test"
)]

use super::stage::{Applications, Ended, Up, ask, flip, in_another_shell, runs, wait_for};
use crate::support::Stage;
use cutover_control::{FileTarget, State};
use cutover_core::Color;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{
    env, fs,
    time::{Duration, Instant},
};

/// The switch in the file.
fn on_disk(stage: &Stage) -> Option<State> {
    let document = FileTarget::new(stage.path("state/cutover.json"))
        .read()
        .ok()?;
    let plan = document.plan().unwrap();
    Some(State::from(plan.service("default").unwrap().switch()))
}

#[track_caller]
fn shows(up: &Up, switch: State) {
    let service = &up.ready["services"][0];
    assert_eq!(service["active"], switch.active.as_str());
    assert_eq!(service["generation"], serde_json::json!(switch.generation));
    assert_eq!(ask(up.listen), switch.active.as_str());
}

#[test]
fn color_and_generation_stay_while_all_else_is_as_newly_said() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &[]);
    flip(&stage, "green");
    let switch = on_disk(&stage).unwrap();
    let listen = up.listen.to_string();
    assert_eq!(up.stop().status.code(), Some(0));
    // A module of another version of the tool.
    stage.write("state/cutover.wasm", "\0asm of old");
    let more = [
        "--health",
        "/healthz",
        "--listen",
        &listen,
        "--initial",
        "blue",
    ];
    let up = Up::start(&stage, &applications, &more);
    shows(&up, switch);
    assert!(stage.read("state/envoy.yaml").contains("/healthz"));
    let module = fs::read(stage.path("state/cutover.wasm")).unwrap();
    assert_eq!(module, fs::read(cutover_tests::module()).unwrap());
    // One log before this one is kept.
    assert!(stage.read("state/envoy.log.1").contains("SIGTERM"));
}

#[test]
fn an_envoy_dies_with_its_up_and_leaves_its_port() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &[]);
    let (listen, envoy) = (up.listen.to_string(), Up::envoy(&stage));
    flip(&stage, "green");
    let switch = on_disk(&stage).unwrap();
    // Hot restart would leave files in shared memory behind.
    let maps = fs::read_to_string(format!("/proc/{}/maps", envoy.as_raw_nonzero())).unwrap();
    assert!(!maps.contains("envoy_shared_memory"));
    up.kill();
    let up = Up::start(&stage, &applications, &["--listen", &listen]);
    assert!(!runs(envoy));
    shows(&up, switch);
}

#[test]
fn an_envoy_that_the_kernel_was_not_asked_to_end_is_ended_by_the_next_up() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &[]);
    up.stop();
    // What an Envoy with capabilities of its own is after its `up` was killed: something that holds
    // the pid file locked, and does not go.
    let file = fs::OpenOptions::new()
        .write(true)
        .open(stage.path("state/envoy.pid"))
        .unwrap();
    file.lock().unwrap();
    let mut orphan = std::process::Command::new("sleep")
        .arg("1000")
        .stdin(file)
        .spawn()
        .unwrap();
    stage.write("state/envoy.pid", &orphan.id().to_string());
    let _up = Up::start(&stage, &applications, &[]);
    assert!(orphan.wait().unwrap().code().is_none());
}

#[test]
fn no_kill_at_any_point_loses_a_flip_that_was_done() {
    let kills = env::var("CUTOVER_KILLS").map_or(8, |kills| kills.parse().unwrap());
    let seed =
        env::var("CUTOVER_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    eprintln!("CUTOVER_SEED={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let (stage, applications) = (Stage::new(), Applications::start());
    let mut last: Option<State> = None;
    let mut done = 0;
    for _ in 0..kills {
        let mut up = Up::launch(&stage, &applications, &[]);
        // A third of them dies while it starts, the others some flips later.
        if chance.random_ratio(2, 3) {
            up.wait_until_ready();
        }
        let until = Instant::now() + Duration::from_millis(chance.random_range(0..700));
        while Instant::now() < until {
            let to = if chance.random() { "green" } else { "blue" };
            let arguments = ["flip", to, "--yes", "-o", "json", "--state", "state"];
            let mut flip = stage.command(&arguments).spawn().unwrap();
            if chance.random_ratio(1, 4) {
                let until = Instant::now() + Duration::from_millis(chance.random_range(0..30));
                wait_for("a moment", || Instant::now() >= until);
                let _ = flip.kill();
            }
            let output = flip.wait_with_output().unwrap();
            if output.status.success() {
                let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                let active: Color = result["active"].as_str().unwrap().parse().unwrap();
                let generation = serde_json::from_value(result["generation"].clone()).ok();
                last = Some(State { generation, active });
                done += 1;
            }
        }
        up.kill();
        if let Some(switch) = on_disk(&stage) {
            check(switch, last);
        } else {
            assert_eq!(last, None);
        }
    }
    let up = Up::start(&stage, &applications, &[]);
    let switch = on_disk(&stage).unwrap();
    check(switch, last);
    shows(&up, switch);
    eprintln!("{kills} kills, {done} flips done");
}

/// A flip whose process was killed may have been written; nothing older than what was done may rule.
#[track_caller]
fn check(switch: State, last: Option<State>) {
    if let Some(last) = last {
        assert!(
            switch.generation >= last.generation,
            "{switch:?} after {last:?}"
        );
        if switch.generation == last.generation {
            assert_eq!(switch.active, last.active);
        }
    }
}

#[test]
fn a_lost_or_torn_configuration_comes_back_from_the_journal() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &[]);
    flip(&stage, "green");
    assert_eq!(up.stop().status.code(), Some(0));
    let whole = stage.read("state/cutover.json");
    let switch = on_disk(&stage).unwrap();
    let half = whole.get(..whole.len() / 2).unwrap();
    for torn in [None, Some(""), Some(half)] {
        fs::remove_file(stage.path("state/cutover.json")).unwrap();
        if let Some(torn) = torn {
            stage.write("state/cutover.json", torn);
        }
        let mut up = Up::launch(&stage, &applications, &[]);
        let note = up.event("restored")["note"].as_str().unwrap().to_owned();
        assert!(
            note.contains("green is active again, as the journal has it."),
            "{note}"
        );
        up.wait_until_ready();
        shows(&up, switch);
        assert_eq!(up.stop().status.code(), Some(0));
    }
}

#[test]
fn a_configuration_that_is_lost_or_torn_under_a_running_up_is_told_with_the_way_back() {
    let (stage, applications) = (Stage::new(), Applications::start());
    for torn in [None, Some("")] {
        let up = Up::start(&stage, &applications, &[]);
        fs::remove_file(stage.path("state/cutover.json")).unwrap();
        if let Some(torn) = torn {
            stage.write("state/cutover.json", torn);
        }
        for verb in [&["rollback"] as &[&str], &["flip", "green", "--yes"]] {
            let ran = in_another_shell(&stage, verb);
            assert_ne!(ran.code, Some(0), "{ran}");
            assert!(
                ran.stderr
                    .contains("hint: stop `cutover up` and start it again: it restores the file"),
                "{ran}"
            );
        }
        assert_eq!(ask(up.listen), "blue");
        assert_eq!(up.stop().status.code(), Some(0));
    }
}

#[test]
fn a_dry_run_tells_what_a_start_would_do_and_writes_nothing() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let files = || {
        let there = fs::read_dir(stage.path("state")).into_iter().flatten();
        let mut files: Vec<_> = there
            .map(|one| one.unwrap().path())
            .map(|path| (fs::metadata(&path).unwrap().modified().unwrap(), path))
            .collect();
        files.sort_unstable();
        files
    };
    let foreseen = |active: &str, configuration: &str| {
        let before = files();
        let ended = Up::launch(&stage, &applications, &["--dry-run"]).end();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        let result = ended.result();
        assert_eq!(result["active"], active);
        assert_eq!(result["configuration"], configuration);
        assert_eq!(files(), before);
    };
    foreseen("blue", "new");
    assert!(!stage.path("state").exists());
    let up = Up::start(&stage, &applications, &[]);
    flip(&stage, "green");
    let second = Up::launch(&stage, &applications, &["--dry-run"]).end();
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(up.stop().status.code(), Some(0));
    foreseen("green", "kept");
    stage.write("state/cutover.json", "{");
    foreseen("green", "restored from its journal");
}

#[test]
fn a_configuration_that_nothing_tells_the_color_of_is_not_guessed() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &[]);
    assert_eq!(up.stop().status.code(), Some(0));
    fs::remove_file(stage.path("state/cutover.json")).unwrap();
    fs::remove_file(stage.path("state/cutover.json.journal")).unwrap();
    let Ended { status, events, .. } = Up::launch(&stage, &applications, &[]).end();
    assert_eq!(status.code(), Some(3));
    let error = events.last().unwrap()["error"].to_string();
    assert!(
        error.contains("nothing tells which color was active"),
        "{error}"
    );
}

#[test]
fn what_was_open_on_loopback_is_closed_beyond_it() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &[]);
    flip(&stage, "green");
    assert!(stage.read("state/cutover.json").contains("unsigned"));
    let switch = on_disk(&stage).unwrap();
    assert_eq!(up.stop().status.code(), Some(0));
    let up = Up::start(&stage, &applications, &["--listen", "0.0.0.0:0"]);
    assert!(!stage.read("state/cutover.json").contains("unsigned"));
    assert_eq!(on_disk(&stage), Some(switch));
    // The switch of a file that was written anew works on.
    let back = in_another_shell(&stage, &["rollback"]);
    assert_eq!(back.code, Some(0), "{back}");
    assert_eq!(ask(([127, 0, 0, 1], up.listen.port()).into()), "blue");
}
