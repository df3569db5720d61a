//! The register: the newest generation wins, in whatever order the pushes arrive.

#![expect(clippy::unwrap_used, reason = "a test's helper")]

use cutover_core::{Color, Generation, Merge, Previous, Register, Switch, merge};
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn generation(number: u64) -> Generation {
    Generation::new(number).unwrap()
}

fn switch(number: u64, active: Color) -> (Generation, Switch) {
    let generation = generation(number);
    (
        generation,
        Switch {
            generation: Some(generation),
            active,
            previous: None,
        },
    )
}

/// Merges pushes in order; says what came of each.
fn push(pushes: &[(u64, Color)]) -> (Vec<&'static str>, Option<Register>) {
    let mut stored: Option<Vec<u8>> = None;
    let mut said = Vec::new();
    for &(number, active) in pushes {
        let (generation, switch) = switch(number, active);
        said.push(match merge(stored.as_deref(), generation, &switch) {
            Merge::Commit(bytes) => {
                stored = Some(bytes);
                "commit"
            }
            Merge::Same => "same",
            Merge::Stale(_) => "stale",
            Merge::Conflict(_) => "conflict",
        });
    }
    (said, stored.and_then(|bytes| Register::decode(&bytes)))
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
        let register = register.unwrap();
        assert_eq!(
            (register.generation.get(), register.active),
            (3, Blue),
            "{order:?}"
        );
    }
}

#[test]
fn an_older_generation_is_stale_and_the_same_again_is_nothing() {
    use Color::{Blue, Green};
    let (said, register) = push(&[(5, Green), (5, Green), (4, Blue), (5, Green), (6, Blue)]);
    assert_eq!(said, ["commit", "same", "stale", "same", "commit"]);
    assert_eq!(register.unwrap().generation.get(), 6);
}

#[test]
fn the_same_generation_with_another_color_is_a_conflict_and_loses() {
    let (said, register) = push(&[(5, Color::Green), (5, Color::Blue)]);
    assert_eq!(said, ["commit", "conflict"]);
    assert_eq!(register.unwrap().active, Color::Green);
}

#[test]
fn the_same_generation_with_another_past_is_a_conflict() {
    let (five, plain) = switch(5, Color::Green);
    let previous = Some(Previous {
        generation: generation(4),
        active: Color::Blue,
    });
    let Merge::Commit(stored) = merge(None, five, &plain) else {
        panic!("an empty register takes all")
    };
    let other = Switch { previous, ..plain };
    assert!(matches!(
        merge(Some(&stored), five, &other),
        Merge::Conflict(_)
    ));
}

#[test]
fn a_register_in_an_unknown_format_counts_as_empty() {
    let (one, switch) = switch(1, Color::Blue);
    for bytes in [
        &b""[..],
        b"\x02\x01\xff\0\0\0\0\0\0\0",
        b"\x01\x01",
        b"\x01\x01\0\0\0\0\0\0\0\0",
    ] {
        assert!(
            matches!(merge(Some(bytes), one, &switch), Merge::Commit(_)),
            "{bytes:?}"
        );
    }
}

#[test]
fn the_largest_generation_is_kept() {
    let (said, register) = push(&[(Generation::MAX, Color::Green), (1, Color::Blue)]);
    assert_eq!(said, ["commit", "stale"]);
    assert_eq!(register.unwrap().generation.get(), (1 << 53) - 1);
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
