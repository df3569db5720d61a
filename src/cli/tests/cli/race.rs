//! Writers that come at once, are killed, or are looked at while they write.

use crate::support::{Server, Stage, ecds, until};
use cutover_control::Document;
use serde_json::json;
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

fn stage() -> Stage {
    Stage::with(&json!({"active": "blue", "generation": 1, "blue": "a", "green": "b"}))
}

#[test]
fn of_writers_that_expect_the_same_generation_exactly_one_wins() {
    let stage = stage();
    let arguments = [
        "flip",
        "--yes",
        "green",
        "--no-wait",
        "--expect-generation",
        "1",
        "-t",
        "cutover.json",
    ];
    let racing: Vec<_> = (0..12)
        .map(|_| stage.command(&arguments).spawn().unwrap())
        .collect();
    let outputs: Vec<_> = racing
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .collect();
    let won: Vec<_> = outputs
        .iter()
        .filter(|output| output.status.code() == Some(0))
        .collect();
    assert_eq!(won.len(), 1);
    assert!(
        outputs
            .iter()
            .all(|output| matches!(output.status.code(), Some(0 | 1)))
    );
    let generation = stage.configuration()["generation"].to_string();
    assert!(String::from_utf8_lossy(&won[0].stdout).contains(&generation));
}

#[test]
fn a_writer_that_is_killed_leaves_the_old_file_or_the_new_one() {
    const ROUNDS: u32 = 40;
    let stage = stage();
    let mut changes = 0;
    for round in 0..=ROUNDS {
        let before = fs::read(stage.path("cutover.json")).unwrap();
        let color = if stage.configuration()["active"] == "blue" {
            "green"
        } else {
            "blue"
        };
        let arguments = ["flip", "--yes", color, "--no-wait", "-t", "cutover.json"];
        let mut child = stage.command(&arguments).spawn().unwrap();
        // Killed sooner or later on its way; the last one is left in peace.
        let until = Instant::now() + Duration::from_micros(250) * round;
        while round < ROUNDS && Instant::now() < until && child.try_wait().unwrap().is_none() {
            thread::yield_now();
        }
        if round < ROUNDS {
            child.kill().unwrap();
        }
        child.wait().unwrap();
        let after = fs::read(stage.path("cutover.json")).unwrap();
        if after != before {
            assert_eq!(stage.configuration()["active"], color);
            Document::parse(&after).unwrap().plan().unwrap();
            changes += 1;
        }
    }
    // What the dead left stands in nobody's way.
    assert!(changes > 0);
}

#[test]
fn a_reader_never_sees_a_torn_file() {
    let stage = stage();
    let path = stage.path("cutover.json");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !over.load(Ordering::Relaxed) {
                Document::parse(&fs::read(&path).unwrap()).unwrap();
                reads += 1;
            }
            reads
        });
        for _ in 0..20 {
            let ran = stage.run(&["rollback", "--no-wait", "-t", "cutover.json"]);
            assert_eq!(ran.code, Some(0), "{ran}");
        }
        over.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 20);
    });
}

#[test]
fn of_flips_at_once_one_writes_and_each_other_says_so_or_finds_it_done() {
    let stage = stage();
    let flip = ["flip", "--yes", "green", "--no-wait", "-t", "cutover.json"];
    let racing: Vec<_> = (0..8)
        .map(|_| stage.command(&flip).spawn().unwrap())
        .collect();
    for child in racing {
        let ran = stage.ran(child.wait_with_output().unwrap());
        assert!(matches!(ran.code, Some(0 | 1)), "{ran}");
    }
    let history = stage.run(&["history", "-t", "cutover.json", "-o", "json"]);
    let switches = history.json()["switches"].clone();
    assert_eq!(switches.as_array().unwrap().len(), 1, "{history}");
    assert_eq!(switches[0]["outcome"], "written");
    let generation = &stage.configuration()["generation"];
    assert_eq!(switches[0]["to"]["generation"], *generation);
}

#[test]
fn a_way_back_that_finds_another_one_made_does_not_go_forth_again() {
    let switch = |active: &str, generation: u64, before: &str| {
        let previous = json!({"active": before, "generation": generation - 1});
        json!({"active": active, "generation": generation, "previous": previous, "blue": "a", "green": "b"})
    };
    let stage = Stage::with(&switch("green", 2, "blue"));
    let asked = Arc::default();
    let silent = Server::silent(&asked);
    let back = ["rollback", "--deadline", "2s"];
    let child = stage.to_flip(&back, &[&silent]).spawn().unwrap();
    // It has read the file, and waits for an answer.
    until("the question", || asked.load(Ordering::Relaxed));
    stage.write("cutover.json", &ecds(&switch("blue", 3, "green")));
    let ran = stage.ran(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(1), "{ran}");
    let after = stage.configuration();
    assert_eq!(after["active"], "blue", "{ran}");
}
