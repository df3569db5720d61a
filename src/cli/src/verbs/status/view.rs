//! A look as text and as JSON.

use super::{Seen, wrong};
use crate::{output::object, table::table_within, verbs::lint::as_json};
use cutover_control::{Endpoints, Operator, ProxyStatus, Standing, Target, unix_ms};
use cutover_core::{Color, Generation, Service, Switch};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What a narrow terminal does without, the least first. Generations that differ are told in words.
const LEAST: &[&str] = &[
    "MODULE",
    "VERSION",
    "IGNORED",
    "REFUSED",
    "GENERATION",
    "DRIFT",
    "ON GREEN",
    "ON BLUE",
];

/// The file, a table of Envoys, and what is wrong in words.
pub(super) fn text(seen: &Seen, services: &[&Service], columns: Option<usize>) -> String {
    let file = table_within(columns, file_rows(services), &["BEFORE", "WRITTEN"]);
    let mut text = format!("{}\n{file}", name(&seen.target));
    if seen.status.proxies.is_empty() {
        return text + &beside(seen, services);
    }
    let envoys = table_within(columns, envoy_rows(seen, services), LEAST);
    let _ = write!(text, "\n{envoys}");
    text + &beside(seen, services)
}

/// What is wrong, and who was not asked, in words.
fn beside(seen: &Seen, services: &[&Service]) -> String {
    let standings = seen.status.standings.iter();
    let standings = standings.filter(|standing| standing.is_news());
    let mut lines: Vec<_> = standings.map(ToString::to_string).collect();
    lines.extend(wrong(seen, services));
    if let Some(why) = seen.fleet.blind() {
        lines.push(format!("pods that come and go are not seen for now: {why}"));
    }
    for pod in seen.fleet.apart() {
        lines.push(format!("not asked: {pod}"));
    }
    lines.extend(seen.fleet.notes().iter().cloned());
    if lines.is_empty() {
        return String::new();
    }
    format!("\n{}\n", lines.join("\n"))
}

fn file_rows(services: &[&Service]) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "SERVICE",
        "ACTIVE",
        "GENERATION",
        "WRITTEN",
        "BEFORE",
    ])];
    for service in services {
        let switch = service.switch();
        let generation = switch.generation.map(Generation::get);
        rows.push(vec![
            service.name().to_owned(),
            active_cell(switch),
            generation_cell(Some(generation.unwrap_or_default())),
            generation.map_or_else(dash, time_of),
            switch.previous.map_or_else(dash, |previous| {
                format!("{} {}", previous.active, previous.generation)
            }),
        ]);
    }
    rows
}

/// What rules, and beside it what waits for its instant.
fn active_cell(switch: &Switch) -> String {
    match (switch.activation, switch.previous) {
        (Some(due), Some(rules)) if unix_ms() < due.at() => {
            format!("{}, {} staged", rules.active, switch.active)
        }
        _ => switch.active.to_string(),
    }
}

/// One row for each Envoy and service; which service is said where there are several.
fn envoy_rows(seen: &Seen, services: &[&Service]) -> Vec<Vec<String>> {
    let mut head = row([
        "ENVOY",
        "SERVICE",
        "ACTIVE",
        "GENERATION",
        if seen.target.kube().is_some() {
            "PLUGIN"
        } else {
            "FILE"
        },
        "HEALTHY",
        "ON BLUE",
        "ON GREEN",
        "DRIFT",
        "REFUSED",
        "IGNORED",
        "VERSION",
        "MODULE",
    ]);
    let one = services.len() == 1;
    let without_service = |row: &mut Vec<String>| {
        if one {
            row.remove(1);
        }
    };
    without_service(&mut head);
    let mut rows = vec![head];
    for proxy in &seen.status.proxies {
        let Ok(answer) = &proxy.answer else {
            rows.push(vec![proxy.proxy.to_string(), "silent".to_owned()]);
            continue;
        };
        for service in services {
            let Some(shows) = proxy.shows(service.name(), service.switch()) else {
                continue;
            };
            let open = |color| {
                proxy
                    .streams(service, color)
                    .map_or_else(dash, |n| n.to_string())
            };
            let mut row = vec![
                proxy.proxy.to_string(),
                service.name().to_owned(),
                shows.seen.active.map_or("-", Color::as_str).to_owned(),
                generation_cell(shows.seen.generation),
                shows.agreement.as_str().to_owned(),
                healthy(proxy, service),
                open(Color::Blue),
                open(Color::Green),
                match answer.drift.as_deref() {
                    None => dash(),
                    Some([]) => "none".to_owned(),
                    Some(paths) => paths.len().to_string(),
                },
                answer.stats.update_rejected.to_string(),
                (shows.seen.stale + shows.seen.conflict).to_string(),
                answer.version.clone(),
                proxy
                    .module()
                    .map_or_else(dash, |module| module.to_string()),
            ];
            without_service(&mut row);
            rows.push(row);
        }
    }
    rows
}

/// The file, or the plugin.
fn name(target: &Target) -> String {
    match target {
        Target::File(file) => file.path().display().to_string(),
        Target::Kube(kube) => kube.plugin().to_string(),
    }
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// How many endpoints are healthy, of how many.
fn healthy(proxy: &ProxyStatus, service: &Service) -> String {
    let colors = Color::ALL.map(|color| {
        let endpoints = proxy.endpoints(service, color)?;
        Some(format!("{color} {}", healthy_cell(endpoints)))
    });
    match colors {
        [None, None] => dash(),
        [blue, green] => {
            let none = |color: Color| format!("{color} -");
            let blue = blue.unwrap_or_else(|| none(Color::Blue));
            let green = green.unwrap_or_else(|| none(Color::Green));
            format!("{blue} {green}")
        }
    }
}

pub(super) fn healthy_cell(endpoints: &Endpoints) -> String {
    let all = endpoints.healthy + endpoints.unhealthy.len();
    format!("{}/{all}", endpoints.healthy)
}

fn dash() -> String {
    "-".to_owned()
}

pub(super) fn generation_cell(generation: Option<u64>) -> String {
    match generation {
        None => dash(),
        Some(0) => "per worker".to_owned(),
        Some(generation) => generation.to_string(),
    }
}

/// A generation as the time at which it was written, if it can be one.
fn time_of(generation: u64) -> String {
    const FIRST: u64 = 1_500_000_000_000;
    let millisecond = i64::try_from(generation)
        .ok()
        .filter(|_| generation >= FIRST);
    let time = millisecond.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(dash, |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// The same for programs.
pub(super) fn json(seen: &Seen, services: &[&Service]) -> Value {
    let status = &seen.status;
    let mut json = json!({
        "target": seen.target.to_string(),
        "version": status.version,
        "module": status.module,
        "services": services.iter().map(|service| as_json(service)).collect::<Vec<_>>(),
        "envoys": status.proxies.iter().map(|p| proxy_json(p, services)).collect::<Vec<_>>(),
        "staged": status.standings.iter().map(standing_json).collect::<Vec<_>>(),
        "wrong": wrong(seen, services),
    });
    if let Value::Object(json) = &mut json {
        if let Some(git) = &seen.git {
            json.insert("git".to_owned(), git.json(status));
        }
        if let Some(plugin) = status.document.plugin() {
            let reverts = status.reverts.iter().map(|revert| {
                json!({
                    "service": revert.service,
                    "by": revert.by,
                    "from": revert.from,
                    "to": revert.to,
                    "kept": revert.is_kept,
                    "advice": revert.advice,
                })
            });
            json.insert("kind".to_owned(), plugin.kind.as_str().into());
            json.insert("reverts".to_owned(), reverts.collect());
            json.insert("not_asked".to_owned(), seen.fleet.apart().into());
            json.insert("blind".to_owned(), seen.fleet.blind().into());
        }
    }
    json
}

/// Where a switch with an instant stands.
fn standing_json(standing: &Standing) -> Value {
    json!({
        "service": standing.service,
        "active": standing.active,
        "activate_at": standing.due.at_ms,
        "hold": standing.due.hold_ms,
        "activates_in_ms": standing.left_ms,
        "on": standing.on,
        "of": standing.of,
        "not_on": standing.not_on,
        "late": standing.late,
        "operator": standing.operator.map(|operator| match operator {
            Operator::Lives => "lives",
            Operator::Gone => "gone",
            Operator::Ended => "ended",
        }),
    })
}

fn endpoints_json(endpoints: &Endpoints) -> Value {
    json!({ "healthy": endpoints.healthy, "unhealthy": endpoints.unhealthy })
}

/// One Envoy.
pub(super) fn proxy_json(proxy: &ProxyStatus, services: &[&Service]) -> Value {
    let mut envoy = object(proxy.proxy.to_json());
    let answer = match &proxy.answer {
        Ok(answer) => answer,
        Err(error) => {
            envoy.insert("error".to_owned(), error.to_string().into());
            return envoy.into();
        }
    };
    let services: Vec<_> = (services.iter())
        .filter_map(|service| {
            let shows = proxy.shows(service.name(), service.switch())?;
            let seen = shows.seen;
            Some(json!({
                "service": service.name(),
                "active": seen.active,
                "generation": seen.generation,
                "stale": seen.stale,
                "conflict": seen.conflict,
                "override_used": seen.override_used,
                "override_refused": seen.override_refused,
                "staged": seen.staged,
                "late": seen.late,
                "held": seen.held,
                "held_over": seen.held_over,
                "clock_steps": seen.clock_steps,
                "agreement": shows.agreement,
                "endpoints": {
                    "blue": proxy.endpoints(service, Color::Blue).map(endpoints_json),
                    "green": proxy.endpoints(service, Color::Green).map(endpoints_json),
                },
                "streams": {
                    "blue": proxy.streams(service, Color::Blue),
                    "green": proxy.streams(service, Color::Green),
                },
            }))
        })
        .collect();
    envoy.extend(object(json!({
        "version": answer.version,
        "module": proxy.module(),
        "config_refused": answer.stats.config_refused,
        "update_rejected": answer.stats.update_rejected,
        "drift": answer.drift,
        "services": services,
    })));
    envoy.into()
}
