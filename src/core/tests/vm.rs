//! The VMs of one proxy: what they do with pushes and ticks between them, and what the proxy shows.

#![expect(clippy::unwrap_used, reason = "a test's helper")]

use cutover_core::{Clock, Level, Plan, Proxy, Set, Vm};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MS: i64 = 1_000_000;
const START: i64 = 1_763_722_800_000;
const T: i64 = START + 10_000;

type Meanwhile = Box<dyn FnOnce(&Shared)>;

/// What all VMs of a proxy have in common.
#[derive(Default)]
struct Shared {
    values: RefCell<HashMap<String, (Vec<u8>, u32)>>,
    stats: RefCell<BTreeMap<String, u64>>,
    log: RefCell<Vec<String>>,
    /// Milliseconds since the start, and by how many the wall clock was set since then.
    passed: Cell<i64>,
    set_by: Cell<i64>,
    /// Runs when a gauge is about to be set, once.
    meanwhile: RefCell<Option<Meanwhile>>,
}

impl Clock for Shared {
    fn wall(&self) -> Option<i64> {
        Some((START + self.passed.get() + self.set_by.get()) * MS)
    }

    fn monotonic(&self) -> Option<i64> {
        Some(self.passed.get() * MS)
    }
}

impl Proxy for Shared {
    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.values.borrow().get(key).cloned()
    }

    fn set_shared(&self, key: &str, value: &[u8], number: u32) -> Set {
        let mut values = self.values.borrow_mut();
        let old = values.get(key).map_or(0, |(_, number)| *number);
        if number != 0 && old != 0 && number != old {
            return Set::Mismatch;
        }
        values.insert(key.to_owned(), (value.to_vec(), old + 1));
        Set::Done
    }

    fn gauge(&self, name: String, value: u64) {
        let meanwhile = self.meanwhile.borrow_mut().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile(self);
        }
        self.stats.borrow_mut().insert(name, value);
    }

    fn count(&self, name: String) {
        *self.stats.borrow_mut().entry(name).or_default() += 1;
    }

    fn say(&self, _level: Level, line: &str) {
        self.log.borrow_mut().push(line.to_owned());
    }
}

impl Shared {
    fn at(&self, after_t: i64) -> &Self {
        self.passed.set(T - START + after_t);
        self
    }

    /// Metrics in the order in which they are asked for; 0 for one that is not there.
    fn stats<const N: usize>(&self, names: [&str; N]) -> [u64; N] {
        names.map(|name| {
            let name = format!("cutover.plugin.test.service.default.{name}");
            self.stats.borrow().get(&name).copied().unwrap_or_default()
        })
    }
}

fn plan(active: &str, generation: u64, more: &str) -> Plan {
    let json = format!(
        r#"{{"active": "{active}", "generation": {generation}, "blue": "b", "green": "g"{more}}}"#
    );
    let plan = Plan::parse(json.as_bytes()).and_then(|plan| plan.bind("test", |_| None));
    plan.unwrap()
}

fn blue(generation: u64) -> Plan {
    plan("blue", generation, "")
}

fn staged() -> Plan {
    let previous = r#""previous": {"generation": 1, "active": "blue"}"#;
    plan(
        "green",
        2,
        &format!(r#", "activate_at": {T}, "hold": 20, {previous}"#),
    )
}

/// Pushes to a throw-away VM, and then to these.
fn push(proxy: &Shared, vms: &mut [Vm], plan: &Plan) {
    Vm::new("test").configure(proxy, &mut plan.clone());
    for vm in vms {
        vm.configure(proxy, &mut plan.clone());
    }
}

fn begun() -> (Shared, [Vm; 3]) {
    let (proxy, mut vms) = (Shared::default(), [(); 3].map(|()| Vm::new("test")));
    push(&proxy, &mut vms, &blue(1));
    push(&proxy, &mut vms, &staged());
    (proxy, vms)
}

const GAUGES: [&str; 6] = [
    "generation",
    "active",
    "staged",
    "activate_at",
    "hold",
    "clock",
];

#[test]
fn a_staged_switch_is_shown_ticked_and_committed_once() {
    let (proxy, mut vms) = begun();
    let t = u64::try_from(T).unwrap();
    for (at, next) in [(-5000, 20), (-21, 20), (0, 20), (15, 5), (19, 1)] {
        for vm in &mut vms {
            assert!(vm.has_staged());
            assert_eq!(vm.tick(proxy.at(at)), Some(Duration::from_millis(next)));
        }
        let clock = t.checked_add_signed(at).unwrap() * 1000;
        assert_eq!(proxy.stats(GAUGES), [1, 1, 2, t, 20, clock]);
    }
    for vm in &mut vms {
        while vm.tick(proxy.at(20)).is_some() {}
        assert!(!vm.has_staged());
    }
    assert_eq!(proxy.stats(GAUGES), [2, 2, 0, 0, 0, 0]);
    let committed = "cutover: service default: green, generation 2";
    let log = proxy.log.borrow();
    assert_eq!(
        log.iter().filter(|line| *line == committed).count(),
        1,
        "{log:?}"
    );
    assert_eq!(proxy.stats(["late", "clock_steps", "stale"]), [0; 3]);
}

#[test]
fn a_clock_that_is_shown_while_another_vm_commits_does_not_stay() {
    let (proxy, [mut one, mut two, _]) = begun();
    // One has read the register, and its clock, when the other commits.
    *proxy.meanwhile.borrow_mut() = Some(Box::new(
        move |proxy| {
            while two.tick(proxy.at(20)).is_some() {}
        },
    ));
    assert!(one.tick(proxy.at(19)).is_some());
    assert_ne!(proxy.stats(["clock"]), [0]);
    while one.tick(proxy.at(21)).is_some() {}
    assert_eq!(proxy.stats(GAUGES), [2, 2, 0, 0, 0, 0]);
}

#[test]
fn a_vm_that_is_overtaken_while_it_shows_shows_again() {
    let (proxy, mut vms) = (Shared::default(), [Vm::new("test")]);
    push(&proxy, &mut vms, &blue(1));
    // A worker that starts anew is about to show generation 1 when 3 comes.
    *proxy.meanwhile.borrow_mut() = Some(Box::new(|proxy| {
        Vm::new("test").configure(proxy, &mut plan("green", 3, ""));
    }));
    Vm::new("test").configure(&proxy, &mut blue(1));
    assert_eq!(proxy.stats(["generation", "active"]), [3, 2]);
}

#[test]
fn a_cancel_ends_ticks_and_gauges() {
    let (proxy, mut vms) = begun();
    push(proxy.at(0), &mut vms, &blue(3));
    for vm in &mut vms {
        assert_eq!(vm.tick(proxy.at(1)), None);
    }
    assert_eq!(proxy.stats(GAUGES), [3, 1, 0, 0, 0, 0]);
    assert_eq!(proxy.stats(["late", "stale", "conflict"]), [0; 3]);
}

#[test]
fn a_late_push_is_counted_once() {
    for (at, staged_then) in [(-20, 2), (20, 0)] {
        let (proxy, mut vms) = (Shared::default(), [(); 3].map(|()| Vm::new("test")));
        push(&proxy, &mut vms, &blue(1));
        push(proxy.at(at), &mut vms, &staged());
        assert_eq!(proxy.stats(["late", "staged"]), [1, staged_then]);
    }
}

#[test]
fn a_worker_that_comes_late_to_a_staged_push_counts_nothing() {
    let (proxy, mut vms) = (Shared::default(), [(); 2].map(|()| Vm::new("test")));
    push(&proxy, &mut vms, &blue(1));
    push(&proxy, &mut vms[..1], &staged());
    push(&proxy, &mut vms[..1], &blue(3));
    vms[1].configure(&proxy, &mut staged());
    vms[1].configure(&proxy, &mut blue(3));
    assert_eq!(proxy.stats(["stale", "generation"]), [0, 3]);
    // One that is stale indeed is counted.
    push(&proxy, &mut vms, &staged());
    assert_eq!(proxy.stats(["stale"]), [1]);
}

#[test]
fn steps_of_the_wall_clock_are_counted_once_and_steering_is_not() {
    let (proxy, mut vms) = begun();
    let mut tick = |at, set_by| {
        proxy.set_by.set(set_by);
        for vm in &mut vms {
            vm.tick(proxy.at(at));
        }
        proxy.stats(["clock_steps"])
    };
    assert_eq!(tick(-9000, 0), [0]);
    assert_eq!(tick(-8000, 50), [1]);
    assert_eq!(tick(-7000, 50), [1]);
    assert_eq!(tick(-6000, -3_600_000), [2]);
    for steered in 1..=10 {
        assert_eq!(tick(-6000 + steered, -3_600_000 + steered), [2]);
    }
    assert_eq!(tick(-5000, 0), [3]);
}

#[test]
fn a_request_that_sees_something_staged_makes_its_vm_tick() {
    let (proxy, mut vms) = (Shared::default(), [(); 2].map(|()| Vm::new("test")));
    push(&proxy, &mut vms, &blue(1));
    push(&proxy, &mut vms[..1], &staged());
    let late = &mut vms[1];
    assert!(!late.has_staged());
    late.notice(&staged().services()[0]);
    assert_eq!(late.tick(proxy.at(10)), Some(Duration::from_millis(10)));
    while late.tick(proxy.at(20)).is_some() {}
    assert_eq!(proxy.stats(GAUGES), [2, 2, 0, 0, 0, 0]);
}

#[test]
fn gauges_that_went_with_the_vms_of_before_come_back_with_an_ignored_push() {
    let (proxy, mut vms) = (Shared::default(), [Vm::new("test")]);
    push(&proxy, &mut vms, &plan("green", 5, ""));
    proxy.stats.borrow_mut().clear();
    push(&proxy, &mut [Vm::new("test")], &blue(4));
    assert_eq!(proxy.stats(["generation", "active", "stale"]), [5, 2, 1]);
}

#[test]
fn a_conflicting_push_brings_nothing_of_its_own() {
    let (proxy, mut vm) = (Shared::default(), Vm::new("test"));
    let good = blue(5);
    vm.configure(&proxy, &mut good.clone());
    let mut other = plan("green", 5, r#", "closed": ["blue"]"#);
    vm.configure(&proxy, &mut other);
    assert_eq!(other.service("default"), good.service("default"));
}
