//! A switch that somebody took back in the cluster: by an apply of what stands in Git, mostly.

use crate::{Document, Entry, Kind, ProxyStatus, State};
use cutover_core::{Generation, Plan};

/// The API server has an older switch than was there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert {
    /// The service.
    pub service: String,
    /// Who wrote it, in words, where that can be told.
    pub by: Option<String>,
    /// What to do, so that it does not come again.
    pub advice: Option<String>,
    /// The newest switch that was there.
    pub from: State,
    /// What is there now.
    pub to: State,
    /// Whether proxies show the newest one: they keep it.
    pub is_kept: bool,
}

/// The services whose switch is older than what proxies show, or than what the journal says was written.
pub(crate) fn reverts(
    document: &Document,
    plan: &Plan,
    proxies: &[ProxyStatus],
    journal: &[Entry],
) -> Vec<Revert> {
    let Some(plugin) = document.plugin() else {
        return vec![];
    };
    let by_name = plugin.config.get("services").is_some();
    let mut reverts = vec![];
    for service in plan.services() {
        let name = service.name();
        let to = State::from(service.switch());
        let shown = proxies.iter().filter_map(|proxy| {
            let seen = proxy.answer.as_ref().ok()?.stats.services.get(name)?;
            Some(State {
                generation: Generation::new(seen.generation?).ok(),
                active: seen.active?,
            })
        });
        let kept = shown.max_by_key(|state| state.generation);
        let noted = journal
            .iter()
            .filter(|entry| entry.service == name && entry.kind != Kind::Failed)
            // A beginning alone may never have been written.
            .filter(|entry| entry.kind != Kind::Begun)
            .map(|entry| entry.to)
            .max_by_key(|state| state.generation);
        let newest = kept.into_iter().chain(noted);
        let Some(from) = newest.max_by_key(|state| state.generation) else {
            continue;
        };
        if from.generation <= to.generation {
            continue;
        }
        let writer = plugin.last_writer(by_name.then_some(name));
        reverts.push(Revert {
            service: name.to_owned(),
            by: writer.map(ToString::to_string),
            advice: writer.map(|writer| writer.tool().advice()),
            is_kept: kept.is_some_and(|kept| kept.generation == from.generation),
            from,
            to,
        });
    }
    reverts
}
