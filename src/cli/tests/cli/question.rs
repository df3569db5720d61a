//! What a person in a terminal is asked, and what becomes of each answer.

use crate::support::{Server, Stage};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
};

fn blue() -> Value {
    json!({"active": "blue", "generation": 1, "blue": "a", "green": "b"})
}

/// Flips in a terminal, runs `meanwhile` when the question is there, and types an answer. Gives the
/// exit code and all that stood in the terminal.
fn asked(
    stage: &Stage,
    envoy: &Server,
    answer: &[u8],
    meanwhile: impl Fn(),
) -> (Option<i32>, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, vec![]).unwrap();
    let open = || {
        let mut end = OpenOptions::new();
        end.read(true).write(true);
        end.custom_flags(OFlags::NOCTTY.bits().cast_signed());
        end.open(name.to_str().unwrap()).unwrap()
    };
    let mut flip = stage.to_flip(&["flip", "green"], &[envoy]);
    let mut child = flip
        .stdin(open())
        .stdout(open())
        .stderr(open())
        .spawn()
        .unwrap();
    // The child alone has the other end now: once it is gone, reading fails.
    drop(flip);
    let mut master = File::from(master);
    let (mut screen, mut chunk, mut has_answered) = (String::new(), [0; 4096], false);
    while let Ok(count) = master.read(&mut chunk) {
        screen += &String::from_utf8_lossy(chunk.get(..count).unwrap());
        if !has_answered && screen.contains("[y/N]") {
            has_answered = true;
            meanwhile();
            master.write_all(answer).unwrap();
        }
    }
    (child.wait().unwrap().code(), screen)
}

fn stage() -> (Stage, Server) {
    let stage = Stage::with(&blue());
    let envoy = Server::following(&stage.path("cutover.json"));
    (stage, envoy)
}

#[test]
fn a_flip_shows_what_it_would_do_and_a_yes_does_it() {
    for answer in ["y\n", "YES\n"] {
        let (stage, envoy) = stage();
        let (code, screen) = asked(&stage, &envoy, answer.as_bytes(), || {});
        assert_eq!(code, Some(0), "{screen}");
        assert!(screen.contains("+ active:"), "{screen}");
        assert!(screen.contains("flip all traffic to"), "{screen}");
        assert_eq!(stage.configuration()["active"], "green");
    }
}

#[test]
fn anything_but_a_yes_writes_nothing() {
    for answer in ["n\n", "\n", "yeah\n", "\u{4}"] {
        let (stage, envoy) = stage();
        let (code, screen) = asked(&stage, &envoy, answer.as_bytes(), || {});
        assert_eq!(code, Some(1), "{screen}");
        assert!(
            screen.contains("not agreed: nothing was written"),
            "{screen}"
        );
        assert_eq!(stage.configuration(), blue());
        assert!(!stage.path("cutover.json.journal").exists());
    }
}

#[test]
fn a_yes_to_what_is_no_longer_so_writes_nothing() {
    let (stage, envoy) = stage();
    let (code, screen) = asked(&stage, &envoy, b"y\n", || {
        let ran = stage.flip(&["rollback"], &[&envoy]);
        assert_eq!(ran.code, Some(0), "{ran}");
        let ran = stage.flip(&["rollback"], &[&envoy]);
        assert_eq!(ran.code, Some(0), "{ran}");
    });
    assert_eq!(code, Some(1), "{screen}");
    assert!(
        screen.contains("another writer came in between"),
        "{screen}"
    );
    assert_eq!(stage.configuration()["active"], "blue");
}

#[test]
fn where_nothing_would_be_written_nothing_is_asked() {
    let stage =
        Stage::with(&json!({"active": "green", "generation": 1, "blue": "a", "green": "b"}));
    let envoy = Server::following(&stage.path("cutover.json"));
    let (code, screen) = asked(&stage, &envoy, b"n\n", || {});
    assert_eq!(code, Some(0), "{screen}");
    assert!(!screen.contains("[y/N]"), "{screen}");
}
