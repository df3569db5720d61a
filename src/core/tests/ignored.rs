//! Pushes that change nothing are counted once a proxy, whichever VMs see them, in whatever order.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helper"
)]

use cutover_core::{Generation, Pushes, Ruled};
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A proxy with its workers' VMs, and what it has counted.
#[derive(Default)]
struct Proxy {
    vms: [Pushes; 3],
    counted: Option<Vec<u8>>,
    ruled: Option<Vec<u8>>,
    count: u32,
}

impl Proxy {
    /// A push of `generation` comes to a VM while `ruling` is the register.
    fn see(&mut self, vm: usize, generation: u64, ruling: u64) {
        let mut vm_seen = std::mem::take(&mut self.vms[vm]);
        self.note(&mut vm_seen, generation, ruling);
        self.vms[vm] = vm_seen;
    }

    fn note(&mut self, vm: &mut Pushes, generation: u64, ruling: u64) {
        let pushed = Generation::new(generation).unwrap();
        if generation == ruling {
            self.ruled = Some(Ruled::append(self.ruled.as_deref(), pushed));
            vm.ruled(pushed);
            return;
        }
        let what = format!("stale {generation} {ruling}");
        if let Some(counted) = vm.ignored(
            self.counted.as_deref(),
            self.ruled.as_deref(),
            pushed,
            &what,
        ) {
            self.counted = Some(counted);
            self.count += 1;
        }
    }

    /// A push comes to a throw-away VM first, when the proxy has not seen it before, then to all.
    fn push(&mut self, generation: u64, ruling: u64, new: bool) {
        if new {
            self.note(&mut Pushes::default(), generation, ruling);
        }
        for vm in 0..self.vms.len() {
            self.see(vm, generation, ruling);
        }
    }
}

#[test]
fn a_stale_push_is_counted_once_however_many_vms_see_it() {
    let mut proxy = Proxy::default();
    proxy.push(5, 5, true);
    proxy.push(4, 5, true);
    assert_eq!(proxy.count, 1);
}

#[test]
fn a_replay_is_counted_each_time_though_no_throw_away_vm_sees_it() {
    let mut proxy = Proxy::default();
    proxy.push(4, 4, true);
    proxy.push(5, 5, true);
    for replay in 1..=3 {
        proxy.push(4, 5, false);
        assert_eq!(proxy.count, replay);
        proxy.push(5, 5, false);
    }
}

#[test]
fn stale_pushes_in_turn_are_counted_each() {
    let mut proxy = Proxy::default();
    proxy.push(5, 5, true);
    for (number, generation) in [3, 4, 3, 4].into_iter().enumerate() {
        proxy.push(generation, 5, number < 2);
    }
    assert_eq!(proxy.count, 4);
}

#[test]
fn a_worker_that_comes_late_to_what_ruled_once_counts_nothing() {
    let mut proxy = Proxy::default();
    proxy.push(1, 1, true);
    // Generations 2 and 3 reach VM 0 in time, VM 1 when 3 rules already.
    proxy.see(0, 2, 2);
    proxy.see(0, 3, 3);
    proxy.see(1, 2, 3);
    proxy.see(1, 3, 3);
    assert_eq!(proxy.count, 0);
    proxy.see(0, 2, 3);
    proxy.see(1, 2, 3);
    assert_eq!(proxy.count, 1);
}

#[test]
fn a_worker_that_starts_with_a_stale_configuration_does_not_count_it_again() {
    let mut proxy = Proxy::default();
    proxy.push(5, 5, true);
    proxy.push(4, 5, true);
    proxy.vms[1] = Pushes::default();
    proxy.see(1, 4, 5);
    assert_eq!(proxy.count, 1);
    proxy.push(3, 5, true);
    assert_eq!(proxy.count, 2);
}

#[test]
fn what_was_counted_and_cannot_be_read_counts_from_the_start() {
    for bytes in [&b""[..], b"x y", b"\xff", b"-1 stale", b"7"] {
        let mut proxy = Proxy {
            counted: Some(bytes.to_vec()),
            ..Proxy::default()
        };
        proxy.push(5, 5, true);
        proxy.push(4, 5, true);
        assert_eq!(proxy.count, 1, "{bytes:?}");
    }
}

#[test]
fn a_worker_whose_first_push_comes_late_counts_nothing_of_its_own() {
    let mut proxy = Proxy::default();
    // VM 0 has seen 10, then 20, then a replay of 10, before VM 1 sees anything.
    proxy.see(0, 10, 10);
    proxy.see(0, 20, 20);
    proxy.see(1, 10, 20);
    assert_eq!(proxy.count, 0);
    proxy.see(0, 10, 20);
    assert_eq!(proxy.count, 1);
    proxy.see(2, 10, 20);
    for vm in [1, 2] {
        proxy.see(vm, 20, 20);
        proxy.see(vm, 10, 20);
    }
    assert_eq!(proxy.count, 1);
}

#[test]
fn only_the_last_generations_that_ruled_are_kept() {
    let ruled = (1..=100).fold(None, |ruled: Option<Vec<u8>>, number| {
        let generation = Generation::new(number).unwrap();
        Some(Ruled::append(ruled.as_deref(), generation))
    });
    assert_eq!(ruled.map(|ruled| ruled.len()), Some(8 * 64));
}
