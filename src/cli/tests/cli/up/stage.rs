//! An `up` in a process of its own, between two applications.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what an event does not have fails the test"
)]

use crate::support::{Ran, Stage};
use cutover_harness::Backend;
use cutover_history::Color;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::mpsc::{self, Receiver},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

pub(super) const DEADLINE: Duration = Duration::from_mins(1);

/// A blue and a green application.
pub(super) struct Applications {
    runtime: Runtime,
    blue: Option<Backend>,
    green: Option<Backend>,
    addresses: [SocketAddr; 2],
}

impl Applications {
    pub(super) fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let start = |color| runtime.block_on(Backend::start(color)).unwrap();
        let (blue, green) = (start(Color::Blue), start(Color::Green));
        let addresses = [blue.address(), green.address()];
        Self {
            runtime,
            blue: Some(blue),
            green: Some(green),
            addresses,
        }
    }

    pub(super) fn kill_blue(&mut self) {
        self.blue = None;
    }

    pub(super) fn kill_green(&mut self) {
        self.green = None;
    }

    /// `--blue` and `--green`.
    pub(super) fn arguments(&self) -> [String; 4] {
        let [blue, green] = self.addresses;
        [
            "--blue".into(),
            blue.to_string(),
            "--green".into(),
            green.to_string(),
        ]
    }
}

impl Drop for Applications {
    fn drop(&mut self) {
        // Their tasks stop; the runtime then waits for none.
        (self.blue, self.green) = (None, None);
        let _ = self.runtime.enter();
    }
}

/// A running `up`; it is killed and reaped when this is dropped.
pub(super) struct Up {
    child: Child,
    events: Receiver<Value>,
    stderr: Option<JoinHandle<String>>,
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
    /// What it said when it was ready.
    pub(super) ready: Value,
}

/// How an `up` ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// The rest of its events; the last is the result.
    pub(super) events: Vec<Value>,
    pub(super) stderr: String,
}

impl Up {
    /// Starts one on the folder `state` of a stage, and waits until it is ready.
    #[track_caller]
    pub(super) fn start(stage: &Stage, applications: &Applications, more: &[&str]) -> Self {
        let mut up = Self::launch(stage, applications, more);
        up.wait_until_ready();
        up
    }

    /// Starts one, and waits for nothing.
    pub(super) fn launch(stage: &Stage, applications: &Applications, more: &[&str]) -> Self {
        Self::spawn(Self::command(stage, applications, more))
    }

    /// The command that starts one.
    pub(super) fn command(stage: &Stage, applications: &Applications, more: &[&str]) -> Command {
        let listen: &[&str] = if more.contains(&"--listen") {
            &[]
        } else {
            &["--listen", "127.0.0.1:0"]
        };
        let mut command = stage.command(&["up", "-o", "jsonl", "--state", "state"]);
        command
            .args(applications.arguments())
            .args(listen)
            .args(more);
        command
    }

    /// Starts one by this command, which has to say `-o jsonl`, and waits until it is ready.
    #[track_caller]
    pub(super) fn of(command: Command) -> Self {
        let mut up = Self::spawn(command);
        up.wait_until_ready();
        up
    }

    fn spawn(mut command: Command) -> Self {
        command
            .arg("--wasm")
            .arg(cutover_tests::module())
            .env("CUTOVER_ENVOY", cutover_tests::envoy());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, events) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            child,
            events,
            stderr: Some(stderr),
            listen: nowhere,
            admin: nowhere,
            ready: Value::Null,
        }
    }

    #[track_caller]
    pub(super) fn wait_until_ready(&mut self) {
        self.ready = self.event("ready");
        let address = |value: &Value| value.as_str().unwrap().parse().unwrap();
        self.listen = address(&self.ready["listen"][0]);
        self.admin = address(&self.ready["admin"]);
    }

    /// Waits for an event; others before it are dropped.
    #[track_caller]
    pub(super) fn event(&mut self, name: &str) -> Value {
        loop {
            match self.events.recv_timeout(DEADLINE) {
                Ok(event) if event["event"] == name => return event,
                Ok(event) => assert_ne!(event["event"], "result", "before {name}: {event}"),
                Err(_) => {
                    let _ = self.child.kill();
                    panic!(
                        "no event {name}: {}",
                        self.stderr.take().unwrap().join().unwrap()
                    );
                }
            }
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub(super) fn end(mut self) -> Ended {
        let until = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it does not end");
            thread::yield_now();
        };
        Ended {
            status,
            stderr: self.stderr.take().unwrap().join().unwrap(),
            events: self.events.iter().collect(),
        }
    }

    /// Tells it to stop, and waits for its end.
    #[track_caller]
    pub(super) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Ends it without a word.
    #[track_caller]
    pub(super) fn kill(self) {
        self.signal(Signal::KILL);
        assert_eq!(self.end().status.signal(), Some(9));
    }

    /// The process id of its Envoy.
    pub(super) fn envoy(stage: &Stage) -> Pid {
        let pid = stage.read("state/envoy.pid").parse().unwrap();
        Pid::from_raw(pid).unwrap()
    }
}

impl Ended {
    /// The last event.
    #[track_caller]
    pub(super) fn result(&self) -> &Value {
        let result = self.events.last();
        assert!(
            result.is_some_and(|result| result["event"] == "result"),
            "{}",
            self.stderr
        );
        result.unwrap()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a verb as somebody in another shell would, who has set `CUTOVER_STATE`.
pub(super) fn in_another_shell(stage: &Stage, arguments: &[&str]) -> Ran {
    stage.run_with(arguments, &[("CUTOVER_STATE", "state")])
}

/// Flips; it must succeed.
#[track_caller]
pub(super) fn flip(stage: &Stage, color: &str) {
    let ran = in_another_shell(stage, &["flip", color, "--yes"]);
    assert_eq!(ran.code, Some(0), "{ran}");
}

/// One request on a connection of its own: the color that answered, or the status line.
pub(super) fn ask(address: SocketAddr) -> String {
    let asked = TcpStream::connect(address).and_then(|mut stream| {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    });
    let answer = asked.unwrap_or_else(|error| error.kind().to_string());
    let status = answer.lines().next().unwrap_or_default();
    match answer.split_once("\r\n\r\n") {
        Some((_, body)) if status.contains(" 200 ") => body.to_owned(),
        _ => status.to_owned(),
    }
}

/// Waits until something is so.
#[track_caller]
pub(super) fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !so() {
        assert!(Instant::now() < until, "in vain: {what}");
        thread::yield_now();
    }
}

/// True while a process runs; one that ended and waits to be reaped does not.
pub(super) fn runs(pid: Pid) -> bool {
    let mut path = String::new();
    let _ = write!(path, "/proc/{}/stat", pid.as_raw_nonzero());
    let stat = fs::read_to_string(Path::new(&path)).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}
