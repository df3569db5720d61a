//! What happens in a run, in order of true time.

use std::fmt::Write as _;

use super::Schedule;
use crate::configuration::name;
use crate::plan::Fault;
use crate::run::Outturn;

/// Tells a run: the fleet, what happens, and the verdict.
pub(super) fn story(schedule: &Schedule, outturn: &Outturn) -> String {
    let mut story = String::new();
    let flip = &schedule.flip;
    let _infallible = writeln!(
        story,
        "T is {}, requests are held {} ms before and after it.",
        seconds(flip.due),
        flip.hold_ms
    );
    for (index, plan) in schedule.plans.iter().enumerate() {
        let _infallible = writeln!(
            story,
            "proxy-{index}: its clock is {} at T; {} requests, on {} workers.",
            ahead(plan.clock.error(flip.due)),
            plan.asks.len(),
            plan.workers
        );
    }
    story.push('\n');
    let mut lines: Vec<(u64, String, String)> = Vec::new();
    for (switch, at) in &outturn.deeds.pushes {
        let due = match switch.due {
            Some((_, hold)) => format!(", to activate at T with a hold of {hold} ms"),
            None => String::new(),
        };
        let what = format!(
            "pushes generation {}, {}{due}",
            switch.generation,
            name(switch.active)
        );
        lines.push((*at, "operator".to_owned(), what));
    }
    for (index, plan) in schedule.plans.iter().enumerate() {
        let who = format!("proxy-{index}");
        for step in &plan.clock.steps {
            let what = format!("its wall clock steps: {}", ahead(step.by));
            lines.push((step.at, who.clone(), what));
        }
        for fault in &plan.faults {
            let (at, what) = match *fault {
                Fault::Restart { at, down } => (
                    at,
                    format!("is killed, and away for {}", milliseconds(down)),
                ),
                Fault::Trap { at, worker } => (at, format!("worker {worker} traps")),
                Fault::Stall {
                    from,
                    until,
                    worker,
                } => {
                    let long = milliseconds(until.saturating_sub(from));
                    (from, format!("worker {worker} stands still for {long}"))
                }
            };
            lines.push((at, who.clone(), what));
        }
    }
    let told = outturn.tales.iter();
    lines.extend(told.map(|(proxy, at, what)| (*at, format!("proxy-{proxy}"), what.clone())));
    lines.push((flip.due, "-".to_owned(), "T".to_owned()));
    lines.sort_by_key(|(at, ..)| *at);
    for (at, who, what) in lines {
        let _infallible = writeln!(story, "{:>12}  {who:9} {what}", seconds(at));
    }
    let _infallible = write!(story, "\n{}", outturn.judgement.verdict);
    story
}

fn seconds(at: u64) -> String {
    let micros = at / 1_000;
    format!("{}.{:06} s", micros / 1_000_000, micros % 1_000_000)
}

fn milliseconds(time: u64) -> String {
    let micros = time / 1_000;
    format!("{}.{:03} ms", micros / 1_000, micros % 1_000)
}

fn ahead(by: i64) -> String {
    let time = milliseconds(by.unsigned_abs());
    if by < 0 {
        format!("{time} behind")
    } else {
        format!("{time} ahead")
    }
}
