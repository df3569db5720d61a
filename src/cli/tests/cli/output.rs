use crate::{
    assert_run,
    support::{Server, Stage},
};
use serde_json::{Value, json};

const GOOD: &str = r#"{"active": "blue", "generation": 7, "blue": "a", "green": "b"}"#;

fn stage() -> Stage {
    let stage = Stage::new();
    stage.write("good.json", GOOD);
    stage
}

#[test]
fn a_result_reads_the_same_in_each_format() {
    assert_run!(stage().run(&["lint", "good.json"]), @"
    exit code: 0
    --- stdout
    good.json: good
      default: blue active, generation 7
    next: `cutover explain` shows where a request would go
    ");
    assert_run!(stage().run(&["lint", "good.json", "-o", "yaml"]), @"
    exit code: 0
    --- stdout
    ecds: false
    exit_code: 0
    file: good.json
    next: '`cutover explain` shows where a request would go'
    services:
    - activate_at: null
      active: blue
      generation: 7
      hold: null
      previous: null
      service: default
    ");
    assert_run!(stage().run(&["lint", "good.json", "-o", "jsonl"]), @r#"
    exit code: 0
    --- stdout
    {"event":"result","ecds":false,"exit_code":0,"file":"good.json","next":"`cutover explain` shows where a request would go","services":[{"activate_at":null,"active":"blue","generation":7,"hold":null,"previous":null,"service":"default"}]}
    "#);
}

#[test]
fn a_failure_reads_the_same_in_each_format() {
    assert_run!(stage().run(&["lint", "none.json"]), @"
    exit code: 2
    --- stderr
    error: there is no file none.json
    hint: name an ECDS file or a plugin configuration
    ");
    assert_run!(stage().run(&["lint", "none.json", "-o", "json"]), @r#"
    exit code: 2
    --- stdout
    {
      "error": "there is no file none.json",
      "exit_code": 2,
      "hint": "name an ECDS file or a plugin configuration",
      "next": "name an ECDS file or a plugin configuration"
    }
    --- stderr
    error: there is no file none.json
    hint: name an ECDS file or a plugin configuration
    "#);
    assert_run!(stage().run(&["lint", "none.json", "-o", "yaml"]), @"
    exit code: 2
    --- stdout
    error: there is no file none.json
    exit_code: 2
    hint: name an ECDS file or a plugin configuration
    next: name an ECDS file or a plugin configuration
    --- stderr
    error: there is no file none.json
    hint: name an ECDS file or a plugin configuration
    ");
    assert_run!(stage().run(&["lint", "none.json", "-o", "jsonl"]), @r#"
    exit code: 2
    --- stdout
    {"event":"result","error":"there is no file none.json","exit_code":2,"hint":"name an ECDS file or a plugin configuration","next":"name an ECDS file or a plugin configuration"}
    --- stderr
    error: there is no file none.json
    hint: name an ECDS file or a plugin configuration
    "#);
}

#[test]
fn every_format_holds_the_same_result() {
    let ran = |format| stage().run(&["lint", "good.json", "-o", format]);
    let json = ran("json").json();
    let yaml: Value = yaml_serde::from_str(&ran("yaml").stdout).unwrap();
    assert_eq!(yaml, json);
    let mut lines = ran("jsonl").json();
    assert_eq!(
        lines.as_object_mut().unwrap().remove("event"),
        Some(json!("result"))
    );
    assert_eq!(lines, json);
    assert_eq!(json["exit_code"], 0);
    assert!(json["next"].is_string());
}

#[test]
fn bad_use_has_the_format_that_was_asked_for() {
    assert_run!(Stage::new().run(&["flip", "purple", "-o", "yaml"]), @"
    exit code: 2
    --- stdout
    error: invalid value 'purple' for '[COLOR]'
    exit_code: 2
    hint: --help tells what can be said
    next: --help tells what can be said
    --- stderr
    error: invalid value 'purple' for '[COLOR]'
      [possible values: blue, green]

    For more information, try '--help'.
    ");
    assert_run!(Stage::new().run(&["--output=jsonl", "launch"]), @r#"
    exit code: 2
    --- stdout
    {"event":"result","error":"unrecognized subcommand 'launch'","exit_code":2,"hint":"--help tells what can be said","next":"--help tells what can be said"}
    --- stderr
    error: unrecognized subcommand 'launch'

      tip: a similar subcommand exists: 'plan'

    Usage: cutover [OPTIONS] <COMMAND>

    For more information, try '--help'.
    "#);
    // What cannot be understood itself is text.
    assert_run!(Stage::new().run(&["lint", "-o", "xml", "x"]), @"
    exit code: 2
    --- stderr
    error: invalid value 'xml' for '--output <FORMAT>'
      [possible values: text, json, yaml, jsonl]

      tip: a similar value exists: 'yaml'

    For more information, try '--help'.
    ");
}

#[test]
fn colors_are_for_terminals_or_when_always_is_said() {
    let stage = Stage::with(&json!({"active": "blue", "generation": 7, "blue": "a", "green": "b"}));
    let envoy = Server::following(&stage.path("cutover.json"));
    let admin = envoy.address.to_string();
    let status = ["status", "-t", "cutover.json", "-a", &admin];
    let ran = |more: &[&str]| {
        let ran = stage.run(&[&status[..], more].concat());
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.stdout
    };
    let plain = ran(&[]);
    assert!(!plain.contains('\x1b'));
    assert_eq!(plain, ran(&["--color", "never"]));
    let painted = ran(&["--color", "always"]);
    assert!(painted.contains("\x1b[1;34mblue\x1b[0m"));
    let bare = painted
        .replace("\x1b[1;34m", "")
        .replace("\x1b[1;32m", "")
        .replace("\x1b[1m", "")
        .replace("\x1b[0m", "");
    assert_eq!(bare, plain);
    // Programs read no colors.
    assert!(!ran(&["--color", "always", "-o", "yaml"]).contains('\x1b'));
    let failed = stage.run(&["--color=always", "lint", "none.json"]).stderr;
    assert!(failed.starts_with("\x1b[1;31merror:\x1b[0m "), "{failed:?}");
}

#[test]
fn a_result_that_cannot_be_written_is_told() {
    let stage = stage();
    let mut command = stage.command(&["lint", "-"]);
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(full)
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), GOOD.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: the result cannot be printed: No space left on device (os error 28)\n\
         hint: is there space left where standard output goes? the work itself is done\n"
    );
}
