//! `status --watch`: what it prints as things change.

use crate::{
    assert_run,
    support::{SERVER_INFO, Server, Stage, clusters, shows},
};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

const DEADLINE: Duration = Duration::from_secs(20);

/// Green is active, by generation 5; streams can be counted.
fn stage() -> Stage {
    Stage::with(&json!({
        "active": "green", "generation": 5, "blue": { "cluster": "b" }, "green": { "cluster": "g" },
    }))
}

/// An Envoy that shows what `envoy.txt` has.
fn envoy(stage: &Stage, address: SocketAddr) -> Server {
    let file = stage.path("envoy.txt");
    Server::at(address, move |_| fs::read_to_string(&file).unwrap())
}

fn is_now(stage: &Stage, generation: u64, active: u8, on_blue: u64) {
    let streams =
        format!("cluster.b.upstream_rq_active: {on_blue}\ncluster.g.upstream_rq_active: 1\n");
    let beside = stage.path("envoy.tmp");
    fs::write(&beside, shows("default", generation, active) + &streams).unwrap();
    fs::rename(beside, stage.path("envoy.txt")).unwrap();
}

/// A tool that runs, and its lines as they come.
struct Watching {
    child: Child,
    lines: Receiver<String>,
    came: Vec<String>,
}

impl Watching {
    fn start(stage: &Stage, admin: SocketAddr, arguments: &[&str]) -> Self {
        let admin = admin.to_string();
        let usual = [
            "status",
            "-t",
            "cutover.json",
            "-a",
            &admin,
            "--every",
            "10ms",
        ];
        let mut child = stage
            .command(&[&usual[..], arguments].concat())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            out.lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            child,
            lines,
            came: vec![],
        }
    }

    /// Waits for a line with this in it.
    #[track_caller]
    fn line(&mut self, with: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(DEADLINE);
            assert!(line.is_ok(), "no line with `{with}` in {:#?}", self.came);
            let line = line.unwrap();
            self.came.push(line.clone());
            if line.contains(with) {
                return line;
            }
        }
    }

    fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    /// Waits for its end: the exit code, and what it complained of.
    fn end(&mut self) -> (Option<i32>, String) {
        let status = wait_for_end(&mut self.child);
        let mut complaint = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut complaint)
            .unwrap();
        while let Ok(line) = self.lines.recv_timeout(DEADLINE) {
            self.came.push(line);
        }
        (status.code(), complaint)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for_end(child: &mut Child) -> ExitStatus {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < until, "it does not end");
        thread::yield_now();
    }
}

/// Lines without what differs from run to run.
fn plain(lines: &[String], admin: SocketAddr) -> String {
    let plain = lines.iter().map(|line| {
        let line = line.replace(&admin.to_string(), "[ENVOY]");
        match line.split_once(' ') {
            Some((time, rest)) if time.ends_with('Z') && time.starts_with("20") => {
                format!("[TIME] {rest}")
            }
            _ => line,
        }
    });
    plain.collect::<Vec<_>>().join("\n")
}

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

#[test]
fn without_a_terminal_each_change_is_a_line_and_until_ends_it() {
    let stage = stage();
    is_now(&stage, 4, 1, 2);
    let server = envoy(&stage, ANY);
    let admin = server.address;
    let mut watching = Watching::start(&stage, admin, &["--until", "drained"]);
    watching.line("behind");
    is_now(&stage, 5, 2, 2);
    watching.line("-> agrees");
    drop(server);
    watching.line("no answer");
    let _server = envoy(&stage, admin);
    watching.line("is back");
    is_now(&stage, 5, 2, 0);
    let (code, complaint) = watching.end();
    assert_eq!((code, complaint.as_str()), (Some(0), ""));
    insta::with_settings!({ filters => vec![
        (r"after [\d.]+ s", "after [TIME] s"),
        (r"(no answer from \[ENVOY\]): .*", "$1: [REASON]"),
    ] }, {
        insta::assert_snapshot!(plain(&watching.came, admin), @"
        [TIME] file: active green, generation 5
        [TIME] [ENVOY] active blue, generation 4, file behind, healthy blue 1/1, healthy green 1/1, on green 1, ignored 0, refused 0, version 1.40.0
        [TIME] [ENVOY] active blue -> green, generation 4 -> 5, file behind -> agrees, on blue 2
        [TIME] no answer from [ENVOY]: [REASON]
        [TIME] [ENVOY] is back: active green, generation 5, file agrees, healthy blue 1/1, healthy green 1/1, on blue 2, ignored 0, refused 0, version 1.40.0
        [TIME] [ENVOY] on blue 2 -> 0
        drained after [TIME] s
        next: blue can be retired: nothing is sent there, and nothing is open
        ");
    });
}

#[test]
fn with_jsonl_each_change_is_an_event_and_the_result_comes_last() {
    let stage = stage();
    is_now(&stage, 4, 1, 0);
    let server = envoy(&stage, ANY);
    let mut watching = Watching::start(
        &stage,
        server.address,
        &["--until", "settled", "-o", "jsonl"],
    );
    watching.line("appeared");
    is_now(&stage, 5, 2, 0);
    assert_eq!(watching.end().0, Some(0));
    let events: Vec<Value> = watching
        .came
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<_> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["file", "appeared", "changed", "result"]);
    assert!(events[..3].iter().all(|event| event["at"].is_string()));
    assert_eq!(
        events[2]["changes"][0],
        json!({"what": "active", "from": "blue", "to": "green"})
    );
    assert_eq!(
        events[2]["envoy"]["services"][0]["streams"],
        json!({"blue": 0, "green": 1})
    );
    assert_eq!(events[3]["met"], true);
    assert_eq!(events[3]["exit_code"], 0);
}

#[test]
fn a_deadline_ends_it_with_what_is_missing() {
    let stage = stage();
    is_now(&stage, 4, 1, 0);
    let server = envoy(&stage, ANY);
    let until = ["--until", "generation=5", "--deadline", "50ms"];
    let mut watching = Watching::start(&stage, server.address, &until);
    let (code, complaint) = watching.end();
    assert_eq!(code, Some(1));
    let missing = format!(" s: {} shows blue, generation 4\nhint: ", server.address);
    assert!(
        complaint.starts_with("error: not generation=5 after "),
        "{complaint}"
    );
    assert!(complaint.contains(&missing), "{complaint}");
    // One JSON value where one was asked for; the changes are told aside.
    let mut watching = Watching::start(
        &stage,
        server.address,
        &[&until[..], &["-o", "json"]].concat(),
    );
    let (code, complaint) = watching.end();
    assert_eq!(code, Some(1));
    let json: Value = serde_json::from_str(&watching.came.join("\n")).unwrap();
    assert_eq!(json["met"], false);
    assert_eq!(
        json["missing"][0],
        format!("{} shows blue, generation 4", server.address)
    );
    assert!(complaint.contains("file: active green"), "{complaint}");
}

#[test]
fn an_application_that_dies_is_a_change() {
    let stage = stage();
    let dead = Arc::new(AtomicBool::new(false));
    let is_dead = Arc::clone(&dead);
    let server = Server::answering(move |path| match path {
        "/server_info" => SERVER_INFO.to_owned(),
        "/clusters" => clusters(&[("b", true), ("g", !is_dead.load(Ordering::Relaxed))]),
        "/config_dump" => "{}".to_owned(),
        _ => shows("default", 5, 2),
    });
    let mut watching = Watching::start(&stage, server.address, &["--watch"]);
    watching.line("healthy blue 1/1, healthy green 1/1");
    dead.store(true, Ordering::Relaxed);
    let line = watching.line("healthy green 1/1 -> 0/1");
    assert!(!line.contains("blue"), "{line}");
    watching.interrupt();
    watching.end();
    let next = watching.came.last().unwrap();
    let expected = "next: `cutover flip blue` switches to blue, which is healthy; ";
    assert!(next.starts_with(expected), "{next}");
}

#[test]
fn a_wait_in_vain_says_what_would_bring_it_about() {
    let stage = stage();
    is_now(&stage, 5, 2, 3);
    let server = envoy(&stage, ANY);
    for (until, hint) in [
        (
            "blue",
            "the file has green: `cutover flip blue` is what makes them show blue",
        ),
        (
            "generation=6",
            "the file does not have generation 6 yet: `cutover history` tells who wrote last",
        ),
        (
            "drained=green",
            "green is active in the file: `cutover flip blue` sends requests elsewhere",
        ),
        (
            "drained",
            "wait longer with a greater --deadline, or let the application of blue end what is open there",
        ),
    ] {
        let until = ["--until", until, "--deadline", "1ms"];
        let (code, complaint) = Watching::start(&stage, server.address, &until).end();
        assert_eq!(code, Some(1));
        assert!(
            complaint.ends_with(&format!("\nhint: {hint}\n")),
            "{complaint}"
        );
    }
}

#[test]
fn ctrl_c_ends_a_watch_well_and_leaves_until_unmet() {
    let stage = stage();
    is_now(&stage, 5, 2, 3);
    let server = envoy(&stage, ANY);
    let mut watching = Watching::start(&stage, server.address, &["--watch"]);
    watching.line("agrees");
    watching.interrupt();
    assert_eq!(watching.end(), (Some(0), String::new()));
    assert!(
        watching.came.last().unwrap().starts_with("next: "),
        "{:?}",
        watching.came
    );
    let mut watching = Watching::start(&stage, server.address, &["--until", "drained=blue"]);
    watching.line("agrees");
    watching.interrupt();
    let (code, complaint) = watching.end();
    assert_eq!(code, Some(3));
    let expect = format!(
        "interrupted, not drained=blue yet: {} has 3 streams on blue",
        server.address
    );
    assert!(complaint.contains(&expect), "{complaint}");
}

#[test]
fn a_watch_ends_when_nobody_reads_it() {
    let stage = stage();
    is_now(&stage, 5, 2, 0);
    let server = envoy(&stage, ANY);
    let admin = server.address.to_string();
    let arguments = [
        "status",
        "-t",
        "cutover.json",
        "-a",
        &admin,
        "--every",
        "10ms",
        "--watch",
    ];
    let mut child = stage.command(&arguments).spawn().unwrap();
    drop(child.stdout.take());
    let status = wait_for_end(&mut child);
    let mut complaint = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut complaint)
        .unwrap();
    assert_eq!((status.code(), complaint.as_str()), (Some(0), ""));
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let stage = stage();
    let admin = ["-t", "cutover.json", "-a", "127.0.0.1:9"];
    let run = |arguments: &[&str]| stage.run(&[&["status"], &admin[..], arguments].concat());
    assert_run!(run(&["--watch", "-o", "json"]), @r#"
    exit code: 2
    --- stdout
    {
      "error": "a watch without an end has no one result",
      "exit_code": 2,
      "hint": "-o jsonl prints a line for each change; with --until WHAT a watch comes to one result",
      "next": "-o jsonl prints a line for each change; with --until WHAT a watch comes to one result"
    }
    --- stderr
    error: a watch without an end has no one result
    hint: -o jsonl prints a line for each change; with --until WHAT a watch comes to one result
    "#);
    assert_run!(run(&["--until", "purple"]), @"
    exit code: 2
    --- stderr
    error: invalid value 'purple' for '--until <WHAT>': it is `settled`, `blue`, `green`, `generation=N`, `drained` or `drained=COLOR`

    For more information, try '--help'.
    ");
    assert_run!(run(&["--watch", "--deadline", "1s"]), @"
    exit code: 2
    --- stderr
    error: the following required arguments were not provided:
      --until <WHAT>

    Usage: cutover status --until <WHAT> --target <TARGET> --admin <HOST:PORT> --watch --deadline <TIME>

    For more information, try '--help'.
    ");
    let by_header =
        json!({"active": "green", "blue": { "header": "b" }, "green": { "header": "g" }});
    stage.write("cutover.json", &crate::support::ecds(&by_header));
    assert_run!(run(&["--until", "drained"]), @"
    exit code: 2
    --- stderr
    error: the streams of service `default` cannot be counted: it routes by a header, so its clusters are not known here
    hint: ask the applications, or their own metrics
    ");
}

#[test]
fn in_a_terminal_it_draws_anew_and_gives_the_cursor_back() {
    let stage = stage();
    is_now(&stage, 5, 2, 3);
    let server = envoy(&stage, ANY);
    let admin = server.address.to_string();
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize {
        ws_row: 30,
        ws_col: 60,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&master, size).unwrap();
    let slave = ptsname(&master, vec![]).unwrap();
    let slave = File::options()
        .read(true)
        .write(true)
        .open(slave.to_str().unwrap())
        .unwrap();
    let arguments = [
        "status",
        "-t",
        "cutover.json",
        "-a",
        &admin,
        "--every",
        "10ms",
        "--until",
        "drained",
    ];
    let mut child = stage
        .command(&arguments)
        .env("TERM", "xterm")
        .stdout(slave)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut master = File::from(master);
    let mut bytes = vec![];
    let mut buffer = [0; 4096];
    // Once it has drawn a few times, it is to end.
    while bytes.windows(6).filter(|part| part == b"\x1b[?25l").count() < 3 {
        let length = master.read(&mut buffer).unwrap();
        bytes.extend(&buffer[..length]);
    }
    is_now(&stage, 5, 2, 0);
    // The last one that has it open is gone: that is an error here, not an end.
    while let Ok(length @ 1..) = master.read(&mut buffer) {
        bytes.extend(&buffer[..length]);
    }
    assert_eq!(wait_for_end(&mut child).code(), Some(0));
    let mut terminal = vt100::Parser::new(30.try_into().unwrap(), 60.try_into().unwrap(), 0);
    terminal.process(&bytes);
    assert!(!terminal.screen().hide_cursor());
    let screen = terminal.screen().contents();
    insta::with_settings!({ filters => vec![
        (r"after [\d.]+ s", "after [TIME] s"),
        (r"\d\d:\d\d:\d\dZ", "[TIME]"),
        (r"127\.0\.0\.1:\d+", "[ENVOY]"),
    ] }, {
        insta::assert_snapshot!(screen, @"
        cutover.json
        SERVICE  ACTIVE  GENERATION  WRITTEN  BEFORE
        default  green   5           -        -

        ENVOY            ACTIVE  FILE    HEALTHY             ON BLUE
        [ENVOY]  green   agrees  blue 1/1 green 1/1  0
        left out here: MODULE, VERSION, IGNORED, REFUSED,
        GENERATION, DRIFT, ON GREEN; -o json has all

        [TIME]  until drained: now; Ctrl-C ends the watch
        drained after [TIME] s
        next: blue can be retired: nothing is sent there, and nothing is open
        ");
    });
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("\x1b[1;32mgreen\x1b[0m"));
    assert!(
        !text.contains("\x1b[2J"),
        "it clears the screen, which flickers"
    );
}
