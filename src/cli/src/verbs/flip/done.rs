//! What a plain push has come to, in words and as JSON.

use super::state;
use crate::{
    failure::{Exit, with_gone},
    output::{Events, Report},
};
use cutover_control::{FlipError, Flipped, State, Target, unix_ms};
use serde_json::json;

/// Says what was passed over and what went wrong beside it, whatever came of the rest.
pub(super) fn warn(flipped: &Result<Flipped, FlipError>, events: &Events) {
    let written = match flipped {
        Ok(flipped) => &flipped.written,
        Err(
            FlipError::NotDone { written, .. }
            | FlipError::Interrupted {
                written: Some(written),
                ..
            },
        ) => written,
        Err(_) => return,
    };
    for warning in &written.warnings {
        events.say(&format!("warning: {warning}"));
    }
}

/// What is said at the end.
pub(super) fn report(flipped: &Flipped, target: &Target) -> Report {
    let Flipped {
        written,
        pushed,
        shown,
    } = flipped;
    let (service, generation, active) = (&written.service, written.generation, written.active);
    let wait = shown
        .iter()
        .map(|proxy| proxy.at.saturating_duration_since(written.invoked))
        .max();
    let milliseconds = wait.map(|wait| (wait.as_secs_f64() * 1e4).round() / 10.0);
    let envoys = match shown.len() {
        1 => "1 Envoy shows".to_owned(),
        number => format!("{number} Envoys show"),
    };
    let other = active.other();
    let (text, next) = match (pushed, shown.is_empty()) {
        (false, true) => (
            format!(
                "{service} is {active} already, by generation {generation}; no Envoy was asked"
            ),
            "cutover status --admin HOST:PORT shows whether the Envoys agree".to_owned(),
        ),
        (false, false) => (
            format!("{service} is {active} already: {envoys} generation {generation}"),
            format!("nothing is to be done; cutover flip {other} switches to {other}"),
        ),
        (true, true) => (
            format!(
                "written, not confirmed: {service} is {active} in {}, generation {generation}; {}",
                target.noun(),
                if written.gone.is_empty() {
                    "no Envoy was asked"
                } else {
                    "every Envoy went away before it showed it"
                }
            ),
            match target {
                Target::File(_) => format!(
                    "cutover wait --generation {generation} --admin HOST:PORT says when it has landed"
                ),
                Target::Kube(_) => {
                    format!("cutover wait --generation {generation} says when it has landed")
                }
            },
        ),
        (true, false) => (
            format!(
                "done: {service} is {active}, {envoys} generation {generation} after {:.0} ms",
                milliseconds.unwrap_or_default().ceil(),
            ),
            match written.before.activation {
                // It was taken back before it ruled.
                Some(due) if written.before.active == other && due.at() > unix_ms() => format!(
                    "the staged switch to {other} is taken back; another `cutover rollback` would go to {other}"
                ),
                _ => format!(
                    "`cutover status` shows the Envoys; `cutover rollback` goes back to {other}"
                ),
            },
        ),
    };
    let before = State::from(&written.before);
    let json = json!({
        "service": service,
        "active": active,
        "generation": generation,
        "before": state(before.active, before.generation),
        "written": pushed,
        "confirmed": !shown.is_empty(),
        "shown": shown.iter().map(|one| one.proxy.name()).collect::<Vec<_>>(),
        "milliseconds": if *pushed { milliseconds } else { None },
        "warnings": written.warnings,
    });
    let mut report = Report::good(text, with_gone(json, &written.gone)).next(next);
    if *pushed && shown.is_empty() && !written.gone.is_empty() {
        // Done is what an Envoy shows, and none of them was left to.
        report.exit = Exit::Environment;
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_control::{FileTarget, Proxy, Written};
    use cutover_core::{Color, Switch};
    use std::{net::SocketAddr, time::Instant};

    #[test]
    fn what_nobody_was_left_to_show_is_not_done() {
        let target = Target::File(FileTarget::new("cutover.json"));
        let now = Instant::now();
        let mut flipped = Flipped {
            written: Written {
                service: "shop".to_owned(),
                before: Switch {
                    generation: None,
                    active: Color::Blue,
                    previous: None,
                    activation: None,
                },
                generation: 2,
                active: Color::Green,
                invoked: now,
                written: now,
                warnings: vec![],
                gone: vec![],
            },
            pushed: true,
            shown: vec![],
        };
        // --no-wait asks nobody.
        assert_eq!(report(&flipped, &target).exit, Exit::Good);
        let address = SocketAddr::from(([127, 0, 0, 1], 9901));
        flipped.written.gone = vec![Proxy::from(address)];
        let report = report(&flipped, &target);
        assert_eq!(report.exit, Exit::Environment);
        assert!(
            report.text.contains("every Envoy went away"),
            "{}",
            report.text
        );
    }
}
