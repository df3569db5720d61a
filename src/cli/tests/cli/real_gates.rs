//! The gates and Ctrl-C on a real Envoy.

use crate::real_envoy::{Proxied, get};
use rustix::process::{Pid, Signal, kill_process};
use std::{fs, process::Child};

/// Interrupts a command once something is so; it must say this, and exit with 3.
#[track_caller]
fn interrupted(proxied: &Proxied, tool: Child, says: &str, once: impl Fn(&Proxied) -> bool) {
    proxied.wait_for("moment to interrupt", |p| once(p).then_some(()));
    kill_process(Pid::from_child(&tool), Signal::INT).unwrap();
    let ran = proxied.stage.ran(tool.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stderr.contains(says), "{ran}");
}

#[test]
fn a_flip_to_a_cluster_that_envoy_does_not_have_is_refused() {
    let proxied = Proxied::start(&[], |stage| {
        let file = stage.read("envoy/cutover.json");
        let other = file.replace(r#"\"cluster\":\"green\""#, r#"\"cluster\":\"lime\""#);
        assert_ne!(file, other);
        stage.write("envoy/cutover.json", &other);
    });
    let before = proxied.stage.read("envoy/cutover.json");
    let ran = proxied.run(&["flip", "--yes", "green"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stderr
            .contains("has no cluster `lime`, the route of green"),
        "{ran}"
    );
    assert_eq!(proxied.stage.read("envoy/cutover.json"), before);
    // The negative twin is the color that is there, pushed again.
    let ran = proxied.run(&["plan", "blue"]);
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn a_flip_to_a_color_that_fails_its_health_check_is_refused_and_a_way_back_to_it_is_not() {
    let proxied = Proxied::start(&[], |stage| {
        let yaml = stage.read("envoy/envoy.yaml");
        let (head, green) = yaml
            .split_once("    - name: green\n      type: STATIC\n")
            .unwrap();
        let checks = "      health_checks: [{ timeout: 1s, interval: 0.1s, unhealthy_threshold: 1, healthy_threshold: 1, http_health_check: { path: /, expected_statuses: [{ start: 418, end: 419 }] } }]\n";
        stage.write(
            "envoy/envoy.yaml",
            &format!("{head}    - name: green\n      type: STATIC\n{checks}{green}"),
        );
    });
    proxied.wait_for("a failed health check", |p| {
        get(p.admin, "/clusters", "")
            .contains("failed_active_hc")
            .then_some(())
    });
    let ran = proxied.run(&["flip", "--yes", "green"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("fails its health check"), "{ran}");
    assert!(proxied.done(&["plan", "blue"]).contains("blue already"));
    proxied.done(&["rollback"]);
    proxied.done(&["rollback"]);
    proxied.done(&["flip", "--yes", "green", "--force"]);
}

#[test]
fn a_flip_that_would_load_another_module_is_refused() {
    let proxied = Proxied::start(&[], |_| {});
    let module = proxied.stage.path("envoy/cutover.wasm");
    let own = fs::read(&module).unwrap();
    let mut other = own.clone();
    let stamp = b"\"build\":";
    let at = other
        .windows(stamp.len())
        .position(|bytes| bytes == stamp)
        .unwrap();
    let digit = other[at + stamp.len()..]
        .iter()
        .position(|byte| *byte == b'"')
        .unwrap();
    let digit = at + stamp.len() + digit + 1;
    other[digit] = if other[digit] == b'0' { b'1' } else { b'0' };
    fs::write(&module, other).unwrap();
    let ran = proxied.run(&["flip", "--yes", "green"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stderr.contains("a push would change the module"),
        "{ran}"
    );
    assert_eq!(proxied.ask(""), "blue");
    fs::write(&module, own).unwrap();
    proxied.done(&["flip", "--yes", "green"]);
}

#[test]
fn of_a_stopped_envoy_an_interrupted_way_back_says_what_is_true() {
    let proxied = Proxied::start(&[], |_| {});
    proxied.done(&["flip", "--yes", "green", "--reason", "release 12"]);
    let envoy = Pid::from_child(&proxied.envoy);
    kill_process(envoy, Signal::STOP).unwrap();
    // Before the write: the flip asks Envoy first, and nothing is written.
    let before = proxied.stage.read("envoy/cutover.json");
    let flip = proxied.command(&["flip", "--yes", "blue"]).spawn().unwrap();
    interrupted(&proxied, flip, "nothing was written", |p| {
        // It has taken the connection (the kernel does) and asked.
        let open = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let port = format!("0100007F:{:04X} 01 ", p.admin.port());
        open.contains(&port)
    });
    assert_eq!(proxied.stage.read("envoy/cutover.json"), before);
    // After the write: it is written, and this Envoy does not show it.
    let back = proxied.command(&["rollback"]).spawn().unwrap();
    interrupted(&proxied, back, "the Envoy does not show it", |p| {
        p.stage.read("envoy/cutover.json") != before
    });
    let history = proxied.run(&["history"]).stdout;
    assert!(history.contains("interrupted: on 0 of 1"), "{history}");
    kill_process(envoy, Signal::CONT).unwrap();
    // What was written takes effect all the same.
    proxied.done(&["wait"]);
    assert_eq!(proxied.ask(""), "blue");
}

#[test]
fn with_two_listeners_one_push_is_compared_once() {
    let proxied = Proxied::start(&["--listen", "127.0.0.1:0"], |_| {});
    proxied.done(&["plan"]);
    proxied.done(&["flip", "--yes", "green"]);
    proxied.done(&["rollback"]);
}
