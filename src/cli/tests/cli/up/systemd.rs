//! The unit in `examples/systemd`, as far as it can be tried without a systemd that runs.

use super::stage::{Applications, DEADLINE, Up};
use crate::support::Stage;
use std::{fs, os::unix::net::UnixDatagram, process::Command};

fn unit() -> String {
    fs::read_to_string(cutover_tests::root().join("examples/systemd/cutover.service")).unwrap()
}

/// The unit, with the tool where it is here: what `systemd-analyze verify` says to it.
fn verified(unit: &str) -> String {
    let stage = Stage::new();
    let unit = unit.replace("/usr/local/bin/cutover", env!("CARGO_BIN_EXE_cutover"));
    stage.write("cutover.service", &unit);
    let output = Command::new("systemd-analyze")
        .arg("verify")
        .arg(stage.path("cutover.service"))
        .output();
    assert!(
        output.is_ok(),
        "this test needs systemd-analyze (Debian: apt-get install systemd)"
    );
    let output = output.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let status = output.status.code();
    format!("{status:?} {}", String::from_utf8_lossy(&said))
}

#[test]
fn systemd_understands_each_line_of_the_unit() {
    assert_eq!(verified(&unit()), "Some(0) ");
}

#[test]
fn a_line_that_systemd_does_not_know_is_seen() {
    let wrong = unit().replace("KillMode=", "KilMode=");
    let said = verified(&wrong);
    assert!(said.contains("KilMode"), "{said}");
    let missing = unit().replace("/usr/local/bin/cutover", "/no/such/cutover");
    let said = verified(&missing);
    assert!(!said.starts_with("Some(0)"), "{said}");
}

#[test]
fn the_tool_understands_the_command_line_of_the_unit() {
    let stage = Stage::new();
    let unit = unit();
    let mut line = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap()
        .to_owned();
    for variable in unit
        .lines()
        .filter_map(|line| line.strip_prefix("Environment="))
    {
        let (name, value) = variable.split_once('=').unwrap();
        line = line
            .replace(&format!("${{{name}}}"), value)
            .replace(&format!("${name}"), value);
    }
    assert!(!line.contains('$'), "{line}");
    let mut words: Vec<_> = line.split_whitespace().skip(1).collect();
    words.extend(["--state", "state", "--envoy", "nowhere", "--wasm"]);
    stage.write("module.wasm", "\0asm");
    words.push("module.wasm");
    let ran = stage.run(&words);
    // All was understood; only that Envoy is missing.
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stderr.contains("there is no Envoy at nowhere"), "{ran}");
}

#[test]
fn systemd_is_told_when_it_is_ready_and_when_it_stops() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let socket = UnixDatagram::bind(stage.path("notify")).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut buffer = [0; 500];
    let mut told = || {
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(buffer.get(..length).unwrap()).into_owned()
    };
    let mut command = Up::command(&stage, &applications, &[]);
    command.env("NOTIFY_SOCKET", stage.path("notify"));
    let up = Up::of(command);
    let ready = told();
    assert!(ready.starts_with("READY=1\n"), "{ready}");
    assert!(ready.contains("STATUS=blue"), "{ready}");
    assert_eq!(up.stop().status.code(), Some(0));
    // 30 s of drain, and ten more to be sure.
    let stopping = told();
    assert!(stopping.starts_with("STOPPING=1\n"), "{stopping}");
    assert!(
        stopping.contains("EXTEND_TIMEOUT_USEC=40000000\n"),
        "{stopping}"
    );
}
