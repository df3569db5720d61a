//! A switch that activates at an instant: what is staged, late or canceled, and what is decided when.

#![expect(clippy::unwrap_used, reason = "a test's helper")]

mod support;

use cutover_core::{Clock, Color, Merge, Ordered, Plan, Reading, Register, Ruling, merge};
use support::{Fake, NOW, decided, plan};
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MS: i64 = 1_000_000;
const T: u64 = NOW * 1000 + 10_000;

/// A plan with this switch; `more` are further members.
fn switched(active: &str, generation: u64, more: &str) -> Plan {
    plan(&format!(
        r#"{{"active": "{active}", "generation": {generation}, "blue": "b", "green": "g"{more}}}"#
    ))
}

/// Green, generation 2, at `T`, with a hold of 20 ms.
fn staged() -> Plan {
    let previous = r#""previous": {"generation": 1, "active": "blue"}"#;
    switched(
        "green",
        2,
        &format!(r#", "activate_at": {T}, "hold": 20, {previous}"#),
    )
}

fn pushed(plan: &Plan) -> Ordered {
    Ordered::of(plan.service("default").unwrap().switch()).unwrap()
}

/// A proxy that has had these pushes, each so many milliseconds after `T`.
fn proxy<const N: usize>(pushes: [(i64, &Plan); N]) -> Fake {
    let mut proxy = Fake::new([]);
    for (at, plan) in pushes {
        proxy.passed.set((10_000 + at) * MS);
        proxy.configure(plan);
    }
    proxy
}

/// What is decided so many nanoseconds after `T`, and how often a clock is read for it.
fn at(proxy: &Fake, plan: &Plan, nanos: i64) -> (String, u32) {
    proxy.passed.set(10_000 * MS + nanos);
    proxy.clock_reads.set(0);
    (decided(plan, proxy), proxy.clock_reads.get())
}

#[track_caller]
fn check(proxy: &Fake, expect: &[(i64, &str)]) {
    let plan = staged();
    for (nanos, decision) in expect {
        let (decided, _) = at(proxy, &plan, *nanos);
        assert!(decided.starts_with(decision), "{decided} at {nanos} ns");
    }
}

const BLUE: &str = "blue;g=1;by=active";
const GREEN: &str = "green;g=2;by=active";

#[test]
fn a_staged_switch_rules_from_the_end_of_its_window_and_nobody_is_told_within() {
    let proxy = proxy([(-9000, &switched("blue", 1, "")), (-5000, &staged())]);
    let expect = [
        (-4999 * MS, BLUE),
        (-20 * MS - 1, BLUE),
        (-20 * MS, "hold 40ms"),
        (0, "hold 20ms"),
        (20 * MS - 1, "hold 1ns"),
        (20 * MS, GREEN),
        (1 << 40, GREEN),
    ];
    check(&proxy, &expect);
}

#[test]
fn one_clock_is_read_once_while_something_is_staged_and_never_else() {
    let (before, plan) = (switched("blue", 1, ""), staged());
    let mut proxy = proxy([(-9000, &before)]);
    assert_eq!(at(&proxy, &plan, -8000 * MS).1, 0);
    proxy.configure(&plan);
    for nanos in [-7000 * MS, 0, 20 * MS] {
        assert_eq!(at(&proxy, &plan, nanos).1, 1);
    }
    proxy.configure(&switched("green", 3, ""));
    assert_eq!(at(&proxy, &plan, 30 * MS).1, 0);
}

#[test]
fn a_step_of_the_wall_clock_moves_nothing() {
    let proxy = proxy([(-9000, &switched("blue", 1, "")), (-5000, &staged())]);
    for off_by in [-3_600_000, -1000, 1000, 3_600_000] {
        proxy.wall_is_off_by.set(off_by * MS);
        let expect = [(-20 * MS - 1, BLUE), (0, "hold"), (20 * MS, GREEN)];
        check(&proxy, &expect);
    }
}

#[test]
fn a_proxy_goes_by_its_own_clock_as_it_was_when_the_switch_was_staged() {
    let mut proxy = proxy([(-9000, &switched("blue", 1, ""))]);
    proxy.wall_is_off_by.set(7 * MS);
    proxy.passed.set(5000 * MS);
    proxy.configure(&staged());
    let expect = [(-27 * MS - 1, BLUE), (-27 * MS, "hold"), (13 * MS, GREEN)];
    check(&proxy, &expect);
}

#[test]
fn a_proxy_that_starts_before_the_instant_serves_the_switch_before() {
    check(
        &proxy([(-100, &staged())]),
        &[(-99 * MS, BLUE), (20 * MS, GREEN)],
    );
    check(&proxy([(21, &staged())]), &[(21 * MS, GREEN)]);
}

#[test]
fn an_override_is_not_held_and_a_refused_one_is() {
    let previous = r#""previous": {"generation": 1, "active": "blue"}"#;
    let more = r#""override": {"header": "x-preview", "keys": ["k1"]}"#;
    let plan = switched(
        "green",
        2,
        &format!(r#", "activate_at": {T}, "hold": 20, {previous}, {more}"#),
    );
    let mut proxy = proxy([(-100, &plan)]);
    proxy.headers.insert("x-preview", b"green".to_vec());
    assert_eq!(at(&proxy, &plan, 0).0, "hold 20ms");
    let key = cutover_core::token::Key::new(support::KEY).unwrap();
    let token = cutover_core::token::sign("k1", &key, "default", Color::Green, "green", NOW + 60);
    proxy.headers.insert("x-preview", token.into_bytes());
    assert_eq!(at(&proxy, &plan, 0).0, "green;g=1;by=override;svc=default");
}

/// What comes of a push so many milliseconds after `T`, on top of others.
#[track_caller]
fn merged<const N: usize>(before: [(i64, &Plan); N], (at, plan): (i64, &Plan), expect: &str) {
    let proxy = proxy(before);
    proxy.passed.set((10_000 + at) * MS);
    let stored = proxy.shared.values().next();
    let known = stored.and_then(|bytes| Register::decode(bytes));
    let said = match merge(known.as_ref(), &pushed(plan), &proxy) {
        Merge::Write { register, late } => {
            let bytes = register.encode();
            assert_eq!(Register::decode(&bytes), Some(register), "{bytes:?}");
            let staged = register.staged.map(|s| s.switch.generation.get());
            let rules = register.committed.generation.get();
            format!("{rules} {staged:?}{}", if late { " late" } else { "" })
        }
        Merge::Same(_) => "same".to_owned(),
        Merge::Stale(_) => "stale".to_owned(),
        Merge::Conflict(_) => "conflict".to_owned(),
    };
    assert_eq!(said, expect);
}

#[test]
fn what_comes_of_a_push() {
    let (blue, green) = (switched("blue", 1, ""), staged());
    let cancel = switched("blue", 3, "");
    let again = |hold: u32, previous: u64| {
        let previous = format!(r#""previous": {{"generation": {previous}, "active": "blue"}}"#);
        switched(
            "green",
            4,
            &format!(r#", "activate_at": {T}, "hold": {hold}, {previous}"#),
        )
    };
    let begun = (-9000, &blue);
    merged([begun], (-5000, &green), "1 Some(2)");
    merged([begun], (-21, &green), "1 Some(2)");
    merged([begun], (-20, &green), "1 Some(2) late");
    merged([begun], (19, &green), "1 Some(2) late");
    merged([begun], (20, &green), "2 None late");
    // Who knew nothing was not late, it was not there.
    merged([], (-5000, &green), "1 Some(2)");
    merged([], (19, &green), "1 Some(2)");
    merged([], (20, &green), "2 None");
    // Again, older, or another of the same generation.
    let staged_in_time = [begun, (-5000, &green)];
    merged(staged_in_time, (-10, &green), "same");
    merged(staged_in_time, (5000, &green), "same");
    merged(staged_in_time, (-10, &blue), "stale");
    merged(staged_in_time, (-10, &switched("green", 2, "")), "conflict");
    // Canceled before the instant, in the window, and when it has come to rule.
    for at in [-4000, 0, 20, 5000] {
        merged(staged_in_time, (at, &cancel), "3 None");
        merged(
            [begun, (-5000, &green), (at, &cancel)],
            (at, &green),
            "stale",
        );
    }
    // Another one in its place: what has come to rule is committed first, what has not is dropped.
    merged(staged_in_time, (-4000, &again(30, 1)), "1 Some(4)");
    merged(staged_in_time, (20, &again(30, 1)), "2 Some(4) late");
    // A switch that this proxy has missed is made good, if it is newer than what it knows.
    merged([begun], (-4000, &again(0, 3)), "3 Some(4)");
    merged(
        [begun, (-4500, &cancel)],
        (-4000, &again(0, 1)),
        "3 Some(4)",
    );
}

#[test]
fn a_previous_that_is_not_older_counts_as_absent() {
    let previous = r#""previous": {"generation": 9, "active": "green"}"#;
    let plain = switched("blue", 2, &format!(", {previous}"));
    assert_eq!(pushed(&plain).previous, None);
    let timed = switched("green", 2, &format!(r#", "activate_at": {T}, {previous}"#));
    merged(
        [(-9000, &switched("blue", 1, ""))],
        (-5000, &timed),
        "1 Some(2)",
    );
    // Nobody can say what rules until then.
    merged([], (-5000, &timed), "2 None");
}

#[test]
fn any_order_and_repetition_of_pushes_ends_the_same() {
    let timed = |generation: u64, active: &str, previous: u64, color: &str| {
        let previous = format!(r#"{{"generation": {previous}, "active": "{color}"}}"#);
        let more = format!(r#", "activate_at": {T}, "hold": 20, "previous": {previous}"#);
        switched(active, generation, &more)
    };
    let pushes = [
        switched("blue", 1, ""),
        timed(2, "green", 1, "blue"),
        switched("blue", 3, ""),
        timed(4, "green", 3, "blue"),
        timed(5, "green", 3, "blue"),
    ];
    for newest in 1..=pushes.len() {
        let mut ends = Vec::new();
        // Every sequence of six pushes in which the newest one occurs.
        for sequence in 0..newest.pow(6) {
            let order = (0..6).map(|digit| sequence / newest.pow(digit) % newest);
            let order: Vec<_> = order.collect();
            if !order.contains(&(newest - 1)) {
                continue;
            }
            let clock = Fake::default();
            let register = order.iter().fold(None, |known: Option<Register>, at| {
                match merge(known.as_ref(), &pushed(&pushes[*at]), &clock) {
                    Merge::Write { register, .. } => Some(register),
                    _ => known,
                }
            });
            let register = register.unwrap();
            let rules = (register.committed.generation, register.committed.active);
            let end = (rules, register.staged);
            assert!(ends.is_empty() || ends == [end], "{order:?}: {end:?}");
            ends = vec![end];
        }
        assert_eq!(ends.len(), 1);
    }
}

/// Clocks that cannot be read, or that run backwards.
struct Odd {
    wall: Option<i64>,
    monotonic: std::cell::Cell<Option<i64>>,
}

impl Clock for Odd {
    fn wall(&self) -> Option<i64> {
        self.wall
    }

    fn monotonic(&self) -> Option<i64> {
        let now = self.monotonic.get();
        self.monotonic.set(now.map(|now| now.wrapping_sub(1 << 61)));
        now
    }
}

#[test]
fn clocks_that_fail_or_run_backwards_are_borne() {
    let (blue, green) = (pushed(&switched("blue", 1, "")), pushed(&staged()));
    let known = Register {
        committed: blue,
        staged: None,
    };
    let walls = [None, Some(0), Some(i64::MAX), Some(i64::MIN)];
    for (wall, monotonic) in walls.iter().flat_map(|w| walls.map(|m| (*w, m))) {
        let clock = Odd {
            wall,
            monotonic: monotonic.into(),
        };
        let merged = merge(Some(&known), &green, &clock);
        let Merge::Write { register, late } = merged else {
            panic!("{merged:?}")
        };
        // Who cannot wait does not: late, and it shows.
        let staged = wall.and(monotonic).is_some_and(|_| wall != Some(i64::MAX));
        assert_eq!((register.staged.is_some(), late), (staged, !staged));
        let _any = (register.ruling(&clock), register.commit(&clock));
    }
}

#[test]
fn clocks_that_were_read_far_apart_are_read_again() {
    struct Interrupted(std::cell::Cell<i64>);
    impl Clock for Interrupted {
        fn wall(&self) -> Option<i64> {
            // The first times the thread is stopped for milliseconds just afterwards.
            let now = self.monotonic();
            let stop = if self.0.get() < 12 * MS { 4 * MS } else { 100 };
            self.0.set(self.0.get() + stop);
            now.map(|now| now + 5000)
        }

        fn monotonic(&self) -> Option<i64> {
            self.0.set(self.0.get() + 50);
            Some(self.0.get())
        }
    }
    let reading = Reading::take(&Interrupted(0.into())).unwrap();
    assert!((reading.offset() - 5000).abs() < 200, "{reading:?}");
    assert!(reading.width < 1000, "{reading:?}");
}

#[test]
fn what_is_committed_rules_on_where_no_clock_can_be_read() {
    let known = Register {
        committed: pushed(&switched("blue", 1, "")),
        staged: None,
    };
    let proxy = proxy([]);
    proxy.passed.set(5_000 * MS);
    let Merge::Write { register, .. } = merge(Some(&known), &pushed(&staged()), &proxy) else {
        panic!("it is newer")
    };
    let broken = Odd {
        wall: None,
        monotonic: None.into(),
    };
    assert!(register.staged.is_some());
    let blue = Ruling::Switch(known.committed.generation, Color::Blue);
    assert_eq!(register.ruling(&broken), blue);
    assert_eq!(register.commit(&broken), None);
}

#[test]
fn a_previous_of_the_generation_that_rules_does_not_take_its_place() {
    // Written by hand, with another color: what rules here keeps ruling until the instant.
    let previous = r#""previous": {"generation": 1, "active": "green"}"#;
    let timed = switched("green", 2, &format!(r#", "activate_at": {T}, {previous}"#));
    let proxy = proxy([(-9000, &switched("blue", 1, "")), (-5000, &timed)]);
    let (decided, _) = at(&proxy, &timed, -4_000 * MS);
    assert!(decided.starts_with("blue;g=1"), "{decided}");
}
