//! Flips of several Envoys at one instant, as far as an admin interface and a file show them.

use crate::support::{Ran, Server, Stage, until};
use cutover_control::FileTarget;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{cell::OnceCell, process::Child, time::SystemTime};

/// A flip that activates soon. A busy machine may tell a clock within no less than some of its hold.
const FLIP: [&str; 7] = ["flip", "--yes", "green", "--at", "+4s", "--hold", "250ms"];
/// One that is to be taken back: in this margin a busy machine gets the cancel to all Envoys.
const TAKEN_BACK: [&str; 9] = [
    "flip", "--yes", "green", "--at", "+7s", "--hold", "250ms", "--margin", "4s",
];
/// The same, far enough away to be looked at meanwhile.
const LATER: [&str; 5] = ["flip", "--yes", "green", "--at", "+60s"];

fn stage() -> Stage {
    Stage::with(&json!({"active": "blue", "generation": 1, "blue": "a", "green": "b"}))
}

fn following(stage: &Stage) -> Server {
    Server::following(&stage.path("cutover.json"))
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(now.unwrap().as_millis()).unwrap()
}

fn json_of(stage: &Stage, arguments: &[&str], envoys: &[&Server]) -> (Ran, Value) {
    let ran = stage.flip(&[arguments, &["-o", "json"]].concat(), envoys);
    let json = ran.json();
    (ran, json)
}

#[track_caller]
fn says(ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran}");
    for part in parts {
        assert!(
            ran.stdout.contains(part) || ran.stderr.contains(part),
            "`{part}` is not in {ran}"
        );
    }
}

fn kill(child: Child, signal: Signal, stage: &Stage) -> Ran {
    kill_process(Pid::from_child(&child), signal).unwrap();
    stage.ran(child.wait_with_output().unwrap())
}

/// A flip whose switch is in the file.
fn started(stage: &Stage, arguments: &[&str], envoys: &[&Server]) -> Child {
    let before = stage.configuration();
    let child = stage.to_flip(arguments, envoys).spawn().unwrap();
    until("the write", || stage.configuration() != before);
    child
}

#[test]
fn all_envoys_switch_at_the_instant_and_their_clocks_are_told() {
    let stage = stage();
    let (one, two) = (following(&stage), following(&stage));
    let begun = unix_ms();
    let (ran, json) = json_of(&stage, &FLIP, &[&one, &two]);
    says(&ran, 0, &["all 2 Envoys have staged it, clocks within "]);
    assert_eq!(json["outcome"], "activated");
    assert_eq!(json["hold"], 250);
    assert_eq!(json["shown"].as_array().map(Vec::len), Some(2));
    for empty in ["late", "missing", "in_doubt", "lagging", "warnings"] {
        assert_eq!(json[empty], json!([]), "{empty}: {ran}");
    }
    let at = json["at"].as_u64().unwrap();
    assert!((begun + 4_000..=unix_ms()).contains(&at), "{ran}");
    for clock in json["clocks"].as_array().unwrap() {
        let number = |key: &str| clock[key].as_f64().unwrap();
        // This is the same machine: the truth lies in what was measured.
        assert!(
            number("offset_ms").abs() <= number("error_ms") + 0.5,
            "{ran}"
        );
    }
    let switch = stage.configuration();
    assert_eq!(switch["activate_at"], at);
    assert_eq!(switch["hold"], 250);
    assert_eq!(
        switch["previous"],
        json!({"generation": 1, "active": "blue"})
    );
    let history = stage.flip(&["history", "-o", "json"], &[]).json();
    assert_eq!(history["switches"][0]["outcome"], "activated");
    assert_eq!(history["switches"][0]["activate_at"], at);
    // The next plain switch leaves no instant behind.
    says(&stage.flip(&["rollback"], &[&one, &two]), 0, &["done: "]);
    assert_eq!(stage.configuration()["activate_at"], Value::Null);
}

#[test]
fn one_that_does_not_stage_it_has_it_taken_back_everywhere_and_is_named() {
    let stage = stage();
    let (good, stuck) = (following(&stage), Server::stuck(1, 1));
    let (ran, json) = json_of(&stage, &TAKEN_BACK, &[&good, &stuck]);
    says(
        &ran,
        1,
        &[
            "default stays blue",
            "[ENVOY-2] has not staged it: [ENVOY-2] shows generation 1 (blue)",
        ],
    );
    // The stuck one shows no cancel either.
    assert_eq!(json["outcome"], "in-doubt");
    assert_eq!(json["in_doubt"], json!(["[ENVOY-2]"]));
    let after = stage.configuration();
    assert_eq!(after["active"], "blue");
    assert_eq!(after["activate_at"], Value::Null);
    assert_eq!(json["cancelled_by"], after["generation"]);
    assert!(after["generation"].as_u64() > json["generation"].as_u64());
    let history = stage.flip(&["history", "-o", "json"], &[]).json();
    let outcomes: Vec<_> = (0..2)
        .map(|at| {
            (
                &history["switches"][at]["verb"],
                &history["switches"][at]["outcome"],
            )
        })
        .collect();
    assert_eq!(
        outcomes,
        [
            (&json!("flip"), &json!("in-doubt")),
            (&json!("cancel"), &json!("in-doubt"))
        ]
    );
    // The cancel has no instant that could be told.
    let history = stage.flip(&["history"], &[]);
    says(
        &history,
        0,
        &[
            "taken back, in doubt 127.0.0.1:",
            "not shown in time by 127.0.0.1:",
        ],
    );
    assert!(!history.stdout.contains("00:00:00"), "{history}");
}

#[test]
fn who_proceeds_on_lag_is_told_who_is_behind() {
    let stage = stage();
    let (good, stuck) = (following(&stage), Server::stuck(1, 1));
    let flip = [&FLIP[..], &["--on-lag", "proceed", "--deadline", "3s"]].concat();
    let (ran, json) = json_of(&stage, &flip, &[&good, &stuck]);
    says(&ran, 1, &["1 of 2 Envoys do not show it"]);
    assert_eq!(json["outcome"], "missing");
    assert_eq!(json["late"], json!(["[ENVOY-2]"]));
    assert_eq!(json["shown"], json!(["[ENVOY-1]"]));
    assert_eq!(stage.configuration()["active"], "green");
}

#[test]
fn a_hold_that_is_too_short_for_a_clock_is_refused_before_the_instant() {
    let stage = stage();
    let good = following(&stage);
    let off = Server::with_clock(&stage.path("cutover.json"), -400);
    let (ran, json) = json_of(&stage, &TAKEN_BACK, &[&good, &off]);
    says(
        &ran,
        1,
        &[
            "taken back before",
            "the clock of [ENVOY-2] is off by -",
            "more than the hold of 250 ms",
        ],
    );
    assert_eq!(json["outcome"], "cancelled");
    assert_eq!(json["in_doubt"], json!([]));
    assert_eq!(stage.configuration()["active"], "blue");
    // The same clocks choose a hold that fits.
    let auto = ["flip", "--yes", "green", "--at", "+8s"];
    let (ran, json) = json_of(&stage, &auto, &[&good, &off]);
    says(
        &ran,
        0,
        &["the clocks ask for a longer hold: staged again with "],
    );
    let hold = json["hold"].as_u64().unwrap();
    assert!((800..=1_000).contains(&hold), "{ran}");
    assert_eq!(stage.configuration()["hold"], hold);
    let history = stage
        .flip(&["history", "--last", "2", "-o", "json"], &[])
        .json();
    assert_eq!(history["switches"][0]["outcome"], "restaged");
    assert_eq!(history["switches"][1]["outcome"], "activated");
}

#[test]
fn an_instant_that_cannot_be_met_is_refused_and_nothing_is_written() {
    let stage = stage();
    let (one, two) = (following(&stage), following(&stage));
    let before = stage.read("cutover.json");
    for (at, part) in [
        (
            "+1s",
            "which is too near: a switch with this hold and margin needs 1.6 s",
        ),
        (
            "2001-09-09T01:46:40Z",
            "2001-09-09T01:46:40.000Z is in the past",
        ),
        ("+61m", "the farthest is one hour"),
        ("10s", "an instant is +10s"),
    ] {
        let ran = stage.flip(&["flip", "--yes", "green", "--at", at], &[&one, &two]);
        says(&ran, 2, &[part]);
    }
    let several = ["flip", "--yes", "green", "--now", "--service", "a,b"];
    says(
        &stage.flip(&several, &[&one, &two]),
        2,
        &["several services switch together at an instant"],
    );
    let unseen = ["flip", "--yes", "green", "--no-wait", "--at", "+5s"];
    says(&stage.flip(&unseen, &[]), 2, &["an instant needs Envoys"]);
    says(
        &stage.flip(&["rollback", "--hold", "5ms"], &[&one]),
        2,
        &["go with --at"],
    );
    for up in ["--resume", "--cancel"] {
        let ran = stage.flip(&["flip", up], &[&one, &two]);
        says(
            &ran,
            2,
            &["no switch is staged: default is blue, generation 1"],
        );
    }
    for up in [
        ["flip", "--cancel", "--expect-generation", "1"],
        ["flip", "--resume", "--expect-generation", "1"],
        ["flip", "--cancel", "--generation", "9"],
        ["flip", "--cancel", "--on-lag", "proceed"],
    ] {
        let ran = stage.flip(&up, &[&one, &two]);
        says(&ran, 2, &["cannot be used with"]);
    }
    assert_eq!(stage.read("cutover.json"), before);
    assert!(!stage.path("cutover.json.journal").exists());
}

#[test]
fn told_to_stop_before_the_instant_it_takes_the_switch_back() {
    for signal in [Signal::INT, Signal::TERM] {
        let stage = stage();
        let (one, two) = (following(&stage), following(&stage));
        let child = started(&stage, &LATER, &[&one, &two]);
        let ran = kill(child, signal, &stage);
        says(
            &ran,
            3,
            &["interrupted: taken back before", "default stays blue"],
        );
        let after = stage.configuration();
        assert_eq!(
            (&after["active"], &after["activate_at"]),
            (&json!("blue"), &Value::Null)
        );
        let status = stage.flip(&["status"], &[&one, &two]);
        says(&status, 0, &["agrees"]);
    }
}

#[test]
fn told_to_stop_twice_it_does_not_wait_for_envoys_that_hear_of_nothing() {
    let stage = stage();
    let envoys = [&Server::stuck(1, 1), &Server::stuck(1, 1)];
    let child = started(&stage, &LATER, &envoys);
    let staged = stage.configuration();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    until("the cancel", || stage.configuration() != staged);
    let ran = kill(child, Signal::INT, &stage).naming(&envoys);
    says(
        &ran,
        3,
        &[
            "taking it back; Ctrl-C again stops before every Envoy shows that",
            "stopped while it was taken back: default stays blue",
            "0 of 2 Envoys show it; missing: [ENVOY-",
            "[ENVOY-1] shows generation 1 (blue)",
            "[ENVOY-2] shows generation 1 (blue)",
            "is green until it does",
        ],
    );
    assert_eq!(stage.configuration()["active"], "blue");
    let history = stage.flip(&["history"], &[]).naming(&envoys);
    let noted = "interrupted while it was taken back, in doubt ";
    let lines = history.stdout.lines();
    let lines: Vec<_> = lines.filter(|line| line.contains(noted)).collect();
    assert_eq!(lines.len(), 2, "{history}");
    for name in ["[ENVOY-1]", "[ENVOY-2]"] {
        assert!(lines.iter().all(|line| line.contains(name)), "{history}");
    }
}

#[test]
fn told_to_stop_twice_where_the_cancel_cannot_be_written_it_says_how_to_go_on() {
    let stage = stage();
    let (one, two) = (following(&stage), following(&stage));
    let envoys = [&one, &two];
    let child = started(&stage, &LATER, &envoys);
    let file = FileTarget::new(stage.path("cutover.json"));
    let held = OnceCell::new();
    until("the lock", || {
        file.lock().is_ok_and(|lock| held.set(lock).is_ok())
    });
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = kill(child, Signal::TERM, &stage);
    says(
        &ran,
        3,
        &[
            "stopped, and not taken back: default becomes green at",
            "`cutover flip --cancel` takes it back, `cutover flip --resume` sees it through",
        ],
    );
    drop(held);
    says(
        &stage.flip(&["status"], &envoys),
        0,
        &[
            "green is staged on 2 of 2 Envoys",
            "the command that staged it is gone",
        ],
    );
    says(
        &stage.flip(&["flip", "--cancel"], &envoys),
        0,
        &["taken back before", "default stays blue"],
    );
    let history = stage.flip(&["history", "-o", "json"], &[]).json();
    assert_eq!(history["switches"][0]["outcome"], "cancelled");
}

#[test]
fn a_switch_whose_command_was_killed_is_told_and_can_be_taken_back() {
    let stage = stage();
    let (one, two) = (following(&stage), following(&stage));
    let envoys = [&one, &two];
    let child = started(&stage, &LATER, &envoys);
    let status = stage.flip(&["status"], &envoys);
    says(
        &status,
        0,
        &[
            "default: green is staged on 2 of 2 Envoys, activates in ",
            "`cutover wait` waits",
        ],
    );
    assert!(!status.stdout.contains("is gone"), "{status}");
    says(
        &stage.flip(&["flip", "--resume"], &envoys),
        1,
        &["another flip is under way"],
    );
    let _ = kill(child, Signal::KILL, &stage);
    let status = stage.flip(&["status", "-o", "json"], &envoys).json();
    assert_eq!(status["staged"][0]["operator"], "gone");
    assert_eq!(status["staged"][0]["on"], 2);
    assert_eq!(status["envoys"][0]["services"][0]["agreement"], "staged");
    says(
        &stage.flip(&["status"], &envoys),
        0,
        &[
            "the command that staged it is gone",
            "--resume` sees it through",
        ],
    );
    let second = stage.flip(&["flip", "--yes", "green", "--now"], &envoys);
    says(
        &second,
        1,
        &[
            "another switch of default is staged: green, generation",
            "may reach some Envoys before its instant",
        ],
    );
    says(
        &stage.flip(&["plan"], &envoys),
        1,
        &["a flip would fail: another switch of default is staged"],
    );
    says(
        &stage.flip(&["rollback", "--at", "+5s"], &envoys),
        1,
        &["another switch of default is staged"],
    );
    let ran = stage.flip(&["flip", "--cancel"], &envoys);
    says(&ran, 0, &["taken back before", "default stays blue"]);
    assert_eq!(stage.configuration()["active"], "blue");
    let history = stage.flip(&["history", "-o", "json"], &[]).json();
    assert_eq!(history["switches"][0]["outcome"], "cancelled");
    assert_eq!(history["switches"][1]["verb"], "cancel");
    assert_eq!(history["switches"][1]["outcome"], "done");
}

#[test]
fn a_switch_whose_command_was_killed_can_be_seen_through() {
    let stage = stage();
    let (one, two) = (following(&stage), following(&stage));
    let envoys = [&one, &two];
    let flip = ["flip", "--yes", "green", "--at", "+5s", "--hold", "250ms"];
    let child = started(&stage, &flip, &envoys);
    let _ = kill(child, Signal::KILL, &stage);
    let waiting = stage
        .to_flip(&["wait", "--deadline", "3s"], &envoys)
        .spawn()
        .unwrap();
    let (ran, json) = json_of(&stage, &["flip", "--resume"], &envoys);
    says(&ran, 0, &[]);
    assert_eq!(json["outcome"], "activated");
    assert_eq!(json["at"], stage.configuration()["activate_at"]);
    let waited = stage.ran(waiting.wait_with_output().unwrap());
    says(&waited, 0, &["landed: 2 Envoys show generation"]);
    let late = stage.flip(&["flip", "--cancel"], &envoys);
    says(
        &late,
        1,
        &[
            "it is too late to cancel the switch to green of default at",
            "`cutover rollback` goes back at once",
        ],
    );
    let history = stage.flip(&["history", "-o", "json"], &[]).json();
    assert_eq!(history["switches"].as_array().map(Vec::len), Some(1));
    assert_eq!(history["switches"][0]["outcome"], "activated");
    // Once more there is nothing to see through, and nothing to note.
    let noted = stage.read("cutover.json.journal");
    let (again, json) = json_of(&stage, &["flip", "--resume"], &envoys);
    says(&again, 0, &[]);
    assert_eq!(
        (&json["outcome"], &json["late"]),
        (&json!("already"), &json!([]))
    );
    assert_eq!(stage.read("cutover.json.journal"), noted);
}

#[test]
fn who_takes_a_switch_up_after_its_instant_calls_nobody_late_that_it_has_not_seen() {
    let stage = stage();
    let (one, two) = (following(&stage), following(&stage));
    let envoys = [&one, &two];
    let child = started(&stage, &FLIP, &envoys);
    let _ = kill(child, Signal::KILL, &stage);
    let due = stage.configuration()["activate_at"].as_u64().unwrap() + 250;
    until("the instant", || unix_ms() > due);
    let (ran, json) = json_of(&stage, &["flip", "--resume"], &envoys);
    says(&ran, 0, &[]);
    assert_eq!(json["outcome"], "activated");
    assert_eq!(json["late"], json!([]), "{ran}");
    assert_eq!(json["unseen"].as_array().map(Vec::len), Some(2), "{ran}");
}

#[test]
fn a_switch_that_cannot_be_taken_back_is_noted_as_that() {
    let stage = stage();
    let (one, two) = (Server::stuck(1, 1), Server::stuck(1, 1));
    let child = started(&stage, &LATER, &[&one, &two]);
    let good = stage.read("cutover.json");
    stage.write("cutover.json", "{");
    let ran = kill(child, Signal::INT, &stage);
    says(
        &ran,
        1,
        &["the switch could not be taken back: cutover.json is not an ECDS file"],
    );
    stage.write("cutover.json", &good);
    let history = |place: usize| {
        let history = stage.flip(&["history", "-o", "json"], &[]).json();
        history["switches"][place]["outcome"].clone()
    };
    assert_eq!(history(0), "not-cancelled");
    says(
        &stage.flip(&["history"], &[]),
        0,
        &["could not be taken back, activates at "],
    );
    // Who takes it back after all ends the same line again.
    let following = [&following(&stage), &following(&stage)];
    says(
        &stage.flip(&["flip", "--cancel"], &following),
        0,
        &["taken back before"],
    );
    assert_eq!(
        (history(0), history(1)),
        (json!("cancelled"), json!("done"))
    );
}

#[test]
fn a_generation_that_leaves_none_for_a_cancel_is_not_staged() {
    let stage = stage();
    let (one, two) = (following(&stage), following(&stage));
    let before = stage.read("cutover.json");
    for generation in ["9007199254740991", "9007199254740990"] {
        let flip = [&LATER[..], &["--generation", generation]].concat();
        says(
            &stage.flip(&flip, &[&one, &two]),
            2,
            &["no generation is left above this one"],
        );
    }
    assert_eq!(stage.read("cutover.json"), before);
}

#[test]
fn one_envoy_that_is_named_twice_is_one_envoy() {
    let stage = stage();
    let one = following(&stage);
    let ran = stage.flip(&["flip", "--yes", "green"], &[&one, &one]);
    says(
        &ran,
        0,
        &["done: default is green, 1 Envoy shows generation"],
    );
}

#[test]
fn a_way_back_before_the_instant_is_the_cancel_and_is_not_gated() {
    let stage = stage();
    let (one, two) = (following(&stage), following(&stage));
    let child = started(&stage, &LATER, &[&one, &two]);
    says(
        &stage.flip(&["rollback"], &[&one, &two]),
        0,
        &["done: default is blue"],
    );
    let after = stage.configuration();
    assert_eq!(
        (&after["active"], &after["activate_at"]),
        (&json!("blue"), &Value::Null)
    );
    // Whoever staged it finds that out, and ends.
    let ran = stage.ran(child.wait_with_output().unwrap());
    says(&ran, 1, &["another switch came in between"]);
    let history = stage.flip(&["history", "-o", "json"], &[]).json();
    assert_eq!(history["switches"][0]["outcome"], "superseded");
    assert_eq!(history["switches"][0]["shown"], json!([]));
}

#[test]
fn a_way_back_can_be_taken_at_an_instant() {
    let stage = stage();
    let (one, two) = (following(&stage), following(&stage));
    says(
        &stage.flip(&["flip", "--yes", "green", "--now"], &[&one, &two]),
        0,
        &["done: "],
    );
    let (ran, json) = json_of(
        &stage,
        &["rollback", "--at", "+4s", "--hold", "250ms"],
        &[&one, &two],
    );
    says(&ran, 0, &[]);
    assert_eq!(json["outcome"], "activated");
    assert_eq!(stage.configuration()["active"], "blue");
    assert_eq!(stage.configuration()["activate_at"], json["at"]);
}

#[test]
fn several_services_switch_by_one_write() {
    let service = |host: &str| json!({"hosts": [host], "active": "blue", "generation": 1, "blue": "a", "green": "b"});
    let stage = Stage::with(
        &json!({"services": {"api": service("a"), "shop": service("s"), "web": service("w")}}),
    );
    let envoy = following(&stage);
    let flip = [&FLIP[..], &["--service", "api,shop,api"]].concat();
    let dry = [&flip[..], &["--dry-run"]].concat();
    let ran = stage.flip(&dry, &[&envoy]);
    assert_eq!(ran.stdout.matches("api: blue -> green").count(), 1, "{ran}");
    says(
        &ran,
        0,
        &[
            "api: blue -> green",
            "shop: blue -> green",
            "+ activate_at: 4s after it is written",
        ],
    );
    let (ran, json) = json_of(&stage, &flip, &[&envoy]);
    says(&ran, 0, &[]);
    assert_eq!(json["services"].as_array().map(Vec::len), Some(2));
    let after = stage.configuration();
    let of = |name: &str| after["services"][name].clone();
    assert_eq!(of("api"), {
        let mut shop = of("shop");
        shop["hosts"] = json!(["a"]);
        shop
    });
    assert_eq!(of("api")["active"], "green");
    assert_eq!(of("web")["generation"], 1);
}
