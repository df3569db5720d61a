//! What an `up` refuses, before it starts anything.

use super::stage::{Applications, Up};
use crate::{
    assert_run,
    support::{Ran, Stage},
};
use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _};

/// A stage with two programs that take themselves for an Envoy.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.write("module.wasm", "\0asm");
    program(
        &stage,
        "old-envoy",
        "echo 'envoy  version: c0ffee/1.30.2/Clean/RELEASE/BoringSSL'",
    );
    program(&stage, "no-envoy", "echo 'nginx version: nginx/1.22.1'");
    program(
        &stage,
        "envoy-without-wasm",
        "[ \"$1\" = --version ] && echo 'envoy  version: c0ffee/1.40.0/Clean/RELEASE/BoringSSL' && exit\n\
         echo \"Didn't find a registered implementation for type: \
         'envoy.extensions.filters.http.wasm.v3.Wasm'\" >&2\nexit 1",
    );
    program(
        &stage,
        "envoy",
        "[ \"$1\" = --version ] && echo 'envoy  version: c0ffee/1.40.0/Clean/RELEASE/BoringSSL' && exit\n\
         echo 'it should not have been started' >&2\nexit 1",
    );
    stage
}

/// By another process: one that this has open for writing, and another thread's child with it, could not be run.
fn program(stage: &Stage, name: &str, script: &str) {
    let scripts = stage.path("scripts");
    fs::create_dir_all(&scripts).unwrap();
    fs::write(scripts.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(scripts.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    cutover_tests::copy([name], &scripts, &stage.path("")).unwrap();
}

fn up(stage: &Stage, more: &[&str]) -> Ran {
    let mut arguments = vec!["up", "--state", "state", "--wasm", "module.wasm"];
    let mut add = |option, value| {
        if !more.contains(&option) {
            arguments.extend([option, value]);
        }
    };
    add("--blue", "127.0.0.1:8081");
    add("--green", "127.0.0.1:8082");
    add("--listen", "127.0.0.1:0");
    add("--envoy", "./envoy");
    stage.run(&[&arguments, more].concat())
}

#[test]
fn what_is_no_address() {
    let stage = stage();
    assert_run!(up(&stage, &["--blue", "8081"]), @r"
    exit code: 2
    --- stderr
    error: invalid value '8081' for '--blue <HOST:PORT>': `8081` is not HOST:PORT, such as 127.0.0.1:8081

    For more information, try '--help'.
    ");
    assert_run!(up(&stage, &["--listen", "localhost"]), @r"
    exit code: 2
    --- stderr
    error: invalid value 'localhost' for '--listen <IP:PORT>': an address is IP:PORT, such as 127.0.0.1:10000 or [::1]:10000

    For more information, try '--help'.
    ");
    assert_run!(up(&stage, &["--health", "healthz"]), @r"
    exit code: 2
    --- stderr
    error: invalid value 'healthz' for '--health <PATH>': `healthz` is no path such as /healthz

    For more information, try '--help'.
    ");
    assert_run!(up(&stage, &["--blue", "127.0.0.1:8082"]), @r"
    exit code: 2
    --- stderr
    error: --blue and --green are the same application, 127.0.0.1:8082
    hint: each version needs an address of its own
    ");
    assert_run!(up(&stage, &["--blue", "127.0.0.1:8000", "--listen", "0.0.0.0:8000"]), @r"
    exit code: 2
    --- stderr
    error: --blue 127.0.0.1:8000 is where Envoy itself would listen (0.0.0.0:8000)
    hint: --listen is for clients; --blue and --green are the applications behind
    ");
    assert_run!(up(&stage, &["--admin", "0.0.0.0:9901"]), @r"
    exit code: 2
    --- stderr
    error: --admin 0.0.0.0:9901 is not on loopback, and whoever reaches it can stop Envoy
    hint: leave it out, or say 127.0.0.1:PORT
    ");
    assert!(!stage.path("state").exists());
}

#[test]
fn an_envoy_that_is_missing_old_or_none() {
    let stage = stage();
    assert_run!(up(&stage, &["--envoy", "nowhere"]), @r"
    exit code: 3
    --- stderr
    error: there is no Envoy at nowhere
    hint: --envoy PATH or CUTOVER_ENVOY names its binary
    ");
    assert_run!(up(&stage, &["--envoy", "./old-envoy"]), @r"
    exit code: 3
    --- stderr
    error: ./old-envoy is Envoy 1.30.2, and 1.36.0 or newer is needed
    hint: --envoy PATH or CUTOVER_ENVOY names another; scripts/get-envoy gets one that is tested
    ");
    assert_run!(up(&stage, &["--envoy", "./no-envoy"]), @r"
    exit code: 3
    --- stderr
    error: ./no-envoy is no Envoy: asked for its version it says `nginx version: nginx/1.22.1`
    hint: --envoy PATH or CUTOVER_ENVOY names another; scripts/get-envoy gets one that is tested
    ");
    assert_run!(up(&stage, &["--envoy", "./module.wasm"]), @r"
    exit code: 3
    --- stderr
    error: ./module.wasm cannot be started: Permission denied (os error 13)
    hint: --envoy PATH or CUTOVER_ENVOY names another; scripts/get-envoy gets one that is tested
    ");
    assert!(!stage.path("state").exists());
    assert_run!(up(&stage, &["--envoy", "./envoy-without-wasm"]), @r"
    exit code: 3
    --- stderr
    started Envoy 1.40.0 (process [PID])
    error: this Envoy was built without Wasm, which the filter needs; the end of its log:
    Didn't find a registered implementation for type: 'envoy.extensions.filters.http.wasm.v3.Wasm'
    hint: --envoy PATH or CUTOVER_ENVOY names another; official builds have Wasm
    ");
}

#[test]
fn a_port_that_is_taken() {
    let stage = stage();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    let mut ran = up(&stage, &["--listen", &taken.to_string()]);
    ran.stderr = ran.stderr.replace(&taken.port().to_string(), "[PORT]");
    assert_run!(ran, @r"
    exit code: 3
    --- stderr
    error: port [PORT] is taken: something else listens on 127.0.0.1:[PORT]
    hint: `ss -ltnp 'sport = :[PORT]'` shows what; --listen IP:PORT names another port
    ");
    assert_run!(up(&stage, &["--listen", "192.0.2.1:80"]), @r"
    exit code: 3
    --- stderr
    error: 192.0.2.1 is no address of this machine
    hint: --listen 0.0.0.0:PORT listens on all of them
    ");
    // Nothing was written, nothing was started.
    assert!(!stage.path("state/envoy.yaml").exists());
}

#[test]
fn a_port_that_another_envoy_would_share() {
    let (first, applications) = (Stage::new(), Applications::start());
    let running = Up::start(&first, &applications, &[]);
    let stage = stage();
    for address in [running.listen, ([0, 0, 0, 0], running.listen.port()).into()] {
        let ran = up(&stage, &["--listen", &address.to_string()]);
        assert_eq!(ran.code, Some(3), "{ran}");
        let port = running.listen.port();
        assert!(
            ran.stderr.contains(&format!("port {port} is taken")),
            "{ran}"
        );
    }
}

#[test]
fn a_state_folder_that_cannot_be_one() {
    let stage = stage();
    stage.write("file", "");
    let on = |path: &str| {
        let arguments = [
            "up",
            "--wasm",
            "module.wasm",
            "--envoy",
            "./envoy",
            "--listen",
            "127.0.0.1:0",
        ];
        let colors = [
            "--blue",
            "127.0.0.1:8081",
            "--green",
            "127.0.0.1:8082",
            "--state",
            path,
        ];
        stage.run(&[arguments.as_slice(), &colors].concat())
    };
    assert_run!(on("file"), @r"
    exit code: 3
    --- stderr
    error: file cannot be made: it is no folder
    hint: look at the rights and the space of the state folder; --state DIR names another
    ");
    assert_run!(on("/proc/cutover"), @r"
    exit code: 3
    --- stderr
    error: /proc/cutover cannot be made: No such file or directory (os error 2)
    hint: look at the rights and the space of the state folder; --state DIR names another
    ");
    assert_run!(stage.run(&["up", "--blue", "127.0.0.1:1", "--green", "127.0.0.1:2", "--envoy", "./envoy",
        "--wasm", "module.wasm"]), @r"
    exit code: 2
    --- stderr
    error: there is no home folder to keep a state folder in
    hint: say --state DIR, or set CUTOVER_STATE
    ");
}

#[test]
fn a_configuration_that_somebody_broke() {
    let stage = stage();
    fs::create_dir(stage.path("state")).unwrap();
    stage.write("state/cutover.json", "{}");
    assert_run!(up(&stage, &[]), @r"
    exit code: 2
    --- stderr
    error: state/cutover.json is not an ECDS file of Cutover: `resources` is missing; it must be a list of one resource
    hint: `cutover lint PATH` checks a file; `cutover init` writes a good one
    ");
    stage.write("state/cutover.json", "{");
    assert_run!(up(&stage, &[]), @r"
    exit code: 3
    --- stderr
    error: state/cutover.json is no whole file, and its journal knows no switch: nothing tells which color was active
    hint: put state/cutover.json back from a backup; to begin anew, remove the folder and say --initial COLOR
    ");
    assert_eq!(stage.read("state/cutover.json"), "{");
}

#[test]
fn a_key_that_is_not_there_or_too_short() {
    let stage = stage();
    assert_run!(up(&stage, &["--override-key", "k1"]), @r#"
    exit code: 2
    --- stderr
    error: CUTOVER_KEY_k1 is not set
    hint: export CUTOVER_KEY_k1="$(openssl rand -hex 32)" makes one
    "#);
    let short = [
        "up",
        "--blue",
        "127.0.0.1:1",
        "--green",
        "127.0.0.1:2",
        "--override-key",
        "k1",
    ];
    assert_run!(stage.run_with(&short, &[("CUTOVER_KEY_k1", "short")]), @r#"
    exit code: 2
    --- stderr
    error: CUTOVER_KEY_k1: a key of 5 bytes is too short: 16 at least
    hint: export CUTOVER_KEY_k1="$(openssl rand -hex 32)" makes one
    "#);
}
