//! Going through the protocol: proxies are followed, switches written, and what came of them noted.

use super::{
    Ending, Lagging, Look, Scheduled,
    board::{Board, Key},
    pen::{Hindrance, Pen},
    tell::Told,
};
use crate::{
    Entry, Fleet, FlipError, Interrupt, Kind, Names, Proxy, State, Written,
    clock::ClockLine,
    flip::write::Put,
    watch::{Step, Steps},
};
use cutover_core::{
    Generation, Switch,
    fleet::{Action, Due, Protocol},
};
use std::time::{Duration, Instant};
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
                Action::Cancel { generation } => match self.cancel(generation, &board).await {
                    Ok(begun) => cancels = begun,
                    Err(Hindrance::Overtaken(state)) => break overtaken(state),
                    Err(Hindrance::Failed(error)) if self.interrupt.is_insisted() => {
                        self.warnings.push(error.to_string());
                        break Ending::Stopped {
                            cancel: None,
                            in_doubt: vec![],
                            unheard: vec![],
                        };
                    }
                    Err(Hindrance::Failed(error)) => {
                        return Err(self.not_cancelled(error).await);
                    }
                },
                Action::Done(outcome) => break self.ending(outcome, &board),
                Action::Wait { .. }
                    if self.protocol.is_cancelled() && self.interrupt.is_insisted() =>
                {
                    let unheard = self.unshown(&board, &views);
                    break Ending::Stopped {
                        cancel: Some(self.protocol.generation()),
                        in_doubt: unheard.iter().map(|one| one.proxy.clone()).collect(),
                        unheard,
                    };
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
                        () = self.interrupt.insisted(), if is_stopped => {}
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
        Ok(self.end(ending, &cancels, gone, &board).await)
    }

    /// Writes the switches again, with a longer hold.
    async fn stage_again(
        &mut self,
        generation: Generation,
        due: Due,
        board: &Board,
    ) -> Result<(), String> {
        let staged = self.staged();
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
                let mut begun = Entry::begun(&before.verb, service, before.from, switch.into());
                begun.reason.clone_from(&self.pen.reason);
                begun.due_at(due);
                begun
            });
        let begun: Vec<_> = begun.collect();
        let until = self.line.instant(due.opens());
        let Some(staged) = staged else {
            return Err("nothing is staged".to_owned());
        };
        let over = self
            .pen
            .over(staged, &changes, &begun, until, &self.interrupt);
        match over.await {
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
        board: &Board,
    ) -> Result<Vec<Entry>, Hindrance> {
        let staged = self.staged().unwrap_or(generation);
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
            self.lagging(&self.protocol.why(), board)
        };
        self.step(Step::Cancelling {
            why: why.iter().map(ToString::to_string).collect(),
            is_stopped: self.interrupt.is_raised(),
        });
        self.why = why;
        let until = self.line.instant(self.protocol.due().closes());
        let over = self
            .pen
            .over(staged, &changes, &begun, until, &self.interrupt);
        let put = over.await?;
        self.put(put);
        Ok(begun)
    }

    /// The generation that is staged.
    pub(super) fn staged(&self) -> Option<Generation> {
        let switch = self.changes.first().map(|(_, switch)| switch)?;
        switch.generation
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
            self.note(&begun.ended(Kind::NotCancelled, begun.took()))
                .await;
        }
        let (services, due) = (self.changes.iter(), self.protocol.due());
        FlipError::NotCancelled {
            services: services.map(|(name, _)| name.clone()).collect(),
            active: self.changes.first().map(|(_, switch)| switch.active),
            at: due.at_ms,
            reason: Box::new(error),
        }
    }
}

fn overtaken(state: State) -> Ending {
    Ending::Superseded {
        generation: state.generation.map_or(0, Generation::get),
        by: None,
    }
}
