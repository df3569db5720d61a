//! `cutover sim --search`: small fleets, and whatever goes wrong in them.

use super::{failed, threads};
use crate::{
    failure::{Exit, Failure},
    output::{Events, Report},
};
use cutover_sim::{Assumption, Findings, Module, Search, Variant};
use serde_json::json;
use std::fmt::Write as _;

/// How many schedules are tried before something is said.
const AT_ONCE: u64 = 500;

pub(super) fn run(
    module: &Module,
    from: u64,
    count: u64,
    events: &Events,
) -> Result<Report, Failure> {
    let search = Search {
        module,
        variant: Variant::AsBuilt,
        threads: threads(),
        within: false,
    };
    let mut all = Findings::default();
    let end = from.saturating_add(count);
    let mut next = from;
    while next < end && all.failing.is_none() {
        let last = end.min(next.saturating_add(AT_ONCE));
        let found = search.seeds(next..last).map_err(|error| failed(&error))?;
        all.within += found.within;
        for (assumption, (tried, violated)) in found.beyond {
            let sum = all.beyond.entry(assumption).or_default();
            *sum = (sum.0 + tried, sum.1 + violated);
        }
        all.failing = found.failing;
        next = last;
        events.emit(
            "searched",
            json!({ "until_seed": last, "within": all.within }),
            "",
        );
    }
    Ok(report(&all, from))
}

fn report(all: &Findings, from: u64) -> Report {
    let mut text = String::new();
    let held = all.within - u64::from(all.failing.is_some());
    let _ = writeln!(text, "{held} schedules within the assumptions hold");
    let mut beyond = vec![];
    for (assumption, (tried, violated)) in &all.beyond {
        let (id, words) = in_words(*assumption);
        let _ = writeln!(
            text,
            "{tried} beyond them, where {words}: {violated} violated"
        );
        beyond.push(json!({ "assumption": id, "tried": tried, "violated": violated }));
    }
    let mut json = json!({ "from": from, "within": all.within, "beyond": beyond });
    let Some(failing) = &all.failing else {
        return Report::good(text, json);
    };
    let _ = write!(
        text,
        "\nseed {} fails, within the assumptions. The smallest schedule of {} that fails like it:\n\n{}",
        failing.seed, failing.tried, failing.story
    );
    if let Some(members) = json.as_object_mut() {
        members.insert("failing_seed".to_owned(), failing.seed.into());
        members.insert("story".to_owned(), failing.story.as_str().into());
    }
    let next = format!(
        "`cutover sim --search 1 --from {}` finds it again",
        failing.seed
    );
    Report::new(Exit::Failed, text, json).next(next)
}

fn in_words(assumption: Assumption) -> (&'static str, &'static str) {
    match assumption {
        Assumption::Clocks => ("clocks", "a clock is off by more than the hold"),
        Assumption::Staged => (
            "staged",
            "a proxy had not staged the switch, and nobody cancelled",
        ),
        Assumption::Cancelled => (
            "cancelled",
            "a cancel missed a proxy that had staged the switch",
        ),
    }
}
