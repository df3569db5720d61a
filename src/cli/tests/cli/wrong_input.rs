//! One wrong thing each: what is printed, and that nothing was changed.

use crate::{
    assert_run,
    support::{Ran, Server, Stage, ecds},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, fs::chown, process::CommandExt as _},
    process::Command,
};

/// Somebody who may nothing.
const NOBODY: u32 = 65_534;

fn blue() -> Value {
    json!({"active": "blue", "generation": 1, "blue": "a", "green": "b"})
}

fn stage() -> Stage {
    Stage::with(&blue())
}

/// Flips a file of this name without asking an Envoy.
fn flip(stage: &Stage, file: &str) -> Ran {
    stage.run(&["flip", "--yes", "green", "--no-wait", "--target", file])
}

#[test]
fn no_file() {
    assert_run!(flip(&stage(), "none.json"), @r#"
    exit code: 2
    --- stderr
    error: there is no file none.json
    hint: `cutover init` writes one; --target file:PATH names another
    "#);
}

#[test]
fn a_folder_instead_of_a_file() {
    assert_run!(flip(&stage(), "."), @r#"
    exit code: 2
    --- stderr
    error: . is not a regular file
    hint: name the ECDS file itself, such as file:envoy/cutover.json
    "#);
}

#[test]
fn half_a_json_file() {
    let stage = stage();
    let half: String = stage.read("cutover.json").chars().take(200).collect();
    stage.write("cutover.json", &half);
    assert_run!(flip(&stage, "cutover.json"), @r#"
    exit code: 2
    --- stderr
    error: cutover.json is not an ECDS file of Cutover: it is not valid JSON: EOF while parsing a string at line 8 column 23
    hint: `cutover lint PATH` checks a file; `cutover init` writes a good one
    "#);
    assert_eq!(stage.read("cutover.json"), half);
}

#[test]
fn an_unknown_field() {
    let mut odd = blue();
    odd["colour"] = "green".into();
    let stage = Stage::with(&odd);
    assert_run!(flip(&stage, "cutover.json"), @r#"
    exit code: 2
    --- stderr
    error: the filter would refuse the configuration: colour: unknown field `colour`, expected one of `active`, `generation`, `previous`, `activate_at`, `hold`, `blue`, `green`, `hosts`, `closed`, `override`
    hint: nothing was written; `cutover lint PATH` checks the file
    "#);
    assert_eq!(stage.configuration(), odd);
}

#[test]
fn a_misspelled_color_in_the_file() {
    let mut odd = blue();
    odd["active"] = "bleu".into();
    assert_run!(flip(&Stage::with(&odd), "cutover.json"), @r#"
    exit code: 2
    --- stderr
    error: the filter would refuse the configuration: active: unknown variant `bleu`, expected `blue` or `green`
    hint: nothing was written; `cutover lint PATH` checks the file
    "#);
}

#[test]
fn a_misspelled_color_on_the_command_line() {
    assert_run!(stage().run(&["plan", "gren", "-t", "cutover.json"]), @r#"
    exit code: 2
    --- stderr
    error: invalid value 'gren' for '[COLOR]'
      [possible values: blue, green]

      tip: a similar value exists: 'green'

    For more information, try '--help'.
    "#);
}

#[test]
fn an_admin_interface_that_is_unreachable() {
    let flip = [
        "flip",
        "--yes",
        "green",
        "-t",
        "cutover.json",
        "-a",
        "127.0.0.1:9",
    ];
    let stage = stage();
    assert_run!(stage.run(&flip), @r#"
    exit code: 3
    --- stderr
    error: no answer from 127.0.0.1:9: Connection refused (os error 111)
    hint: nothing was written; is Envoy up, and is that its admin address?
    "#);
    assert_eq!(stage.configuration(), blue());
}

#[test]
fn nobody_to_answer_the_question() {
    let stage = stage();
    let envoy = Server::following(&stage.path("cutover.json"));
    assert_run!(stage.flip(&["flip", "green"], &[&envoy]), @r#"
    exit code: 2
    --- stderr
    error: a flip asks before it writes, and nobody is there to answer
    hint: nothing was written; --yes answers beforehand, --dry-run only looks
    "#);
    assert_eq!(stage.configuration(), blue());
    // No variable says yes.
    let flip = ["flip", "green", "--no-wait", "-t", "cutover.json"];
    let ran = stage.run_with(&flip, &[("CUTOVER_YES", "1"), ("CUTOVER_FLIP_YES", "true")]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert_eq!(stage.configuration(), blue());
}

/// Where this test runs as root, to whom nothing is forbidden, the tool runs as somebody else.
fn as_nobody(command: &mut Command) -> &mut Command {
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// A copy of the tool that anybody may run: the folder of the build may be closed to others.
fn tool_for_all(stage: &Stage) -> Command {
    let copy = stage.path("cutover");
    // By another process: a program that this one has open for writing, and another thread's child with it, cannot be run.
    let mut cp = Command::new("cp");
    let copied = cp.arg(env!("CARGO_BIN_EXE_cutover")).arg(&copy).status();
    assert!(copied.unwrap().success());
    let mut command = Command::new(copy);
    command.env_clear().current_dir(stage.path(""));
    command
}

fn set_mode(stage: &Stage, name: &str, mode: u32) {
    fs::set_permissions(stage.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn no_permission_to_read() {
    let stage = stage();
    set_mode(&stage, "", 0o755);
    set_mode(&stage, "cutover.json", 0o000);
    let mut tool = tool_for_all(&stage);
    let flip = ["flip", "--yes", "green", "--no-wait", "-t", "cutover.json"];
    let output = as_nobody(tool.args(flip)).output().unwrap();
    set_mode(&stage, "cutover.json", 0o644);
    assert_run!(stage.ran(output), @r#"
    exit code: 3
    --- stderr
    error: cutover.json cannot be read: Permission denied (os error 13)
    hint: look at its rights, and who runs this
    "#);
}

#[test]
fn no_permission_to_write() {
    let stage = stage();
    let mut tool = tool_for_all(&stage);
    set_mode(&stage, "", 0o555);
    let flip = ["flip", "--yes", "green", "--no-wait", "-t", "cutover.json"];
    let output = as_nobody(tool.args(flip)).output().unwrap();
    set_mode(&stage, "", 0o755);
    assert_run!(stage.ran(output), @r#"
    exit code: 3
    --- stderr
    error: cutover.json.lock cannot be locked: Permission denied (os error 13)
    hint: nothing was written; look at the rights and the space of the file's folder
    "#);
    assert_eq!(stage.configuration(), blue());
}

#[test]
fn a_journal_that_cannot_be_written_stops_a_flip_but_not_a_way_back() {
    let stage = stage();
    fs::create_dir(stage.path("cutover.json.journal")).unwrap();
    assert_run!(flip(&stage, "cutover.json"), @r#"
    exit code: 3
    --- stderr
    error: the journal cutover.json.journal cannot be read: Is a directory (os error 21)
    hint: look at its rights; `cutover rollback` works without a journal
    "#);
    assert_eq!(stage.configuration(), blue());
    assert_run!(stage.run(&["rollback", "--no-wait", "-t", "cutover.json"]), @r#"
    exit code: 0
    --- stdout
    written, not confirmed: default is green in the file, generation [GENERATION]; no Envoy was asked
    next: cutover wait --generation [GENERATION] --admin HOST:PORT says when it has landed
    --- stderr
    warning: the journal cutover.json.journal cannot be written: Is a directory (os error 21)
    "#);
    assert_eq!(stage.configuration()["active"], "green");
}

#[test]
fn after_a_flip_by_root_the_owner_of_the_file_can_flip_too() {
    if !rustix::process::geteuid().is_root() {
        // Whoever is not root can leave nothing behind that is another's.
        return;
    }
    let stage = stage();
    for name in ["", "cutover.json"] {
        chown(stage.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let ran = flip(&stage, "cutover.json");
    assert_eq!(ran.code, Some(0), "{ran}");
    let back = ["rollback", "--no-wait", "-t", "cutover.json"];
    let output = as_nobody(tool_for_all(&stage).args(back)).output().unwrap();
    let ran = stage.ran(output);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
}

/// Runs a script in which `$1` is a tool, `$2` a folder with 16 KiB that belongs to nobody else.
fn on_a_small_disk(stage: &Stage, script: &str) -> Ran {
    let disk = stage.path("disk");
    fs::create_dir(&disk).unwrap();
    fs::copy(stage.path("cutover.json"), stage.path("given.json")).unwrap();
    let mount = format!(
        "mount -t tmpfs -o size=16k,mode=755 tmpfs \"$2\" || {{ echo 'no tmpfs can be mounted' >&2; exit 99; }}\n\
         cp given.json \"$2/cutover.json\" && cd \"$2\" || exit 98\n{script}"
    );
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            &mount,
            "sh",
        ])
        .arg(env!("CARGO_BIN_EXE_cutover"))
        .arg(&disk)
        .env("LC_ALL", "C")
        .current_dir(stage.path(""))
        .output()
        .unwrap();
    let ran = stage.ran(output);
    assert!(!matches!(ran.code, Some(98 | 99)), "{ran}");
    ran
}

#[test]
fn a_full_disk() {
    let fill = "before=$(cat cutover.json); dd if=/dev/zero of=filler bs=1k 2>/dev/null\n";
    let unchanged =
        "code=$?; [ \"$before\" = \"$(cat cutover.json)\" ] && echo unchanged; ls; exit $code";
    let flip = format!("{fill} \"$1\" flip --yes green --no-wait -t cutover.json; {unchanged}");
    assert_run!(on_a_small_disk(&stage(), &flip), @r#"
    exit code: 3
    --- stdout
    unchanged
    cutover.json
    cutover.json.journal
    cutover.json.lock
    filler
    --- stderr
    error: the journal cutover.json.journal cannot be written: No space left on device (os error 28)
    hint: nothing was written; look at the rights and the space of its folder; `cutover rollback` works without a journal
    "#);
    let back = format!("{fill} \"$1\" rollback --no-wait -t cutover.json; {unchanged}");
    assert_run!(on_a_small_disk(&stage(), &back), @r#"
    exit code: 3
    --- stdout
    unchanged
    cutover.json
    cutover.json.journal
    cutover.json.lock
    filler
    --- stderr
    error: cutover.json cannot be replaced: No space left on device (os error 28)
    hint: nothing was written; look at the rights and the space of the file's folder
    "#);
    // Once there is space again all goes on, over what the full disk has left torn.
    let mended = format!(
        "{fill} \"$1\" rollback --no-wait -t cutover.json 2>/dev/null; rm filler\n\
         \"$1\" rollback --no-wait -t cutover.json && \"$1\" history -t cutover.json -o json | grep -c outcome"
    );
    let ran = on_a_small_disk(&stage(), &mended);
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn a_clock_in_the_past() {
    let mut future = blue();
    future["generation"] = 9_000_000_000_000_u64.into();
    let stage = Stage::with(&future);
    let envoy = Server::following(&stage.path("cutover.json"));
    assert_run!(stage.flip(&["plan"], &[&envoy]), @r#"
    exit code: 0
    --- stdout
    default: blue -> green
      - active: blue
      - generation: 9000000000000
      + active: green
      + generation: 9000000000001 or later
      + previous: blue, generation 9000000000000

    ENVOY            ACTIVE  GENERATION     ENDPOINTS OF GREEN
    [ENVOY-1]  blue    9000000000000  1 of 1 endpoint healthy
    warning: generation 9000000000000 is ahead of this machine's clock: is the clock right? the next one is counted up from it
    a flip would go through
    next: cutover flip green
    "#);
    assert_run!(stage.flip(&["flip", "--yes", "green"], &[&envoy]), @"
    exit code: 0
    --- stdout
    done: default is green, 1 Envoy shows generation 9000000000001 after [TIME] ms
    next: `cutover status` shows the Envoys; `cutover rollback` goes back to blue
    --- stderr
    warning: generation 9000000000000 is ahead of this machine's clock: is the clock right? the next one is counted up from it
    ");
    assert_eq!(stage.configuration()["generation"], 9_000_000_000_001_u64);
}

#[test]
fn a_lock_left_by_a_dead_process() {
    let stage = stage();
    stage.write("cutover.json.lock", "process 4194304 of alice");
    let ran = flip(&stage, "cutover.json");
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(stage.configuration()["active"], "green");
}

#[test]
fn a_lock_held_by_a_live_process() {
    let stage = stage();
    let mut holder = Command::new("flock")
        .args([
            stage.path("cutover.json.lock").to_str().unwrap(),
            "sh",
            "-c",
        ])
        .arg("echo \"process $$ of alice\" >cutover.json.lock; echo held; read -r _")
        .current_dir(stage.path(""))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = String::new();
    let mut out = std::io::BufReader::new(holder.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut held).unwrap();
    assert_eq!(held, "held\n");
    assert_run!(flip(&stage, "cutover.json"), @r#"
    exit code: 1
    --- stderr
    error: cutover.json is being changed by process [PID] of [USER]
    hint: nothing was written; look with `cutover status`, then try again
    "#);
    assert_eq!(stage.configuration(), blue());
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert_eq!(flip(&stage, "cutover.json").code, Some(0));
}

#[test]
fn a_file_that_is_no_ecds_file() {
    let stage = stage();
    stage.write(
        "cutover.json",
        r#"{"active": "blue", "blue": "a", "green": "b"}"#,
    );
    assert_run!(flip(&stage, "cutover.json"), @r#"
    exit code: 2
    --- stderr
    error: cutover.json is not an ECDS file of Cutover: `resources` is missing; it must be a list of one resource
    hint: `cutover lint PATH` checks a file; `cutover init` writes a good one
    "#);
    stage.write("cutover.json", &ecds(&json!({})));
    assert_run!(flip(&stage, "cutover.json"), @r#"
    exit code: 2
    --- stderr
    error: the filter would refuse the configuration: configuration: missing field `active`
    hint: nothing was written; `cutover lint PATH` checks the file
    "#);
}

#[test]
fn the_history_of_a_file_that_is_not_there_is_refused_and_that_of_a_lost_one_is_shown() {
    let stage = Stage::with(&json!({"active": "blue", "generation": 1, "blue": "a", "green": "b"}));
    let history = ["history", "--target", "cutover.json"];
    let shown = stage.run(&history);
    assert_eq!(shown.code, Some(0), "{shown}");
    let flip = ["flip", "--yes", "green", "--no-wait", "-t", "cutover.json"];
    assert_eq!(stage.run(&flip).code, Some(0));
    fs::remove_file(stage.path("cutover.json")).unwrap();
    let lost = stage.run(&history);
    assert_eq!(lost.code, Some(0), "{lost}");
    assert!(
        lost.stdout.contains("written, no Envoy was asked"),
        "{lost}"
    );
    let nope = stage.run(&["history", "--target", "nope.json"]);
    assert_eq!(nope.code, Some(2), "{nope}");
    assert!(nope.stderr.contains("there is no file nope.json"), "{nope}");
}
