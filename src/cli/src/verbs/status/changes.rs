//! What changes from look to look.

use super::view::{generation_cell, healthy_cell, proxy_json};
use crate::{output::Events, verbs::lint::as_json};
use cutover_control::{Proxy, ProxyStatus, Status};
use cutover_core::{Color, Generation, Service};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What was told last.
#[derive(Default)]
pub(super) struct Told {
    /// None when an Envoy gave no answer.
    envoys: BTreeMap<Proxy, Option<Facts>>,
    file: Option<Result<Facts, String>>,
}

/// What is looked at, and how it is; the most telling first.
type Facts = Vec<(String, String)>;

impl Told {
    /// Tells what is not as it was told last.
    pub(super) fn tell(&mut self, status: &Status, services: &[&Service], events: &Events) {
        self.tell_file(services, events);
        for proxy in &status.proxies {
            self.tell_envoy(proxy, services, events);
        }
        let listed = |known: &Proxy| status.proxies.iter().any(|one| one.proxy == *known);
        let left: Vec<_> = self
            .envoys
            .keys()
            .filter(|known| !listed(known))
            .cloned()
            .collect();
        for admin in left {
            self.envoys.remove(&admin);
            say(
                events,
                "gone",
                admin.to_json(),
                &format!("{admin} is no longer there"),
            );
        }
    }

    /// Tells of a file that cannot be read now.
    pub(super) fn tell_trouble(&mut self, trouble: &str, events: &Events) {
        if self.file.as_ref() != Some(&Err(trouble.to_owned())) {
            say(events, "file", json!({ "error": trouble }), trouble);
            self.file = Some(Err(trouble.to_owned()));
        }
    }

    fn tell_file(&mut self, services: &[&Service], events: &Events) {
        let mut now = Facts::new();
        for service in services {
            let (of, switch) = (prefix(services, service), service.switch());
            let generation = generation_cell(Some(switch.generation.map_or(0, Generation::get)));
            now.push((format!("{of}active"), switch.active.to_string()));
            now.push((format!("{of}generation"), generation));
        }
        let before = match self.file.take() {
            Some(Ok(before)) => before,
            _ => Facts::new(),
        };
        let changes = changes(&before, &now);
        if !changes.is_empty() {
            let services: Vec<_> = services.iter().map(|service| as_json(service)).collect();
            let details = json!({ "services": services, "changes": as_values(&changes) });
            say(
                events,
                "file",
                details,
                &format!("file: {}", in_words(&changes)),
            );
        }
        self.file = Some(Ok(now));
    }

    fn tell_envoy(&mut self, proxy: &ProxyStatus, services: &[&Service], events: &Events) {
        let admin = &proxy.proxy;
        let before = self.envoys.get(admin);
        if let Err(error) = &proxy.answer {
            if !matches!(before, Some(None)) {
                let details = proxy_json(proxy, services);
                say(events, "silent", details, &error.to_string());
            }
            self.envoys.insert(admin.clone(), None);
            return;
        }
        let nothing = Facts::new();
        let (event, known, words) = match before {
            None => ("appeared", &nothing, ""),
            Some(None) => ("back", &nothing, "is back: "),
            Some(Some(known)) => ("changed", known, ""),
        };
        let mut now = facts(proxy, services);
        // What cannot be known for a moment is as it was: the streams of the color that is active, the
        // drift while a push is on its way.
        for (what, is) in known {
            if now.iter().all(|(one, _)| one != what) {
                now.push((what.clone(), is.clone()));
            }
        }
        let changes = changes(known, &now);
        if event != "changed" || !changes.is_empty() {
            let envoy = proxy_json(proxy, services);
            let details = json!({ "envoy": envoy, "changes": as_values(&changes) });
            say(
                events,
                event,
                details,
                &format!("{admin} {words}{}", in_words(&changes)),
            );
        }
        self.envoys.insert(admin.clone(), Some(now));
    }
}

fn say(events: &Events, event: &str, details: Value, text: &str) {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
    events.tell(event, details, &format!("{now} {text}"));
}

/// All that a line is worth. The requests at the active color are not: they come and go.
fn facts(proxy: &ProxyStatus, services: &[&Service]) -> Facts {
    let mut facts = Facts::new();
    let Ok(answer) = &proxy.answer else {
        return facts;
    };
    for service in services {
        let Some(shows) = proxy.shows(service.name(), service.switch()) else {
            continue;
        };
        let (of, active) = (prefix(services, service), shows.seen.active);
        let mut note = |what: &str, is: String| facts.push((format!("{of}{what}"), is));
        note("active", active.map_or("-", Color::as_str).to_owned());
        note("generation", generation_cell(shows.seen.generation));
        note("file", shows.agreement.as_str().to_owned());
        for color in Color::ALL {
            if let Some(endpoints) = proxy.endpoints(service, color) {
                note(&format!("healthy {color}"), healthy_cell(endpoints));
            }
        }
        if let Some(idle) = active.map(Color::other)
            && let Some(open) = proxy.streams(service, idle)
        {
            note(&format!("on {idle}"), open.to_string());
        }
        note(
            "ignored",
            (shows.seen.stale + shows.seen.conflict).to_string(),
        );
    }
    let mut note = |what: &str, is: String| facts.push((what.to_owned(), is));
    note("refused", answer.stats.update_rejected.to_string());
    match answer.drift.as_deref() {
        None => {}
        Some([]) => note("drift", "none".to_owned()),
        Some(paths) => note("drift", paths.join(", ")),
    }
    if let Some(module) = answer.stats.module {
        note("module", module.to_string());
    }
    note("version", answer.version.clone());
    facts
}

/// Says which service, where there are several.
fn prefix(services: &[&Service], service: &Service) -> String {
    match services {
        [_] => String::new(),
        _ => format!("{}: ", service.name()),
    }
}

struct Change<'f> {
    what: &'f str,
    from: Option<&'f str>,
    to: &'f str,
}

fn changes<'f>(before: &'f Facts, now: &'f Facts) -> Vec<Change<'f>> {
    let changed = now.iter().map(|(what, to)| Change {
        what,
        from: before
            .iter()
            .find(|(known, _)| known == what)
            .map(|(_, is)| is.as_str()),
        to,
    });
    changed
        .filter(|change| change.from != Some(change.to))
        .collect()
}

fn in_words(changes: &[Change<'_>]) -> String {
    let words = changes.iter().map(|Change { what, from, to }| match from {
        None => format!("{what} {to}"),
        Some(from) => format!("{what} {from} -> {to}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

fn as_values(changes: &[Change<'_>]) -> Vec<Value> {
    let value =
        |change: &Change<'_>| json!({ "what": change.what, "from": change.from, "to": change.to });
    changes.iter().map(value).collect()
}
