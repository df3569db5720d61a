//! What a staged switch costs a worker, and that nothing of it stays.

use std::time::{Duration, Instant};

use crate::client::served_by;
use crate::stage::{DEADLINE, Stage, switch};
use crate::staged::{now, staged};

/// How often Envoy's threads woke up within a second, the median of three.
async fn wakes_a_second(stage: &Stage) -> u64 {
    let mut wakes = Vec::new();
    for _ in 0..3 {
        let before = switches(stage);
        tokio::time::sleep(Duration::from_secs(1)).await;
        wakes.push(switches(stage) - before);
    }
    wakes.sort_unstable();
    wakes[1]
}

/// Voluntary context switches of Envoy's workers so far.
fn switches(stage: &Stage) -> u64 {
    let tasks = format!("/proc/{}/task", stage.envoy.id());
    let tasks = std::fs::read_dir(tasks)
        .unwrap()
        .map(|task| task.unwrap().path());
    let of = |task: std::path::PathBuf| {
        let name = std::fs::read_to_string(task.join("comm")).unwrap();
        let status = std::fs::read_to_string(task.join("status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        let number = line.unwrap().trim().parse::<u64>().unwrap();
        name.starts_with("wrk:").then_some(number)
    };
    tasks.filter_map(of).sum()
}

#[tokio::test]
async fn timers_run_only_while_something_is_staged() {
    let stage = Stage::with(switch("blue", 1)).await;
    let idle = wakes_a_second(&stage).await;
    stage
        .stage(staged("green", 2, 1, now() + 600_000, 20))
        .await;
    // Two workers, fifty times a second each.
    let began = Instant::now();
    loop {
        let waiting = wakes_a_second(&stage).await;
        if waiting > idle + 60 {
            break;
        }
        // A machine that has more to do may let them sleep for longer.
        assert!(began.elapsed() < DEADLINE, "{waiting} after {idle}");
    }
    stage.push(switch("blue", 3)).await;
    stage.rules(3).await;
    let canceled = wakes_a_second(&stage).await;
    assert!(canceled < idle + 20, "{canceled} after {idle}");
}

#[tokio::test]
async fn a_hundred_flips_leave_no_timer_and_no_memory_behind() {
    let stage = Stage::with(switch("blue", 1)).await;
    let idle = wakes_a_second(&stage).await;
    let mut memory = 0;
    let mut generation = 1;
    for flip in 0..100 {
        let active = if flip % 4 < 2 { "green" } else { "blue" };
        // Every second one is canceled before its instant; the others come to rule.
        let (at, hold) = if flip % 2 == 0 {
            (60_000, 1000)
        } else {
            (150, 5)
        };
        let next = staged(active, generation + 1, generation, now() + at, hold);
        stage.push(next).await;
        served_by(&stage).await;
        generation += 1;
        if flip % 2 == 0 {
            let other = if active == "green" { "blue" } else { "green" };
            generation += 1;
            stage.push(switch(other, generation)).await;
        }
        stage.rules(generation).await;
        if flip == 20 {
            memory = stage.envoy.resident_memory().unwrap();
        }
    }
    let grown = stage
        .envoy
        .resident_memory()
        .unwrap()
        .saturating_sub(memory);
    // Each configuration is a root context in four VMs, and its metrics are there already.
    assert!(grown < 16 << 20, "{grown} bytes");
    let after = wakes_a_second(&stage).await;
    assert!(after < idle + 20, "{after} after {idle}");
}
