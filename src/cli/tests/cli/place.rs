//! Which configuration and which Envoy a verb means when they are not named.

use crate::{
    assert_run,
    support::{Ran, Server, Stage, ecds, until},
};
use cutover_control::{StateFolder, StateLock};
use serde_json::json;
use std::fs;

/// A state folder on which an `up` runs, as far as others can see.
fn with_up(stage: &Stage, folder: &str, envoy: &Server) -> StateLock {
    let lock = StateFolder::new(stage.path(folder)).lock().unwrap();
    let configuration = json!({"active": "blue", "generation": 1, "blue": "a", "green": "b"});
    stage.write(&format!("{folder}/cutover.json"), &ecds(&configuration));
    stage.write(
        &format!("{folder}/admin-address.txt"),
        &envoy.address.to_string(),
    );
    lock
}

/// Ends such an `up`. A child of another test that has not become its program yet holds the folder for a moment more.
fn ended(stage: &Stage, up: StateLock) {
    drop(up);
    let folder = StateFolder::new(stage.path("state"));
    until("the end", || folder.running().unwrap().is_none());
}

fn stage() -> (Stage, Server) {
    let stage = Stage::new();
    let envoy = Server::following(&stage.path("state/cutover.json"));
    (stage, envoy)
}

fn status(stage: &Stage, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    stage.run_with(&[&["status"], arguments].concat(), environment)
}

#[track_caller]
fn agrees(ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("agrees"), "{ran}");
}

#[test]
fn the_state_folder_tells_target_and_envoy() {
    let (stage, envoy) = stage();
    let _up = with_up(&stage, "state", &envoy);
    agrees(&status(&stage, &["--state", "state"], &[]));
    agrees(&status(&stage, &[], &[("CUTOVER_STATE", "state")]));
}

#[test]
fn the_usual_state_folder_is_in_the_home_folder() {
    let stage = Stage::new();
    let usual = "home/.local/state/cutover";
    fs::create_dir_all(stage.path(usual)).unwrap();
    let envoy = Server::following(&stage.path(usual).join("cutover.json"));
    let _up = with_up(&stage, usual, &envoy);
    let home = stage.path("home").to_string_lossy().into_owned();
    agrees(&status(&stage, &[], &[("HOME", &home)]));
}

#[test]
fn a_file_in_the_folder_of_an_up_that_lives_means_its_envoy() {
    let (stage, envoy) = stage();
    let up = with_up(&stage, "state", &envoy);
    agrees(&status(&stage, &["-t", "file:state/cutover.json"], &[]));
    ended(&stage, up);
    let ran = status(&stage, &["-t", "file:state/cutover.json"], &[]);
    assert!(ran.stdout.contains("no Envoy was named"), "{ran}");
}

#[test]
fn what_is_said_wins_over_what_the_environment_says() {
    let (stage, envoy) = stage();
    let _up = with_up(&stage, "state", &envoy);
    let elsewhere = [
        ("CUTOVER_TARGET", "file:other.json"),
        ("CUTOVER_ADMIN", "127.0.0.1:1"),
    ];
    agrees(&status(&stage, &["--state", "state"], &elsewhere));
    assert_run!(status(&stage, &["-t", "other.json"], &[("CUTOVER_STATE", "state")]), @r"
    exit code: 2
    --- stderr
    error: there is no file other.json
    hint: `cutover init` writes one; --target file:PATH names another
    ");
}

#[test]
fn an_empty_variable_says_nothing() {
    let (stage, envoy) = stage();
    let _up = with_up(&stage, "state", &envoy);
    let empty = [("CUTOVER_TARGET", ""), ("CUTOVER_ADMIN", "")];
    agrees(&status(&stage, &["--state", "state"], &empty));
    assert_run!(stage.run_with(&["status", "-t", ""], &[("CUTOVER_STATE", "")]), @"
    exit code: 2
    --- stderr
    error: the target is empty
    hint: a target is file:PATH or k8s:NAMESPACE/NAME
    ");
}

#[test]
fn two_places_that_are_said_alike_are_refused() {
    let (stage, envoy) = stage();
    let _up = with_up(&stage, "state", &envoy);
    assert_run!(status(&stage, &["-t", "other.json", "--state", "state"], &[]), @r"
    exit code: 2
    --- stderr
    error: both a target, other.json, and a state folder, state, are named
    hint: leave one of --target and --state out, or unset CUTOVER_TARGET or CUTOVER_STATE
    ");
    let both = ["-t", "state/cutover.json", "--state", "state"];
    agrees(&status(&stage, &both, &[]));
}

#[test]
fn a_folder_without_an_up_is_told_as_such() {
    let stage = Stage::new();
    assert_run!(stage.run(&["flip", "--yes", "green", "--state", "state"]), @r"
    exit code: 2
    --- stderr
    error: no `cutover up` has run on state
    hint: --state names the folder of a `cutover up`; --target file:PATH a file
    ");
    assert_run!(stage.run_with(&["status"], &[("HOME", "/nowhere")]), @"
    exit code: 2
    --- stderr
    error: no target was named, and no `cutover up` has run on /nowhere/.local/state/cutover
    hint: say --target file:PATH, --target k8s:NAMESPACE/NAME or --state DIR, or start `cutover up`
    ");
}

#[test]
fn an_up_that_is_gone_or_only_starting_cannot_say_that_it_is_done() {
    let (stage, envoy) = stage();
    let up = with_up(&stage, "state", &envoy);
    fs::remove_file(stage.path("state/admin-address.txt")).unwrap();
    let flip = ["flip", "--yes", "green", "--state", "state"];
    assert_run!(stage.run(&flip), @r"
    exit code: 3
    --- stderr
    error: `cutover up` (process [PID]) has not started its Envoy yet
    hint: it says `ready` when it has; then try again
    ");
    ended(&stage, up);
    assert_run!(stage.run(&flip), @r"
    exit code: 2
    --- stderr
    error: no `cutover up` runs on state, so nobody could say that it is done
    hint: start it; --no-wait only writes, and the next `cutover up` starts with that
    ");
}

#[test]
fn a_way_back_is_written_whether_or_not_an_up_could_confirm_it() {
    let (stage, envoy) = stage();
    let up = with_up(&stage, "state", &envoy);
    fs::remove_file(stage.path("state/admin-address.txt")).unwrap();
    let back = ["rollback", "--state", "state"];
    // An `up` that has not started its Envoy yet cannot confirm it.
    assert_run!(stage.run(&back), @r"
    exit code: 3
    --- stdout
    written, not confirmed: default is green in the file, generation [GENERATION]; no Envoy was asked
    next: `cutover status`, once `cutover up` says `ready`
    ");
    ended(&stage, up);
    assert_run!(stage.run(&back), @r"
    exit code: 3
    --- stdout
    written, not confirmed: default is blue in the file, generation [GENERATION]; no Envoy was asked
    next: start `cutover up`, which begins with that; `cutover wait --generation [GENERATION] --admin HOST:PORT` asks an Envoy of your own
    ");
    let history = stage.run(&["history", "--state", "state"]).stdout;
    let noted = history.matches("written, no Envoy was asked").count();
    assert_eq!(noted, 2, "{history}");
    // With an `up` that can be asked it is done.
    let _up = with_up(&stage, "state", &envoy);
    let done = stage.run(&back);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(done.stdout.starts_with("done: default is "), "{done}");
}

#[test]
fn a_way_back_without_an_envoy_named_is_written_and_says_who_is_to_be_named() {
    let (stage, envoy) = stage();
    let up = with_up(&stage, "state", &envoy);
    ended(&stage, up);
    fs::remove_file(stage.path("state/admin-address.txt")).unwrap();
    let back = ["rollback", "--target", "state/cutover.json"];
    let dry = stage.run(&[&back[..], &["--dry-run"]].concat());
    assert_eq!(dry.code, Some(0), "{dry}");
    assert_run!(stage.run(&back), @r"
    exit code: 3
    --- stdout
    written, not confirmed: default is green in the file, generation [GENERATION]; no Envoy was asked
    next: `cutover wait --generation [GENERATION] --admin HOST:PORT` asks the Envoys that you name
    ");
    // Whoever says that nobody is to be asked gets what they asked for.
    let unasked = stage.run(&[&back[..], &["--no-wait"]].concat());
    assert_eq!(unasked.code, Some(0), "{unasked}");
}

#[test]
fn a_missing_override_is_asked_for_where_the_configuration_comes_from() {
    let (stage, envoy) = stage();
    let up = with_up(&stage, "state", &envoy);
    assert_run!(stage.run(&["preview", "green", "--state", "state"]), @r"
    exit code: 2
    --- stderr
    error: service `default` has no override
    hint: start `cutover up` with --override-key ID, and the key in CUTOVER_KEY_<ID>
    ");
    ended(&stage, up);
    assert_run!(stage.run(&["preview", "green", "-t", "state/cutover.json"]), @r"
    exit code: 2
    --- stderr
    error: service `default` has no override
    hint: put an `override` into its configuration; `cutover init --override-key ID` writes one
    ");
}
