//! What SIGTERM means for those who are connected.

use super::{
    load::Load,
    stage::{Applications, DEADLINE, Up, ask, flip, runs, wait_for},
};
use crate::support::Stage;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A stream of events through Envoy, of which the first has come.
pub(super) struct Events(BufReader<TcpStream>);

impl Events {
    pub(super) fn open(address: SocketAddr, count: u32, every: u32) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let path = format!("/sse?count={count}&every={every}");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while !line.starts_with("data: ") {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0, "no event");
        }
        Self(reader)
    }

    /// Reads to the end: how many more events came, and whether the end was the stream's own.
    fn rest(mut self) -> (usize, bool) {
        let mut text = String::new();
        let _ = self.0.read_to_string(&mut text);
        // The last chunk of a body has length 0 (RFC 9112, section 7.1).
        (text.matches("data: ").count(), text.ends_with("0\r\n\r\n"))
    }
}

#[test]
fn clients_that_keep_their_connection_lose_nothing_and_are_told_to_go() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &[]);
    // Many, and without a pause: one that is told to go while a listener is open is back at once.
    let load = Load::start(up.listen, 64, Duration::ZERO);
    load.wait_for(1000);
    up.signal(Signal::TERM);
    for seen in load.until_refused() {
        assert_eq!(seen.failures, [] as [&str; 0]);
        assert!(seen.refused);
        assert_eq!(seen.goodbyes, 1);
    }
    let ended = up.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.result()["cut"], 0);
}

#[test]
fn a_stream_in_flight_is_served_to_its_end() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &[]);
    let events = Events::open(up.listen, 15, 300);
    up.signal(Signal::TERM);
    assert_eq!(events.rest(), (14, true));
    let ended = up.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.result()["cut"], 0);
    let draining = ended
        .events
        .iter()
        .find(|event| event["event"] == "draining");
    assert_eq!(draining.unwrap()["requests"], 1);
}

#[test]
fn a_stream_that_outlasts_the_drain_time_is_cut_and_counted() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &["--drain-time", "300ms"]);
    let events = [(); 2].map(|()| Events::open(up.listen, 10_000, 50));
    let ended = up.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.result()["cut"], 2);
    for events in events {
        assert!(!events.rest().1);
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let mut up = Up::start(&stage, &applications, &["--drain-time", "1h"]);
    let _events = Events::open(up.listen, 10_000, 50);
    let envoy = Up::envoy(&stage);
    up.signal(Signal::TERM);
    up.event("draining");
    assert_eq!(ask(up.listen), "connection refused");
    up.signal(Signal::INT);
    let ended = up.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.result()["cut"], 1);
    assert!(!runs(envoy));
}

#[test]
fn of_an_envoy_that_hangs_nobody_says_that_no_request_was_cut() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &["--drain-time", "100ms"]);
    let envoy = Up::envoy(&stage);
    kill_process(envoy, Signal::STOP).unwrap();
    let ended = up.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.result()["cut"], Value::Null);
    assert!(!runs(envoy));
}

#[test]
fn silent_connections_are_closed_and_hold_nothing_up() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &["--drain-time", "1h"]);
    let mut silent = TcpStream::connect(up.listen).unwrap();
    silent.set_read_timeout(Some(DEADLINE)).unwrap();
    silent.write_all(REQUEST).unwrap();
    let mut first = [0; 15];
    silent.read_exact(&mut first).unwrap();
    let ended = up.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(
        (
            &ended.result()["cut"],
            &ended.result()["connections_closed"]
        ),
        (&0.into(), &1.into())
    );
    // Closed in order: the rest of the answer, and no reset.
    let mut rest = String::new();
    silent.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("blue"), "{rest}");
}

#[test]
fn a_signal_before_it_is_ready_leaves_nothing_behind() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let mut up = Up::launch(&stage, &applications, &[]);
    let pid = up.event("started")["pid"].as_i64().unwrap();
    let envoy = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    let ended = up.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(!runs(envoy));
}

#[test]
fn a_request_that_came_before_it_said_ready_is_served_too() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let more = ["--listen", &address.to_string()];
    let mut up = Up::launch(&stage, &applications, &more);
    up.event("started");
    wait_for("a connection", || TcpStream::connect(address).is_ok());
    let events = Events::open(address, 15, 300);
    up.signal(Signal::TERM);
    assert_eq!(events.rest(), (14, true));
    assert_eq!(up.end().status.code(), Some(0));
}

#[test]
fn a_flip_during_the_drain_is_heeded() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let mut up = Up::start(&stage, &applications, &["--drain-time", "1h"]);
    let _events = Events::open(up.listen, 10_000, 50);
    let mut kept = TcpStream::connect(up.listen).unwrap();
    kept.write_all(REQUEST).unwrap();
    let mut first = [0; 15];
    kept.read_exact(&mut first).unwrap();
    up.signal(Signal::TERM);
    up.event("draining");
    flip(&stage, "green");
    kept.write_all(REQUEST).unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("green"), "{answer}");
    up.signal(Signal::TERM);
    assert_eq!(up.end().status.code(), Some(0));
}

#[test]
fn the_access_log_is_opened_anew_for_who_rotates_it() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let mut up = Up::start(&stage, &applications, &["--access-log", "access.log"]);
    let lines = |name: &str| fs::read_to_string(stage.path(name)).unwrap_or_default();
    ask(up.listen);
    wait_for("the first line", || {
        lines("access.log").contains("decision=blue")
    });
    fs::rename(stage.path("access.log"), stage.path("access.log.1")).unwrap();
    up.signal(Signal::USR1);
    up.event("logs");
    // Envoy opens them on a thread of its own, some time after it said so.
    wait_for("the new log", || {
        ask(up.listen);
        thread::yield_now();
        !lines("access.log").is_empty()
    });
}
