//! The register: the newest generation wins, in whatever order the pushes arrive.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helper")]

use cutover_core::{
    Activation, Clock, Color, Generation, Merge, Ordered, Previous, Register, merge,
};
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A clock that no switch without an instant may read.
struct Unread;

impl Clock for Unread {
    fn wall(&self) -> Option<i64> {
        panic!("the wall clock was read")
    }

    fn monotonic(&self) -> Option<i64> {
        panic!("the monotonic clock was read")
    }
}

fn generation(number: u64) -> Generation {
    Generation::new(number).unwrap()
}

fn switch(number: u64, active: Color) -> Ordered {
    Ordered {
        generation: generation(number),
        active,
        previous: None,
        activation: None,
    }
}

/// Merges pushes in order; says what came of each.
fn push(pushes: &[(u64, Color)]) -> (Vec<&'static str>, Option<Register>) {
    let mut stored: Option<Register> = None;
    let mut said = Vec::new();
    for &(number, active) in pushes {
        let switch = switch(number, active);
        said.push(match merge(stored.as_ref(), &switch, &Unread) {
            Merge::Write { register, late } => {
                assert!(!late && register.staged.is_none());
                stored = Register::decode(&register.encode());
                "commit"
            }
            Merge::Same(_) => "same",
            Merge::Stale(_) => "stale",
            Merge::Conflict(_) => "conflict",
        });
    }
    (said, stored)
}

#[test]
fn every_order_of_pushes_ends_at_the_newest() {
    use Color::{Blue, Green};
    let pushes = [(1, Blue), (2, Green), (3, Blue)];
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        let (_, register) = push(&order.map(|at| pushes[at]));
        assert_eq!(register.unwrap().committed, switch(3, Blue), "{order:?}");
    }
}

#[test]
fn an_older_generation_is_stale_and_the_same_again_is_nothing() {
    use Color::{Blue, Green};
    let (said, register) = push(&[(5, Green), (5, Green), (4, Blue), (5, Green), (6, Blue)]);
    assert_eq!(said, ["commit", "same", "stale", "same", "commit"]);
    assert_eq!(register.unwrap().committed.generation.get(), 6);
}

#[test]
fn the_same_generation_with_another_color_is_a_conflict_and_loses() {
    let (said, register) = push(&[(5, Color::Green), (5, Color::Blue)]);
    assert_eq!(said, ["commit", "conflict"]);
    assert_eq!(register.unwrap().committed.active, Color::Green);
}

#[test]
fn the_same_generation_with_another_past_or_instant_is_a_conflict() {
    let plain = switch(5, Color::Green);
    let before = Previous {
        generation: generation(4),
        active: Color::Blue,
    };
    let with_past = Ordered {
        previous: Some(before),
        ..plain
    };
    let timed = |at, hold| Ordered {
        activation: Activation::new(at, hold),
        ..with_past
    };
    let all = [plain, with_past, timed(1, 0), timed(2, 0), timed(1, 1)];
    for one in all {
        let register = Register {
            committed: one,
            staged: None,
        };
        let register = Register::decode(&register.encode()).unwrap();
        for other in all {
            let merged = merge(Some(&register), &other, &Unread);
            let expect = if one == other {
                Merge::Same(register)
            } else {
                Merge::Conflict(register)
            };
            assert_eq!(merged, expect, "{other:?} after {one:?}");
        }
    }
}

#[test]
fn a_register_in_an_unknown_format_counts_as_empty() {
    for bytes in [
        &b""[..],
        b"\x03\x01\xff\0\0\0\0\0\0\0",
        b"\x01\x01",
        b"\x01\x01\0\0\0\0\0\0\0\0",
        b"\x02\x01\xff\0\0\0\0\0\0\0",
    ] {
        assert_eq!(Register::decode(bytes), None, "{bytes:?}");
    }
}

#[test]
fn a_switch_without_an_instant_is_stored_as_it_always_was() {
    let register = Register {
        committed: Ordered {
            previous: Some(Previous {
                generation: generation(6),
                active: Color::Blue,
            }),
            ..switch(7, Color::Green)
        },
        staged: None,
    };
    let bytes = b"\x01\x02\x07\0\0\0\0\0\0\0\x01\x06\0\0\0\0\0\0\0";
    assert_eq!(register.encode(), bytes);
    assert_eq!(Register::decode(bytes), Some(register));
}

#[test]
fn the_largest_generation_is_kept() {
    let (said, register) = push(&[(Generation::MAX, Color::Green), (1, Color::Blue)]);
    assert_eq!(said, ["commit", "stale"]);
    assert_eq!(register.unwrap().committed.generation.get(), (1 << 53) - 1);
}

#[test]
fn the_next_generation_is_the_clock_unless_the_clock_is_behind() {
    let after =
        |last: Option<u64>, ms| Generation::after(last.map(generation), ms).map(Generation::get);
    assert_eq!(after(None, 1000), Ok(1000));
    assert_eq!(after(Some(5), 1000), Ok(1000));
    assert_eq!(after(Some(2000), 1000), Ok(2001));
    assert_eq!(after(None, 0), Ok(1));
    assert!(after(Some(Generation::MAX), 1000).is_err());
}
