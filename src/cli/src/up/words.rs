//! What is said while an Envoy runs.

use super::{Drained, End, Proxy, Traffic};
use crate::output::{Events, Report};
use cutover_control::{Endpoint, Endpoints, State};
use cutover_core::{Color, Plan};
use serde_json::json;
use std::{
    fmt::{Display, Write as _},
    path::Path,
    time::Duration,
};

/// What there is to know of an Envoy that is ready.
#[derive(Debug)]
pub(crate) struct Ready<'r> {
    pub(crate) plan: &'r Plan,
    /// Blue and green.
    pub(crate) colors: [&'r Endpoint; 2],
    pub(crate) state: &'r Path,
    /// What other commands have to be told to mean this Envoy.
    pub(crate) to_say: &'r str,
}

impl Ready<'_> {
    /// One line, for systemd.
    pub(crate) fn status(&self) -> String {
        self.active().map_or_else(String::new, |active| {
            format!("{active} was active at the start")
        })
    }

    fn active(&self) -> Option<Color> {
        let service = self.plan.services().first()?;
        Some(service.switch().active)
    }

    pub(crate) async fn tell(&self, events: &Events, proxy: &Proxy) {
        let admin = proxy.admin();
        let listeners = admin.listeners().await.unwrap_or_default();
        let clusters = admin.clusters(&["blue", "green"]).await.unwrap_or_default();
        let colors = || {
            let endpoints =
                |color: Color| clusters.get(color.as_str()).cloned().unwrap_or_default();
            let both = Color::ALL.into_iter().zip(self.colors);
            both.map(move |(color, endpoint)| (color, endpoint, endpoints(color)))
        };
        let state = self.state.display().to_string();
        let to = self.active().map_or(Color::Green, Color::other);
        let mut next = format!("cutover flip {to}{}", self.to_say);
        // A flip to a color that is down is refused; one that is active and down comes first.
        let down = colors().filter(|(_, _, health)| health.healthy == 0);
        let first = down.min_by_key(|(color, ..)| *color == to);
        if let Some((color, endpoint, _)) = first {
            next = format!(
                "start the application of {color} on {endpoint}; `cutover status{}` tells whether it is healthy",
                self.to_say
            );
        }

        let mut rows = vec![];
        for (_, address) in &listeners {
            rows.push(("listening", format!("http://{address}")));
        }
        for service in self.plan.services() {
            let name = match self.plan.services() {
                [_] => String::new(),
                _ => format!("{}: ", service.name()),
            };
            let switch = service.switch();
            let generation = switch.generation.map(|g| format!(" (generation {g})"));
            let generation = generation.unwrap_or_default();
            rows.push(("active", format!("{name}{}{generation}", switch.active)));
        }
        for (color, endpoint, health) in colors() {
            rows.push((color.as_str(), format!("{endpoint}  {}", well(&health))));
        }
        rows.push(("admin", format!("http://{}", admin.address())));
        rows.push(("state", state.clone()));
        let mut text = "ready\n".to_owned();
        for (name, value) in rows {
            let _ = writeln!(text, "  {name:<10} {value}");
        }
        let _ = write!(text, "next: {next}");

        let services = self.plan.services().iter().map(|service| {
            let switch = service.switch();
            json!({
                "service": service.name(),
                "active": switch.active,
                "generation": switch.generation,
            })
        });
        let mut details = json!({
            "listen": listeners.iter().map(|(_, address)| address.to_string()).collect::<Vec<_>>(),
            "services": services.collect::<Vec<_>>(),
            "admin": admin.address().to_string(),
            "state": state,
            "next": next,
        });
        for (color, endpoint, health) in colors() {
            let color_details = json!({
                "address": endpoint.to_string(), "healthy": health.healthy > 0,
            });
            if let Some(details) = details.as_object_mut() {
                details.insert(color.as_str().to_owned(), color_details);
            }
        }
        events.emit("ready", details, &text);
    }
}

/// What a start would do.
pub(crate) fn foreseen(
    envoy: &Path,
    version: impl Display,
    state_folder: &Path,
    configuration: &str,
    state: Option<State>,
) -> Report {
    let serves = state.map_or_else(String::new, |state| format!(", which is {state}"));
    let path = state_folder.display();
    let text = format!(
        "would start Envoy {version} on {path}; its configuration would be {configuration}{serves}; nothing \
         was written"
    );
    let json = json!({
        "envoy": envoy.display().to_string(),
        "version": version.to_string(),
        "state": path.to_string(),
        "configuration": configuration,
        "active": state.map(|state| state.active),
        "generation": state.and_then(|state| state.generation),
        "written": false,
    });
    Report::good(text, json).next("the same without --dry-run starts it")
}

/// No new connection is taken any more.
pub(crate) fn draining(events: &Events, signal: &str, time: Duration, traffic: Traffic) {
    let requests = counted(traffic.requests, "request");
    let patience = match traffic.requests {
        0 => String::new(),
        _ => format!(", which may take {}", in_words(time)),
    };
    let text = format!("{signal}: no new connections; {requests} in flight{patience}");
    let details = json!({
        "signal": signal,
        "requests": traffic.requests,
        "connections": traffic.connections,
        "milliseconds": milliseconds(time),
    });
    events.emit("draining", details, &text);
}

/// Envoy has ended.
pub(crate) fn stopped(events: &Events, signal: &str, time: Duration, drained: Drained) -> Report {
    let Drained { left, end, took } = drained;
    let (cut, closed) = (
        left.map(|left| left.requests),
        left.map(|left| left.connections),
    );
    let cut_text = match cut {
        None => "Envoy did not say whether a request was cut".to_owned(),
        Some(0) => "no request was cut".to_owned(),
        Some(cut) => format!("{} cut", were(cut, "request")),
    };
    let why = match end {
        End::Empty => String::new(),
        End::Late => format!(" after {}", in_words(time)),
        End::Told => " by the second signal".to_owned(),
        End::Gone => "; Envoy ended by itself meanwhile".to_owned(),
    };
    let silent = match (end, closed) {
        (End::Empty, Some(closed @ 1..)) => {
            format!("; {} closed", were(closed, "silent connection"))
        }
        _ => String::new(),
    };
    let details = json!({
        "signal": signal,
        "cut": cut,
        "connections_closed": closed,
        "milliseconds": milliseconds(took),
    });
    events.emit("stopped", details.clone(), "");
    Report::good(format!("stopped: {cut_text}{why}{silent}"), details)
        .next("`cutover up` with the same state folder starts with the color that is active now")
}

fn well(endpoints: &Endpoints) -> String {
    match (endpoints.healthy, endpoints.unhealthy.as_slice()) {
        (0, []) => "has no address: its name cannot be looked up".to_owned(),
        (_, []) => "well".to_owned(),
        (0, _) => "does not pass its health check: is it up?".to_owned(),
        _ => endpoints.to_string(),
    }
}

fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

fn were(number: u64, what: &str) -> String {
    let verb = if number == 1 { "was" } else { "were" };
    format!("{} {verb}", counted(number, what))
}

/// A time as people write it: `30s`.
fn in_words(time: Duration) -> String {
    let signed = jiff::SignedDuration::try_from(time);
    signed.map_or_else(|_| format!("{time:?}"), |time| format!("{time:#}"))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
