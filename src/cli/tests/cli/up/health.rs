//! What an application that is down means for its clients.

use super::stage::{Applications, Up, ask, flip, in_another_shell, wait_for};
use crate::support::Stage;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};

/// Answers that it is not well where it is asked for its health, and `blue` elsewhere.
fn hypochondriac() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the tests' process.
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            let _: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let (status, body) = if first.starts_with("GET /healthz") {
                ("500 Internal Server Error", "unwell")
            } else {
                ("200 OK", "blue")
            };
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
        }
    });
    address
}

#[test]
fn the_other_color_never_answers_for_one_that_is_down() {
    let (stage, mut applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &["--health", "/healthz"]);
    flip(&stage, "green");
    assert_eq!(ask(up.listen), "green");
    applications.kill_green();
    wait_for("an answer without green", || ask(up.listen) != "green");
    // Envoy takes three looks to find out; what it answers meanwhile and later is never blue.
    for _ in 0..50 {
        let answer = ask(up.listen);
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    }
    let back = in_another_shell(&stage, &["rollback"]);
    assert_eq!(back.code, Some(0), "{back}");
    assert_eq!(ask(up.listen), "blue");
}

#[test]
fn an_application_on_ipv4_is_found_by_the_name_localhost() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let mut command = stage.command(&["up", "-o", "jsonl", "--state", "state"]);
    let named = applications.arguments();
    let named = named.map(|one| one.replace("127.0.0.1", "localhost"));
    command.args(["--listen", "127.0.0.1:0"]).args(named);
    let up = Up::of(command);
    assert_eq!(up.ready["blue"]["healthy"], true);
    assert_eq!(ask(up.listen), "blue");
}

#[test]
fn an_application_that_is_down_at_the_start_is_told_and_waited_for_by_nobody() {
    let (stage, mut applications) = (Stage::new(), Applications::start());
    applications.kill_blue();
    for more in [&["--health", "/healthz"], &[] as &[&str]] {
        let up = Up::start(&stage, &applications, more);
        assert_eq!(up.ready["blue"]["healthy"], false);
        assert_eq!(up.ready["green"]["healthy"], true);
        let answer = ask(up.listen);
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert_eq!(up.stop().status.code(), Some(0));
    }
}

#[test]
fn a_flip_to_a_color_that_is_down_is_refused() {
    let (stage, mut applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &["--health", "/healthz"]);
    applications.kill_green();
    let mut refused = None;
    // Until Envoy has found out a flip is made, and answered by a green that is down.
    wait_for("a refusal", || {
        let ran = in_another_shell(&stage, &["flip", "green", "--yes"]);
        if ran.code == Some(0) {
            let back = in_another_shell(&stage, &["rollback"]);
            assert_eq!(back.code, Some(0), "{back}");
        } else {
            refused = Some(ran);
        }
        refused.is_some()
    });
    let refused = refused.unwrap();
    assert!(
        refused.stderr.contains("0 of 1 endpoint healthy"),
        "{refused}"
    );
    assert_eq!(ask(up.listen), "blue");
}

#[test]
fn who_gets_through_while_it_starts_is_answered() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let more = ["--health", "/healthz", "--listen", &address.to_string()];
    let mut up = Up::launch(&stage, &applications, &more);
    wait_for("an answer", || match ask(address).as_str() {
        "blue" => true,
        other => {
            assert_eq!(other, "connection refused");
            false
        }
    });
    up.wait_until_ready();
    assert_eq!(up.ready["blue"]["healthy"], true);
}

#[test]
fn a_check_that_is_wrong_is_no_outage() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let blue = hypochondriac().to_string();
    let [_, _, _, green] = applications.arguments();
    let mut command = stage.command(&["up", "-o", "jsonl", "--state", "state", "--listen"]);
    command.args([
        "127.0.0.1:0",
        "--health",
        "/healthz",
        "--blue",
        &blue,
        "--green",
        &green,
    ]);
    let up = Up::of(command);
    assert_eq!(up.ready["blue"]["healthy"], false);
    assert_eq!(ask(up.listen), "blue");
}
