//! What happens on the way of a flip, as events.

use super::instant::milliseconds;
use crate::output::Events;
use cutover_control::{Fleet, InWords, Step};
use cutover_core::{Color, fleet::Due};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinHandle};

/// Tells each step as an event, until nobody can take one any more.
pub(crate) fn follow(events: &Events) -> (mpsc::UnboundedSender<Step>, JoinHandle<()>) {
    let (sender, mut steps) = mpsc::unbounded_channel();
    let events = events.clone();
    let told = tokio::spawn(async move {
        while let Some(step) = steps.recv().await {
            match step {
                Step::Written {
                    service,
                    generation,
                    active,
                    due,
                } => written(&events, &service, generation, active, due),
                Step::Staged(proxy) => events.emit("staged", proxy.to_json(), ""),
                Step::Ready {
                    proxies,
                    worst,
                    left,
                } => ready(&events, proxies, worst, left),
                Step::Restaged { hold_ms } => events.emit(
                    "restaged",
                    json!({ "hold": hold_ms }),
                    &format!("the clocks ask for a longer hold: staged again with {hold_ms} ms"),
                ),
                Step::Cancelling { why, is_stopped } => {
                    let words = match why.as_slice() {
                        [] if is_stopped => {
                            "taking it back; Ctrl-C again stops before every Envoy shows that"
                                .to_owned()
                        }
                        [] => "taking it back".to_owned(),
                        why => format!("taking it back: {}", why.join("; ")),
                    };
                    events.emit("cancelling", json!({ "why": why }), &words);
                }
                Step::Shown(proxy) => events.emit("shown", proxy.to_json(), ""),
                Step::Came(proxy) => {
                    events.emit(
                        "came",
                        proxy.to_json(),
                        &format!("{proxy} is new, and has to show it too"),
                    );
                }
                Step::Gone(proxy) => {
                    events.emit(
                        "gone",
                        proxy.to_json(),
                        &format!("{proxy} is gone, and is not waited for"),
                    );
                }
            }
        }
    });
    (sender, told)
}

/// Says that pods may have come or gone unseen, and why.
pub(crate) fn warn_if_blind(fleet: &Fleet, events: &Events) {
    if let Some(why) = fleet.blind() {
        events.say(&format!(
            "warning: pods that came or went were not seen: {why}"
        ));
    }
}

fn written(events: &Events, service: &str, generation: u64, active: Color, due: Option<Due>) {
    let mut details = json!({ "service": service, "generation": generation, "active": active });
    let mut words = String::new();
    if let (Value::Object(details), Some(due)) = (&mut details, due) {
        details.insert("activate_at".to_owned(), due.at_ms.into());
        details.insert("hold".to_owned(), due.hold_ms.into());
        words = format!(
            "staged: {service} becomes {active} at {}, hold {} ms, generation {generation}",
            InWords(due.at_ms),
            due.hold_ms
        );
    }
    events.emit("written", details, &words);
}

fn ready(events: &Events, proxies: usize, worst: Option<u64>, left: u64) {
    let envoys = match proxies {
        1 => "1 Envoy has".to_owned(),
        number => format!("all {number} Envoys have"),
    };
    let clocks = worst.map_or_else(String::new, |worst| {
        format!(", clocks within {}", milliseconds(worst))
    });
    let details = json!({
        "proxies": proxies,
        "clocks_within_us": worst,
        "activates_in_ms": left / 1_000,
    });
    let left = left.div_ceil(100_000);
    let words = format!(
        "{envoys} staged it{clocks}: activates in {}.{} s",
        left / 10,
        left % 10
    );
    events.emit("ready", details, &words);
}
