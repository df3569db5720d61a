//! What is told on the way, each of it once, and noted in the journal.

use super::{
    board::{Board, Key},
    conduct::Conductor,
};
use crate::{Entry, Kind, watch::Step};
use cutover_core::{Generation, fleet::View};
use std::collections::{BTreeMap, BTreeSet};

/// What has been told already.
#[derive(Default)]
pub(super) struct Told {
    staged: BTreeSet<String>,
    ready: bool,
    through: bool,
}

impl Conductor {
    pub(super) async fn note(&mut self, entry: &Entry) {
        if let Err(error) = self.pen.target.note(entry).await {
            self.warnings.push(error.to_string());
            self.warnings.dedup();
        }
    }

    /// Tells what is new, and notes that all is ready.
    pub(super) async fn tell(
        &mut self,
        told: &mut Told,
        views: &BTreeMap<Key, Option<View>>,
        board: &Board,
        now: u64,
    ) {
        if self.protocol.is_cancelled() {
            return;
        }
        let generation = self.protocol.generation();
        for proxy in board.proxies() {
            let name = proxy.to_string();
            let mut of_proxy = views.iter().filter(|(key, _)| key.0 == name);
            let is_staged =
                of_proxy.all(|(_, view)| view.is_some_and(|view| view.staged == Some(generation)));
            if is_staged && told.staged.insert(name) {
                self.step(Step::Staged(proxy));
            }
        }
        let lags = self.protocol.lags(now, views);
        if !told.ready && lags.is_empty() && !self.protocol.is_through() {
            told.ready = true;
            let clocks = board
                .proxies()
                .iter()
                .filter_map(|proxy| board.clock(proxy))
                .collect::<Vec<_>>();
            self.step(Step::Ready {
                proxies: board.proxies().len(),
                worst: clocks.iter().map(|clock| clock.worst()).max(),
                left: self
                    .protocol
                    .due()
                    .at_ms
                    .saturating_mul(1_000)
                    .saturating_sub(now),
            });
        }
        if !told.through && self.protocol.is_through() {
            told.through = true;
            for begun in self.begun.clone() {
                let staged = Entry {
                    shown: told.staged.iter().cloned().collect(),
                    ..begun.ended(Kind::Staged, begun.took())
                };
                self.note(&staged).await;
            }
        }
    }

    pub(super) fn tell_written(&self) {
        let due = self.protocol.due();
        for (service, switch) in &self.changes {
            self.step(Step::Written {
                service: service.clone(),
                generation: switch.generation.map_or(0, Generation::get),
                active: switch.active,
                due: Some(due),
            });
        }
    }

    pub(super) fn step(&self, step: Step) {
        self.steps.as_ref().map(|steps| steps.send(step));
    }
}
