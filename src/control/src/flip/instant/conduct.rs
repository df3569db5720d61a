//! Going through the protocol: proxies are followed, switches written, and what came of them noted.

use super::{
    Ending, Lagging, Look, Measured, Scheduled,
    board::{Board, Key},
    pen::{Hindrance, Pen},
};
use crate::{
    Absent, Entry, Fleet, FlipError, Interrupt, Kind, Names, Proxy, State, Written,
    clock::ClockLine,
    flip::write::Put,
    watch::{Shown, Step, Steps, Unshown},
};
use cutover_core::{
    Generation, Switch,
    fleet::{Action, Due, Lag, Outcome, Protocol, View},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use tokio::time::sleep_until;

/// How often it is looked whether something is to be done, at the least.
const TICK: Duration = Duration::from_millis(20);

/// How long a cancel is still waited for after the window, when it was told to stop, in microseconds.
const AFTER_A_STOP: u64 = 2_000_000;

/// A switch that is staged, and all that it takes to see it through.
pub(super) struct Conductor {
    pub(super) protocol: Protocol<Key>,
    pub(super) pen: Pen,
    pub(super) fleet: Fleet,
    pub(super) names: Vec<Names>,
    pub(super) known: Vec<Look>,
    /// What is staged, by service.
    pub(super) changes: Vec<(String, Switch)>,
    pub(super) written: Vec<Written>,
    /// How each of them was noted.
    pub(super) begun: Vec<Entry>,
    pub(super) warnings: Vec<String>,
    pub(super) interrupt: Interrupt,
    pub(super) steps: Steps,
    pub(super) line: ClockLine,
    /// Somebody wants it taken back: that is what was asked for, and no failure.
    pub(super) is_asked_to_cancel: bool,
    /// For whose sake it is taken back, as it was then.
    pub(super) why: Vec<Lagging>,
}

/// What has been told already.
#[derive(Default)]
struct Told {
    staged: BTreeSet<String>,
    ready: bool,
    through: bool,
}

impl Conductor {
    pub(super) async fn conduct(mut self) -> Result<Scheduled, FlipError> {
        let services = self.changes.iter().map(|(name, _)| name.clone()).collect();
        let (names, generation) = (self.names.clone(), self.protocol.generation());
        let mut board = Board::new(services, names, self.line, generation);
        let mut fleet = self.fleet.clone();
        board.follow(&fleet.seen(), &self.known);
        self.tell_written();
        if self.is_asked_to_cancel {
            self.protocol.stop();
        }
        let (mut told, mut gone, mut is_stopped) = (Told::default(), vec![], false);
        let mut cancels: Vec<Entry> = vec![];
        let mut unseen = BTreeSet::new();
        let ending = loop {
            let now = self.line.now();
            let views = board.views();
            let is_over =
                is_stopped && now >= self.protocol.due().closes().saturating_add(AFTER_A_STOP);
            let action = self.protocol.step(now, &views)?;
            match action {
                Action::Stage { generation, due } => {
                    if let Err(error) = self.stage_again(generation, due, &board).await {
                        self.warnings
                            .push(format!("it could not be staged again: {error}"));
                        self.protocol.stop();
                    }
                }
                Action::Cancel { generation } => {
                    match self.cancel(generation, &views, &board).await {
                        Ok(begun) => cancels = begun,
                        Err(Hindrance::Overtaken(state)) => break overtaken(state),
                        Err(Hindrance::Failed(error)) => {
                            return Err(self.not_cancelled(error).await);
                        }
                    }
                }
                Action::Done(outcome) => {
                    if let Outcome::Activated { unseen: keys, .. }
                    | Outcome::Missing { unseen: keys, .. } = &outcome
                    {
                        unseen.clone_from(keys);
                    }
                    break self.ending(outcome, &board);
                }
                Action::Wait { .. } if is_over || (is_stopped && self.protocol.is_through()) => {
                    let unshown = self.unshown(&board, &views);
                    break if self.protocol.is_cancelled() {
                        Ending::Cancelled {
                            generation: self.protocol.generation(),
                            why: vec![],
                            in_doubt: unshown.iter().map(|one| one.proxy.clone()).collect(),
                            heard_after: None,
                            unheard: unshown,
                        }
                    } else {
                        Ending::Interrupted(unshown)
                    };
                }
                Action::Wait { until } => {
                    if self.protocol.is_through() || self.protocol.is_cancelled() {
                        board.decided();
                    }
                    self.tell(&mut told, &views, &board, now).await;
                    let pause = self.line.instant(until).min(Instant::now() + TICK);
                    tokio::select! {
                        biased;
                        () = self.interrupt.raised(), if !is_stopped => {
                            is_stopped = true;
                            self.protocol.stop();
                        }
                        members = fleet.next() => {
                            let (came, went) = board.follow(&members, &self.known);
                            for proxy in came {
                                self.step(Step::Came(proxy));
                            }
                            for proxy in went {
                                self.step(Step::Gone(proxy.clone()));
                                gone.push(proxy);
                            }
                        }
                        () = board.changed() => {}
                        () = sleep_until(pause.into()) => {}
                    }
                }
            }
        };
        gone.retain(|proxy: &Proxy| board.proxy(&proxy.to_string()).is_none());
        let unseen = named(&board, &unseen);
        let mut scheduled = self.end(ending, &cancels, gone, &board).await;
        scheduled.unseen = unseen;
        Ok(scheduled)
    }

    /// Writes the switches again, with a longer hold.
    async fn stage_again(
        &mut self,
        generation: Generation,
        due: Due,
        board: &Board,
    ) -> Result<(), String> {
        let staged = self
            .changes
            .first()
            .and_then(|(_, switch)| switch.generation);
        let mut changes = self.changes.clone();
        for (_, switch) in &mut changes {
            switch.generation = Some(generation);
            switch.activation = super::activation(due);
        }
        let begun = self
            .begun
            .iter()
            .zip(&changes)
            .map(|(before, (service, switch))| {
                let mut begun = Entry::begun(&before.verb, service, before.to, switch.into());
                begun.reason.clone_from(&self.pen.reason);
                begun.due_at(due);
                begun
            });
        let begun: Vec<_> = begun.collect();
        let until = self.line.instant(due.opens());
        let Some(staged) = staged else {
            return Err("nothing is staged".to_owned());
        };
        match self.pen.over(staged, &changes, &begun, until).await {
            Ok(put) => self.put(put),
            Err(Hindrance::Failed(error)) => return Err(error.to_string()),
            Err(Hindrance::Overtaken(state)) => {
                return Err(format!("another writer came in between: it is {state} now"));
            }
        }
        for before in std::mem::replace(&mut self.begun, begun) {
            self.note(&before.ended(Kind::Restaged, Duration::ZERO))
                .await;
        }
        for (written, (_, switch)) in self.written.iter_mut().zip(&changes) {
            written.generation = switch.generation.map_or(0, Generation::get);
        }
        self.changes = changes;
        board.restaged(generation);
        self.step(Step::Restaged {
            hold_ms: due.hold_ms,
        });
        self.tell_written();
        Ok(())
    }

    /// Writes the old colors under a newer generation.
    async fn cancel(
        &mut self,
        generation: Generation,
        views: &BTreeMap<Key, Option<View>>,
        board: &Board,
    ) -> Result<Vec<Entry>, Hindrance> {
        let staged = self
            .changes
            .first()
            .and_then(|(_, switch)| switch.generation);
        let staged = staged.unwrap_or(generation);
        let changes = self.changes.iter().zip(&self.written);
        let changes = changes.map(|((service, switch), written)| {
            let keeps = switch
                .previous
                .map_or(switch.active.other(), |rules| rules.active);
            let cancel = Switch {
                generation: Some(generation),
                active: keeps,
                previous: written
                    .before
                    .previous
                    .filter(|_| written.before.active == keeps),
                activation: None,
            };
            (service.clone(), cancel)
        });
        let changes: Vec<_> = changes.collect();
        let begun = self.begun.iter().zip(&changes);
        let begun = begun.map(|(before, (service, switch))| {
            Entry::begun("cancel", service, before.to, switch.into())
        });
        let begun: Vec<_> = begun.collect();
        let why = if self.is_asked_to_cancel || self.interrupt.is_raised() {
            vec![]
        } else {
            self.lagging(&self.protocol.lags(self.line.now(), views), board)
        };
        self.step(Step::Cancelling {
            why: why.iter().map(ToString::to_string).collect(),
        });
        self.why = why;
        let until = self.line.instant(self.protocol.due().closes());
        let put = self.pen.over(staged, &changes, &begun, until).await?;
        self.put(put);
        Ok(begun)
    }

    fn put(&mut self, put: Put) {
        for written in &mut self.written {
            written.written = put.written;
        }
        self.warnings.extend(put.warnings);
        self.warnings.dedup();
    }

    async fn not_cancelled(&mut self, error: FlipError) -> FlipError {
        for begun in self.begun.clone() {
            self.note(&begun.ended(Kind::InDoubt, begun.took())).await;
        }
        let (services, due) = (self.changes.iter(), self.protocol.due());
        FlipError::NotCancelled {
            services: services.map(|(name, _)| name.clone()).collect(),
            active: self.changes.first().map(|(_, switch)| switch.active),
            at: due.at_ms,
            reason: Box::new(error),
        }
    }

    fn ending(&self, outcome: Outcome<Key>, board: &Board) -> Ending {
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

    fn lagging(&self, lags: &BTreeMap<Key, Lag>, board: &Board) -> Vec<Lagging> {
        let generation = self
            .changes
            .first()
            .and_then(|(_, switch)| switch.generation);
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

    fn unshown(&self, board: &Board, views: &BTreeMap<Key, Option<View>>) -> Vec<Unshown> {
        let generation = self.protocol.generation();
        let missing = views
            .iter()
            .filter(|(_, view)| view.is_none_or(|view| view.generation != Some(generation)));
        let missing = missing.map(|(key, _)| key.clone()).collect();
        missing_of(board, &missing, generation)
    }

    /// Notes what came of it, and says it.
    async fn end(
        mut self,
        ending: Ending,
        cancels: &[Entry],
        gone: Vec<Proxy>,
        board: &Board,
    ) -> Scheduled {
        let missing: &[Unshown] = match &ending {
            Ending::Missing(missing) | Ending::Interrupted(missing) => missing,
            Ending::Cancelled { unheard, .. } => unheard,
            Ending::Already | Ending::Activated | Ending::Superseded { .. } => &[],
        };
        let at = Instant::now();
        let shown = board.proxies().into_iter();
        let shown: Vec<_> = shown
            .filter(|proxy| missing.iter().all(|one| one.proxy != *proxy))
            .map(|proxy| Shown { proxy, at })
            .collect();
        let kind = ending.kind();
        let note = |entry: &Entry, kind: Kind| Entry {
            shown: shown.iter().map(|one| one.proxy.to_string()).collect(),
            missing: missing.iter().map(Absent::from).collect(),
            in_doubt: ending.in_doubt().iter().map(ToString::to_string).collect(),
            gone: gone.iter().map(ToString::to_string).collect(),
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
            late: named(board, &self.protocol.late()),
            unseen: vec![],
            shown,
            ending,
            gone,
            warnings: self.warnings,
        }
    }

    async fn note(&mut self, entry: &Entry) {
        if let Err(error) = self.pen.target.note(entry).await {
            self.warnings.push(error.to_string());
            self.warnings.dedup();
        }
    }

    /// Tells what is new, and notes that all is ready.
    async fn tell(
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

    fn tell_written(&self) {
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

    fn step(&self, step: Step) {
        self.steps.as_ref().map(|steps| steps.send(step));
    }
}

fn overtaken(state: State) -> Ending {
    Ending::Superseded {
        generation: state.generation.map_or(0, Generation::get),
        by: None,
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
