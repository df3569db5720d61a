//! Two processes that share nothing but the state folder.

use super::{
    load::Load,
    stage::{Applications, Up, ask, flip, in_another_shell},
};
use crate::support::Stage;
use std::time::Duration;

#[test]
fn a_release_by_hand_loses_no_request() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &["--health", "/healthz"]);
    assert_eq!(up.ready["services"][0]["active"], "blue");
    assert_eq!(up.ready["blue"]["healthy"], true);
    let preview = in_another_shell(&stage, &["preview", "green", "-o", "json"]);
    let url = format!(" http://{}", up.listen);
    assert!(
        preview.json()["curl"].as_str().unwrap().ends_with(&url),
        "{preview}"
    );
    let load = Load::start(up.listen, 4, Duration::from_millis(1));
    load.wait_for(50);
    flip(&stage, "green");
    assert_eq!(ask(up.listen), "green");
    load.wait_for(50);
    let status = in_another_shell(&stage, &["status"]);
    assert_eq!(status.code, Some(0), "{status}");
    let back = in_another_shell(&stage, &["rollback"]);
    assert_eq!(back.code, Some(0), "{back}");
    load.wait_for(50);
    for seen in load.stop() {
        assert_eq!(seen.failures, [] as [&str; 0]);
        assert_eq!(seen.colors, ["blue", "green", "blue"]);
    }
    let ended = up.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.result()["cut"], 0);
    let after = in_another_shell(&stage, &["status"]);
    assert!(after.stdout.contains("blue"), "{after}");
}

#[test]
fn a_second_up_on_the_same_folder_is_refused_and_disturbs_nothing() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &[]);
    let second = Up::launch(&stage, &applications, &[]);
    let ended = second.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let error = ended.result()["error"].as_str().unwrap();
    assert!(error.contains("runs on state already: process "), "{error}");
    assert_eq!(ask(up.listen), "blue");
    flip(&stage, "green");
    assert_eq!(ask(up.listen), "green");
}

#[test]
fn an_envoy_that_ends_by_itself_is_told_with_the_end_of_its_log() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &[]);
    let envoy = Up::envoy(&stage);
    rustix::process::kill_process(envoy, rustix::process::Signal::TERM).unwrap();
    let ended = up.end();
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
    let error = ended.result()["error"].as_str().unwrap();
    assert!(error.starts_with("Envoy ended by itself"), "{error}");
    assert!(error.contains("SIGTERM"), "{error}");
}
