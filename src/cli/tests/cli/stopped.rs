//! A command that is told to stop says what is true, and the journal says it later.

use crate::{
    assert_run,
    support::{Ran, Server, Stage, until},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::{
    fs,
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

fn stage() -> Stage {
    Stage::with(&json!({"active": "blue", "generation": 1, "blue": "a", "green": "b"}))
}

fn stop(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// What came of a command that was told to stop once the file had another generation.
fn stopped_after_the_write(
    stage: &Stage,
    arguments: &[&str],
    signal: Signal,
    envoys: &[&Server],
) -> Ran {
    let before = stage.configuration();
    let child = stage.to_flip(arguments, envoys).spawn().unwrap();
    until("the write", || stage.configuration() != before);
    stop(&child, signal);
    stage.ran(child.wait_with_output().unwrap()).naming(envoys)
}

#[test]
fn before_the_write_nothing_is_written() {
    let stage = stage();
    let before = stage.read("cutover.json");
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let asked = Arc::new(AtomicBool::new(false));
        let silent = Server::silent(&asked);
        let child = stage
            .to_flip(&["flip", "--yes", "green"], &[&silent])
            .spawn()
            .unwrap();
        until("a question", || asked.load(Ordering::Relaxed));
        stop(&child, signal);
        insta::allow_duplicates! {
            assert_run!(stage.ran(child.wait_with_output().unwrap()), @r#"
            exit code: 3
            --- stderr
            error: interrupted: nothing was written
            hint: run it again when you are ready
            "#);
        }
    }
    assert_eq!(stage.read("cutover.json"), before);
    assert_run!(stage.flip(&["history"], &[]), @"
    exit code: 0
    --- stdout
    no switch is noted in cutover.json.journal
    next: `cutover plan COLOR` shows what a flip would change
    ");
}

#[test]
fn after_the_write_it_says_which_envoys_show_it() {
    let stage = stage();
    let follows = Server::following(&stage.path("cutover.json"));
    let stuck = Server::stuck(1, 1);
    let flip = [
        "flip",
        "--yes",
        "green",
        "--now",
        "--deadline",
        "5m",
        "--reason",
        "release 12",
    ];
    let ran = stopped_after_the_write(&stage, &flip, Signal::INT, &[&follows, &stuck]);
    assert_run!(ran, @r#"
    exit code: 3
    --- stderr
    error: interrupted: generation [GENERATION] (green) is written, and 1 of 2 Envoys shows it ([ENVOY-1]); missing: [ENVOY-2] shows generation 1 (blue)
    hint: an Envoy that reads the file takes it all the same: `cutover wait --generation [GENERATION]` waits on, `cutover rollback` undoes it
    "#);
    assert_run!(stage.flip(&["history"], &[]).naming(&[&follows, &stuck]), @"
    exit code: 0
    --- stdout
    AT                    BY VERB  SERVICE  FROM  TO     GENERATION     OUTCOME                                          REASON
    [WRITTEN]  [USER]@[HOST] flip  default  blue  green  [GENERATION]  interrupted: on 1 of 2, missing [ENVOY-2]  release 12
    next: `cutover status` shows what is true now
    ");
    let back = ["rollback", "--deadline", "5m", "-o", "json"];
    let ran = stopped_after_the_write(&stage, &back, Signal::TERM, &[&stuck]);
    assert_run!(ran, @r#"
    exit code: 3
    --- stdout
    {
      "active": "blue",
      "error": "interrupted: generation [GENERATION] (blue) is written, and the Envoy does not show it; missing: [ENVOY-1] shows generation 1 (blue)",
      "exit_code": 3,
      "generation": [GENERATION],
      "hint": "an Envoy that reads the file takes it all the same: `cutover wait --generation [GENERATION]` waits on, `cutover rollback` undoes it",
      "missing": [
        {
          "admin": "[ENVOY-1]",
          "why": "[ENVOY-1] shows generation 1 (blue)"
        }
      ],
      "next": "an Envoy that reads the file takes it all the same: `cutover wait --generation [GENERATION]` waits on, `cutover rollback` undoes it",
      "service": "default",
      "shown": [],
      "warnings": [],
      "written": true
    }
    --- stderr
    error: interrupted: generation [GENERATION] (blue) is written, and the Envoy does not show it; missing: [ENVOY-1] shows generation 1 (blue)
    hint: an Envoy that reads the file takes it all the same: `cutover wait --generation [GENERATION]` waits on, `cutover rollback` undoes it
    "#);
}

#[test]
fn a_wait_that_is_told_to_stop_says_where_it_has_landed() {
    let stage = stage();
    let asked = Arc::new(AtomicBool::new(false));
    let silent = Server::silent(&asked);
    let wait = ["wait", "--deadline", "5m"];
    let child = stage.to_flip(&wait, &[&silent]).spawn().unwrap();
    until("a question", || asked.load(Ordering::Relaxed));
    stop(&child, Signal::INT);
    assert_run!(stage.ran(child.wait_with_output().unwrap()).naming(&[&silent]), @r#"
    exit code: 3
    --- stderr
    error: interrupted: generation 1 (blue) of default landed on 0 of 1 Envoy; missing: no answer from [ENVOY-1]: it said nothing for 1000 ms
    hint: `cutover wait` waits on; nothing was written by this command
    "#);
}

#[test]
fn a_command_that_was_killed_is_unknown_to_history_and_stands_in_nobody_s_way() {
    let stage = stage();
    let stuck = Server::stuck(1, 1);
    let flip = ["flip", "--yes", "green", "--deadline", "5m"];
    let ran = stopped_after_the_write(&stage, &flip, Signal::KILL, &[&stuck]);
    assert_eq!(ran.code, None, "{ran}");
    assert_run!(stage.flip(&["history"], &[]), @"
    exit code: 0
    --- stdout
    AT                    BY VERB  SERVICE  FROM  TO     GENERATION     OUTCOME                                                  REASON
    [WRITTEN]  [USER]@[HOST] flip  default  blue  green  [GENERATION]  unknown: the process died; the file has that generation
    next: `cutover status` shows what is true now
    ");
    // Of another machine nobody here can say that it died.
    let journal = stage.path("cutover.json.journal");
    let noted = fs::read_to_string(&journal).unwrap();
    let (before, host) = noted.split_once(r#""host":""#).unwrap();
    let (_, after) = host.split_once('"').unwrap();
    let elsewhere = format!(r#"{before}"host":"elsewhere"{after}"#);
    fs::write(&journal, elsewhere).unwrap();
    let told = stage.flip(&["history"], &[]);
    let unknown = "unknown: elsewhere has noted no end; the file has that generation";
    assert!(told.stdout.contains(unknown), "{told}");
    fs::write(&journal, noted).unwrap();
    let follows = Server::following(&stage.path("cutover.json"));
    let ran = stage.flip(&["flip", "--yes", "blue"], &[&follows]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let json = stage.flip(&["history", "-o", "json"], &[]).json();
    assert_eq!(json["switches"][0]["outcome"], "unknown");
    assert_eq!(json["switches"][0]["written"], true);
    assert_eq!(json["switches"][1]["outcome"], "done");
    let last = stage
        .flip(&["history", "--last", "1", "-o", "json"], &[])
        .json();
    assert_eq!(last["switches"].as_array().unwrap().len(), 1);
    assert_eq!(last["switches"][0]["outcome"], "done");
}
