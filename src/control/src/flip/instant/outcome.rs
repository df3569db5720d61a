//! What has come of a switch: whom it reached, what is noted of it, and what is told to the caller.

use super::{
    Ending, Lagging, Measured, Scheduled,
    board::{Board, Key},
    conduct::Conductor,
};
use crate::{
    Absent, Document, Entry, Kind, Proxy, State, service_of,
    watch::{Shown, Unshown},
};
use cutover_core::{
    Generation, Service,
    fleet::{Lag, Outcome, View},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

impl Conductor {
    pub(super) fn ending(&self, outcome: Outcome<Key>, board: &Board) -> Ending {
        let proxies = |keys: &BTreeSet<Key>| named(board, keys);
        match outcome {
            Outcome::Activated { .. } => Ending::Activated,
            Outcome::Missing {
                generation,
                missing,
                ..
            } => Ending::Missing(missing_of(board, &missing, generation)),
            Outcome::Cancelled {
                generation,
                in_doubt,
                unheard,
                ..
            } => {
                let since = self.line.now().checked_sub(self.protocol.due().opens());
                Ending::Cancelled {
                    generation,
                    why: self.why.clone(),
                    heard_after: since.filter(|_| !in_doubt.is_empty() && unheard.is_empty()),
                    in_doubt: proxies(&in_doubt),
                    unheard: missing_of(board, &unheard, generation),
                }
            }
            Outcome::Superseded { generation, by } => Ending::Superseded {
                generation: generation.get(),
                by: board.proxy(&by.0),
            },
        }
    }

    pub(super) fn lagging(&self, lags: &BTreeMap<Key, Lag>, board: &Board) -> Vec<Lagging> {
        let generation = self.staged();
        let mut lagging: Vec<Lagging> = vec![];
        for ((name, service), lag) in lags {
            let Some(proxy) = board.proxy(name) else {
                continue;
            };
            // One word a proxy is enough: its services share a clock and a push.
            if lagging.iter().any(|one| one.proxy == proxy) {
                continue;
            }
            let unshown = generation.map(|generation| board.unshown(&proxy, service, generation));
            lagging.push(Lagging {
                proxy,
                lag: *lag,
                unshown: unshown.filter(|_| matches!(lag, Lag::Silent | Lag::NotStaged)),
                hold_ms: self.protocol.due().hold_ms,
            });
        }
        lagging
    }

    pub(super) fn unshown(
        &self,
        board: &Board,
        views: &BTreeMap<Key, Option<View>>,
    ) -> Vec<Unshown> {
        let generation = self.protocol.generation();
        let missing = views
            .iter()
            .filter(|(_, view)| view.is_none_or(|view| view.generation != Some(generation)));
        let missing = missing.map(|(key, _)| key.clone()).collect();
        missing_of(board, &missing, generation)
    }

    /// Notes what came of it, and says it.
    pub(super) async fn end(
        mut self,
        ending: Ending,
        cancels: &[Entry],
        gone: Vec<Proxy>,
        board: &Board,
    ) -> Scheduled {
        let missing: &[Unshown] = match &ending {
            Ending::Missing(missing) | Ending::Interrupted(missing) => missing,
            Ending::Cancelled { unheard, .. } | Ending::Stopped { unheard, .. } => unheard,
            Ending::Already | Ending::Activated | Ending::Superseded { .. } => &[],
        };
        if ending == Ending::Activated {
            self.look_back().await;
        }
        let at = Instant::now();
        let is_superseded = matches!(ending, Ending::Superseded { .. });
        let shown = board.proxies().into_iter().filter(|_| !is_superseded);
        let shown: Vec<_> = shown
            .filter(|proxy| missing.iter().all(|one| one.proxy != *proxy))
            .map(|proxy| Shown { proxy, at })
            .collect();
        let kind = ending.kind();
        let late = named(board, &self.protocol.late());
        let note = |entry: &Entry, kind: Kind| Entry {
            shown: shown.iter().map(|one| one.proxy.to_string()).collect(),
            missing: missing.iter().map(Absent::from).collect(),
            in_doubt: ending.in_doubt().iter().map(ToString::to_string).collect(),
            gone: gone.iter().map(ToString::to_string).collect(),
            late: late.iter().map(ToString::to_string).collect(),
            ..entry.ended(kind, entry.took())
        };
        let of_cancel = match kind {
            Kind::Cancelled => Kind::Done,
            other => other,
        };
        let ends = self.begun.iter().map(|begun| note(begun, kind));
        let ends: Vec<_> = ends
            .chain(cancels.iter().map(|begun| note(begun, of_cancel)))
            .collect();
        // What is staged still has no end yet: whoever takes it up notes that.
        let is_open = matches!(ending, Ending::Stopped { cancel: None, .. });
        let ends = if is_open { vec![] } else { ends };
        for end in &ends {
            self.note(end).await;
        }
        if let Some(kube) = self.pen.target.kube() {
            for end in ends.iter().take(self.begun.len()) {
                if let Err(error) = kube.tell_end(end).await {
                    self.warnings.push(error);
                }
            }
        }
        self.warnings.dedup();
        let proxies = board.proxies().into_iter();
        let clocks = proxies.map(|proxy| Measured {
            clock: board.clock(&proxy),
            proxy,
        });
        Scheduled {
            clocks: clocks.collect(),
            written: self.written,
            due: Some(self.protocol.due()),
            late,
            unseen: named(board, &self.protocol.unseen()),
            shown,
            ending,
            gone,
            warnings: self.warnings,
        }
    }

    /// Warns where the configuration has lost the switch that all Envoys show.
    async fn look_back(&mut self) {
        let lost = match self.pen.target.read().await {
            Ok(document) => self.lost(&document),
            // Whether the API server is away is said where something is to be noted.
            Err(_) if self.pen.target.kube().is_some() => None,
            Err(error) => Some(error.to_string()),
        };
        self.warnings.extend(lost.map(|lost| {
            format!("{lost}: an Envoy that starts anew takes what is there, and not this switch")
        }));
    }

    fn lost(&self, document: &Document) -> Option<String> {
        let plan = match document.plan() {
            Ok(plan) => plan,
            Err(invalid) => {
                return Some(format!("{} is not valid now: {invalid}", document.noun()));
            }
        };
        self.changes.iter().find_map(|(name, switch)| {
            match service_of(&plan, Some(name)).map(Service::switch) {
                Ok(found) if found.generation >= switch.generation => None,
                Ok(found) => Some(format!(
                    "{} has {} of {name} now",
                    document.noun(),
                    State::from(found)
                )),
                Err(unknown) => Some(unknown.to_string()),
            }
        })
    }
}

/// The proxies of some keys, each once.
fn named(board: &Board, keys: &BTreeSet<Key>) -> Vec<Proxy> {
    let names: BTreeSet<_> = keys.iter().map(|(name, _)| name).collect();
    names
        .into_iter()
        .filter_map(|name| board.proxy(name))
        .collect()
}

fn missing_of(board: &Board, keys: &BTreeSet<Key>, generation: Generation) -> Vec<Unshown> {
    let mut missing: Vec<Unshown> = vec![];
    for (name, service) in keys {
        if let Some(proxy) = board.proxy(name)
            && missing.iter().all(|one| one.proxy != proxy)
        {
            missing.push(board.unshown(&proxy, service, generation));
        }
    }
    missing
}
