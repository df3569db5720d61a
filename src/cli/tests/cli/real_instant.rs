//! Flips of several real Envoys at one instant.

use crate::{
    real_envoy::{Proxied, get},
    support::{Ran, until},
};
use cutover_control::Document;
use cutover_core::{Activation, Color, Generation, Previous, Switch};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

/// A busy machine may tell a clock within no less than some of its hold.
const FLIP: [&str; 7] = ["flip", "--yes", "green", "--at", "+4s", "--hold", "100ms"];
/// One that is to be taken back: in this margin a busy machine gets the cancel to all Envoys.
const TAKEN_BACK: [&str; 9] = [
    "flip", "--yes", "green", "--at", "+7s", "--hold", "100ms", "--margin", "4s",
];

/// Two Envoys, the second of which watches the folder of the first, or a copy of it.
struct Pair {
    first: Proxied,
    second: Child,
    admins: [SocketAddr; 2],
    listeners: [SocketAddr; 2],
}

impl Pair {
    fn start(folder: &str) -> Self {
        Self::with_clock(folder, 0)
    }

    /// The second Envoy's wall clock is ahead by so many milliseconds.
    fn with_clock(folder: &str, ahead: i64) -> Self {
        let first = Proxied::start(&[], |_| {});
        let (from, to) = (first.stage.path("envoy"), first.stage.path(folder));
        if from != to {
            fs::create_dir(&to).unwrap();
            for name in ["envoy.yaml", "cutover.json", "cutover.wasm"] {
                fs::copy(from.join(name), to.join(name)).unwrap();
            }
        }
        let second = Command::new(cutover_tests::envoy())
            .args(["-c", "envoy.yaml", "--disable-hot-restart"])
            .args(["--admin-address-path", "second-admin"])
            .args(["--concurrency", "2", "-l", "off"])
            .env_clear()
            .envs(wrong_clock(&to, ahead))
            .current_dir(&to)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut pair = Self {
            admins: [first.admin, nowhere],
            listeners: [first.listener, nowhere],
            first,
            second,
        };
        let address = to.join("second-admin");
        pair.admins[1] = pair.first.wait_for("a second admin address", |_| {
            fs::read_to_string(&address).ok()?.trim().parse().ok()
        });
        let admin = pair.admins[1];
        pair.listeners[1] = pair.first.wait_for("a second listener", |_| {
            let listeners = get(admin, "/listeners", "");
            let line = listeners
                .lines()
                .find_map(|line| line.strip_prefix("main::"))?;
            line.trim().parse().ok()
        });
        until("both color blue", || {
            pair.listeners.iter().all(|one| color(*one) == "blue")
        });
        pair
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let admins = self.admins.map(|admin| admin.to_string()).join(",");
        let mut command = self.first.command(arguments);
        command.env("CUTOVER_ADMIN", admins);
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        self.first.stage.ran(output)
    }

    fn stat(&self, envoy: usize, name: &str) -> u64 {
        let name = format!("wasmcustom.cutover.plugin.cutover.service.default.{name}");
        let stats = get(
            *self.admins.get(envoy).unwrap(),
            &format!("/stats?filter={name}"),
            "",
        );
        let value = stats.lines().find_map(|line| line.strip_prefix(&name));
        let value = value.and_then(|rest| rest.strip_prefix(": "));
        value.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// Makes this the version of the file in a folder, as Envoy sees it: at once.
    fn push(&self, folder: &str, version: impl AsRef<[u8]>) {
        let folder = self.first.stage.path(folder);
        fs::write(folder.join("next.json"), version).unwrap();
        fs::rename(folder.join("next.json"), folder.join("cutover.json")).unwrap();
    }

    fn is_staged(&self) -> bool {
        (0..2).all(|envoy| self.stat(envoy, "staged") > 0)
    }

    fn colors(&self) -> [String; 2] {
        self.listeners.map(color)
    }

    fn started(&self, arguments: &[&str]) -> Child {
        let child = self.command(arguments).spawn().unwrap();
        until("both have staged it", || self.is_staged());
        child
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = self.second.kill();
        let _ = self.second.wait();
    }
}

/// What gives a process a wall clock that is wrong (tests/clock/clock.c).
fn wrong_clock(folder: &Path, ahead: i64) -> Vec<(&'static str, OsString)> {
    if ahead == 0 {
        return vec![];
    }
    let mut script = Command::new(cutover_tests::root().join("scripts/get-clock"));
    let library = String::from_utf8(script.output().unwrap().stdout).unwrap();
    let file = folder.join("clock");
    let numbers = [ahead * 1_000_000, 0, 0].map(i64::to_ne_bytes).concat();
    fs::write(&file, numbers).unwrap();
    vec![
        ("LD_PRELOAD", library.trim().into()),
        ("CUTOVER_CLOCK", file.into()),
    ]
}

fn color(listener: SocketAddr) -> String {
    let answer = get(listener, "/", "");
    answer.lines().last().unwrap_or_default().to_owned()
}

fn stop(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Asks an Envoy until it is over, and once more: when each request began and ended, and who answered.
fn asked(listener: SocketAddr, over: &AtomicBool) -> Vec<(Instant, Instant, String)> {
    let mut answers = vec![];
    loop {
        let is_last = over.load(Ordering::Relaxed);
        let began = Instant::now();
        let color = color(listener);
        answers.push((began, Instant::now(), color));
        if is_last {
            return answers;
        }
    }
}

#[test]
fn two_envoys_switch_at_one_instant_and_no_answer_is_stale() {
    let pair = Pair::start("envoy");
    let over = AtomicBool::new(false);
    let (ran, answers) = thread::scope(|scope| {
        let clients = [0, 1, 0, 1].map(|envoy| {
            let (listener, over) = (pair.listeners[envoy], &over);
            scope.spawn(move || asked(listener, over))
        });
        let ran = pair.run(&[&FLIP[..], &["-o", "json"]].concat());
        over.store(true, Ordering::Relaxed);
        (ran, clients.map(|client| client.join().unwrap()))
    });
    assert_eq!(ran.code, Some(0), "{ran}");
    let flip = json(&ran);
    assert_eq!(flip["outcome"], "activated", "{ran}");
    assert_eq!(
        (&flip["late"], &flip["unseen"]),
        (&Value::Array(vec![]), &Value::Array(vec![]))
    );
    for clock in flip["clocks"].as_array().unwrap() {
        let number = |key: &str| clock[key].as_f64().unwrap();
        // All of it is one machine.
        assert!(
            number("offset_ms").abs() <= number("error_ms") + 1.0,
            "{ran}"
        );
    }
    let of = |color: &str| {
        answers
            .iter()
            .flatten()
            .filter(move |one| one.2 == color)
            .collect::<Vec<_>>()
    };
    let (old, new) = (of("blue"), of("green"));
    assert_eq!(
        old.len() + new.len(),
        answers.iter().map(Vec::len).sum::<usize>()
    );
    for client in &answers {
        assert!(client.first().unwrap().2 == "blue" && client.last().unwrap().2 == "green");
    }
    let first_new = new.iter().map(|(_, ended, _)| *ended).min().unwrap();
    let stale = old.iter().filter(|(began, ..)| *began > first_new).count();
    assert_eq!(stale, 0, "of {} answers", old.len() + new.len());
    assert_eq!((0..2).map(|envoy| pair.stat(envoy, "late")).sum::<u64>(), 0);
}

#[test]
fn an_envoy_that_does_not_get_the_push_has_it_taken_back() {
    let pair = Pair::start("elsewhere");
    let ran = pair.run(&[&TAKEN_BACK[..], &["-o", "json"]].concat());
    assert_eq!(ran.code, Some(1), "{ran}");
    let flip = json(&ran);
    assert_eq!(flip["lagging"][0]["admin"], pair.admins[1].to_string());
    assert_eq!(
        flip["in_doubt"],
        serde_json::json!([pair.admins[1].to_string()])
    );
    assert_eq!(pair.colors(), ["blue", "blue"]);
    assert_eq!(pair.stat(0, "staged"), 0);
    assert_eq!(
        pair.stat(0, "generation"),
        flip["cancelled_by"].as_u64().unwrap()
    );
    // Without that one it goes.
    let ran = pair.run(&[&FLIP[..], &["--on-lag", "proceed", "--deadline", "1s"]].concat());
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("1 of 2 Envoys do not show it"), "{ran}");
    assert_eq!(pair.colors(), ["green", "blue"]);
}

#[test]
fn an_envoy_that_stands_still_is_in_doubt_until_it_hears_of_the_cancel() {
    // No push comes to it by itself.
    let pair = Pair::start("elsewhere");
    let before = pair.first.stage.read("envoy/cutover.json");
    let flip = [&TAKEN_BACK[..], &["--deadline", "20s", "-o", "json"]].concat();
    let child = pair.command(&flip).spawn().unwrap();
    until("the write", || {
        pair.first.stage.read("envoy/cutover.json") != before
    });
    stop(&pair.second, Signal::STOP);
    let staged = pair.first.stage.read("envoy/cutover.json");
    let is_cancelled = || {
        let now = pair.first.stage.read("envoy/cutover.json");
        now != staged && !now.contains("activate_at")
    };
    until("the cancel", is_cancelled);
    // The instant passes without it.
    until("the instant", || {
        let status = pair.run(&["history", "-o", "json"]);
        let at = json(&status)["switches"][0]["activate_at"]
            .as_u64()
            .unwrap();
        cutover_control::unix_ms() > at + 200
    });
    // What it has missed is there when it wakes.
    for version in [staged, pair.first.stage.read("envoy/cutover.json")] {
        pair.push("elsewhere", version);
    }
    stop(&pair.second, Signal::CONT);
    let ran = pair.first.stage.ran(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(1), "{ran}");
    let flip = json(&ran);
    assert_eq!(flip["outcome"], "in-doubt", "{ran}");
    assert_eq!(
        flip["in_doubt"],
        serde_json::json!([pair.admins[1].to_string()])
    );
    assert!(ran.stderr.contains("may have switched, until "), "{ran}");
    assert_eq!(pair.colors(), ["blue", "blue"]);
    assert_eq!((pair.stat(0, "staged"), pair.stat(1, "staged")), (0, 0));
}

#[test]
fn an_envoy_whose_clock_is_seconds_ahead_does_not_switch_alone() {
    let pair = Pair::with_clock("envoy", 6_000);
    // By its own clock it would switch long before the gate, six seconds before the instant.
    let ran = pair.run(&["flip", "--yes", "green", "--at", "+14s", "-o", "json"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let flip = json(&ran);
    assert_eq!(flip["outcome"], "cancelled", "{ran}");
    assert_eq!(flip["in_doubt"], serde_json::json!([]), "{ran}");
    assert!(ran.stderr.contains("no hold is long enough"), "{ran}");
    assert_eq!(pair.colors(), ["blue", "blue"]);
    assert_eq!((pair.stat(0, "staged"), pair.stat(1, "staged")), (0, 0));
    assert_eq!(pair.stat(1, "late"), 0);
}

#[test]
fn an_envoy_that_switched_before_the_instant_is_in_doubt_and_goes_back_at_once() {
    let pair = Pair::with_clock("envoy", 60_000);
    let ran = pair.run(&["flip", "--yes", "green", "--at", "+30s", "-o", "json"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let flip = json(&ran);
    assert_eq!(flip["outcome"], "in-doubt", "{ran}");
    let second = serde_json::json!([pair.admins[1].to_string()]);
    assert_eq!(flip["in_doubt"], second, "{ran}");
    assert!(ran.stderr.contains("switched before the instant"), "{ran}");
    assert_eq!(pair.colors(), ["blue", "blue"]);
    // It was not waited for: the instant is still to come.
    let at = flip["at"].as_u64().unwrap();
    assert!(at > cutover_control::unix_ms(), "{ran}");
}

#[test]
fn a_configuration_that_has_lost_the_switch_is_said_with_what_comes_of_it() {
    let pair = Pair::start("envoy");
    let before = pair.first.stage.read("envoy/cutover.json");
    let child = pair.started(&FLIP);
    // Envoy ignores what is older than what it has staged.
    pair.first.stage.write("envoy/cutover.json", &before);
    let ran = pair.first.stage.ran(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran}");
    let lost = "an Envoy that starts anew takes what is there, and not this switch";
    assert!(ran.stderr.contains(lost), "{ran}");
    assert_eq!(pair.colors(), ["green", "green"]);
}

#[test]
fn who_was_late_once_is_not_called_late_for_the_next_switch() {
    let pair = Pair::start("envoy");
    let file = pair.first.stage.read("envoy/cutover.json");
    let now = cutover_control::unix_ms();
    let late = Switch {
        active: Color::Green,
        generation: Generation::new(now).ok(),
        previous: Some(Previous {
            generation: Generation::new(1).unwrap(),
            active: Color::Blue,
        }),
        activation: Activation::new(now - 3_000, 20),
    };
    let document = Document::parse(file.as_bytes()).unwrap();
    pair.push("envoy", document.with_switch("default", &late).to_bytes());
    until("both were late", || {
        (0..2).all(|envoy| pair.stat(envoy, "late") == 1)
    });
    let status = pair.run(&["status"]);
    assert!(status.stdout.contains("; late: "), "{status}");
    let next = ["flip", "--yes", "blue", "--at", "+4s", "--hold", "100ms"];
    let ran = pair.run(&next);
    assert_eq!(ran.code, Some(0), "{ran}");
    let status = pair.run(&["status"]);
    assert!(!status.stdout.contains("late"), "{status}");
}

#[test]
fn a_killed_command_is_seen_through_or_taken_back() {
    let pair = Pair::start("envoy");
    let later = ["flip", "--yes", "green", "--at", "+30s", "--hold", "100ms"];
    let child = pair.started(&later);
    stop(&child, Signal::KILL);
    let _ = child.wait_with_output();
    let status = pair.run(&["status"]);
    assert_eq!(status.code, Some(0), "{status}");
    let says = "green is staged on 2 of 2 Envoys, activates in ";
    assert!(status.stdout.contains(says), "{status}");
    assert!(
        status.stdout.contains("the command that staged it is gone"),
        "{status}"
    );
    let ran = pair.run(&["flip", "--cancel"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(!pair.is_staged());
    assert_eq!(pair.colors(), ["blue", "blue"]);

    let child = pair.started(&["flip", "--yes", "green", "--at", "+8s", "--hold", "100ms"]);
    stop(&child, Signal::KILL);
    let _ = child.wait_with_output();
    let ran = pair.run(&["flip", "--resume", "-o", "json"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(json(&ran)["outcome"], "activated");
    assert_eq!(pair.colors(), ["green", "green"]);
    // It goes on by itself, too.
    let child = pair.started(&["rollback", "--at", "+6s", "--hold", "100ms"]);
    stop(&child, Signal::KILL);
    let _ = child.wait_with_output();
    let waited = pair.run(&["wait"]);
    assert_eq!(waited.code, Some(0), "{waited}");
    assert_eq!(pair.colors(), ["blue", "blue"]);
}

#[test]
fn a_hold_that_is_too_short_for_an_envoy_s_clock_is_refused_and_one_that_follows_it_is_not() {
    let pair = Pair::with_clock("envoy", -400);
    let ran = pair.run(&[&TAKEN_BACK[..], &["-o", "json"]].concat());
    assert_eq!(ran.code, Some(1), "{ran}");
    let says = format!("the clock of {} is off by -", pair.admins[1]);
    assert!(ran.stderr.contains(&says), "{ran}");
    assert!(ran.stderr.contains("more than the hold of 100 ms"), "{ran}");
    let flip = json(&ran);
    assert_eq!(flip["outcome"], "cancelled", "{ran}");
    assert_eq!(pair.colors(), ["blue", "blue"]);
    let ran = pair.run(&["flip", "--yes", "green", "--at", "+8s", "-o", "json"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let flip = json(&ran);
    assert!(flip["hold"].as_u64() >= Some(800), "{ran}");
    let off = |envoy: usize| flip["clocks"][envoy]["offset_ms"].as_f64().unwrap().abs();
    assert!(
        off(0).max(off(1)) > 390.0 && off(0).min(off(1)) < 50.0,
        "{ran}"
    );
    assert_eq!(pair.colors(), ["green", "green"]);
}
