//! Stage, look, decide at the gate, confirm; or cancel, and see to it that the cancel is heard.

use super::{Action, Clock, Clocks, Due, Hold, Lag, MOST_HOLD_MS, OnLag, Outcome, Terms, View};
use crate::{Generation, InvalidGeneration};
use std::collections::{BTreeMap, BTreeSet};

/// A switch at one instant, as its operator goes through it. `K` names a proxy, or a service in one.
///
/// Everybody that is shown to [`step`](Self::step) has to come along; who is not shown any more has
/// left the fleet, and is not waited for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Protocol<K: Ord> {
    terms: Terms,
    due: Due,
    generation: Generation,
    phase: Phase<K>,
    /// What was seen of each proxy under this generation.
    known: BTreeMap<K, Known>,
    is_stopped: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase<K: Ord> {
    Begin,
    Staging {
        /// Since when it was to be staged as it is now, with this hold.
        since: u64,
    },
    Confirming {
        late: BTreeSet<K>,
    },
    Cancelling {
        why: BTreeMap<K, Lag>,
        /// What is taken back.
        staged: Generation,
        /// Those that had switched before they heard of it: their clocks are ahead.
        switched: BTreeSet<K>,
        /// Those that showed the cancel before the window opened. Whoever did so later may have switched
        /// in between.
        in_time: BTreeSet<K>,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Known {
    has_answered: bool,
    is_staged: bool,
    part: Part,
    rules: bool,
    clock: Option<Clock>,
}

/// What part a proxy has in what is said at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Part {
    /// It came when the window had opened, and has served nobody before.
    #[default]
    Newcomer,
    /// It was there when the operator began, or at least before the window opened.
    Member,
    /// It had also staged the switch at the last look before the window opened.
    InTime,
}

impl<K: Ord + Clone> Protocol<K> {
    /// A switch that is yet to be pushed, under this generation.
    pub fn new(terms: Terms, generation: Generation) -> Self {
        Self {
            terms,
            due: terms.due,
            generation,
            phase: Phase::Begin,
            known: BTreeMap::new(),
            is_stopped: false,
        }
    }

    /// A switch that was pushed under this generation by somebody who is gone.
    pub fn resume(terms: Terms, generation: Generation) -> Self {
        Self {
            phase: Phase::Staging { since: 0 },
            ..Self::new(terms, generation)
        }
    }

    /// The newest generation that was pushed, or is to be.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// When the switch activates, with the hold that it has by now.
    pub fn due(&self) -> Due {
        self.due
    }

    /// Whether it has been decided that the switch goes on.
    pub fn is_through(&self) -> bool {
        matches!(self.phase, Phase::Confirming { .. })
    }

    /// Whether the switch is being taken back.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.phase, Phase::Cancelling { .. })
    }

    /// Those that had not staged it when it was decided that it goes on, or say that they were late.
    pub fn late(&self) -> BTreeSet<K> {
        match &self.phase {
            Phase::Confirming { late } => late.clone(),
            _ => BTreeSet::new(),
        }
    }

    /// Those that were there before the window opened, and were never seen to have staged it by then: whether they
    /// switched in time, nobody knows. Late ones are not among them.
    pub fn unseen(&self) -> BTreeSet<K> {
        let Phase::Confirming { late } = &self.phase else {
            return BTreeSet::new();
        };
        let unseen = |key: &K, known: &Known| known.part == Part::Member && !late.contains(key);
        let known = self.known.iter();
        let unseen = known.filter(|(key, known)| unseen(key, known));
        unseen.map(|(key, _)| key.clone()).collect()
    }

    /// Asks for a cancel: at the next step, where that is not too late. It is once the window opens: a
    /// cancel would then reach some proxies before their turn and some after it.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// What to do, now that it is this late and proxies show this; none for one that gives no answer.
    ///
    /// # Errors
    /// No generation is left for a restage or a cancel.
    pub fn step(
        &mut self,
        now: u64,
        views: &BTreeMap<K, Option<View>>,
    ) -> Result<Action<K>, InvalidGeneration> {
        if matches!(self.phase, Phase::Begin) {
            self.phase = Phase::Staging { since: now };
            return Ok(self.stage());
        }
        self.remember(now, views);
        if let Some(superseded) = self.superseded(views) {
            return Ok(Action::Done(superseded));
        }
        match &mut self.phase {
            Phase::Begin | Phase::Staging { .. } => self.before_the_gate(now, views),
            Phase::Confirming { late } => {
                late.extend(names(views, |view| view.is_some_and(|view| view.late)));
                let (late, unseen, generation) = (self.late(), self.unseen(), self.generation);
                let missing = names(views, |view| !shows(view, generation));
                let closes = self.due.closes();
                let last = closes.saturating_add(self.terms.patience);
                Ok(match missing {
                    missing if missing.is_empty() => Action::Done(Outcome::Activated {
                        generation,
                        late,
                        unseen,
                    }),
                    missing if now >= last => Action::Done(Outcome::Missing {
                        generation,
                        late,
                        unseen,
                        missing,
                    }),
                    _ if now < closes => Action::Wait { until: closes },
                    _ => Action::Wait { until: last },
                })
            }
            Phase::Cancelling {
                why,
                staged,
                switched,
                in_time,
            } => {
                let (generation, staged) = (self.generation, Some(*staged));
                let has_switched =
                    |view: Option<View>| view.is_some_and(|view| view.generation == staged);
                switched.extend(names(views, has_switched));
                let unheard = names(views, |view| !shows(view, generation));
                if now < self.due.opens() {
                    in_time.extend(names(views, |view| shows(view, generation)));
                }
                let last = self.due.closes().saturating_add(self.terms.patience);
                if !unheard.is_empty() && now < last {
                    let until = if now < self.due.opens() {
                        self.due.opens()
                    } else {
                        last
                    };
                    return Ok(Action::Wait { until });
                }
                let was_old = |key: &K| in_time.contains(key) && !switched.contains(key);
                let in_doubt = views.keys().filter(|key| !was_old(key));
                Ok(Action::Done(Outcome::Cancelled {
                    generation,
                    why: why.clone(),
                    in_doubt: in_doubt.cloned().collect(),
                    unheard,
                }))
            }
        }
    }

    /// For whose sake the switch is taken back; nobody's, where it goes on or somebody stopped it.
    pub fn why(&self) -> BTreeMap<K, Lag> {
        match &self.phase {
            Phase::Cancelling { why, .. } => why.clone(),
            _ => BTreeMap::new(),
        }
    }

    /// The proxies that are not ready for the instant, and why; all are before it was staged.
    pub fn lags(&self, now: u64, views: &BTreeMap<K, Option<View>>) -> BTreeMap<K, Lag> {
        let lag = |key: &K| {
            let known = self.known.get(key).copied().unwrap_or_default();
            self.lag(now, known)
        };
        let lags = views
            .keys()
            .filter_map(|key| Some((key.clone(), lag(key)?)));
        lags.collect()
    }

    fn lag(&self, now: u64, known: Known) -> Option<Lag> {
        let worst = self.due.hold_ms.saturating_mul(1_000);
        match (known, known.clock) {
            (Known { rules: true, .. }, _) => (now < self.due.opens()).then_some(Lag::Early),
            (
                Known {
                    has_answered: false,
                    ..
                },
                _,
            ) => Some(Lag::Silent),
            (
                Known {
                    is_staged: false, ..
                },
                _,
            ) => Some(Lag::NotStaged),
            _ if self.terms.clocks == Clocks::PassedOver => None,
            (_, None) => Some(Lag::Unmeasured),
            (_, Some(clock)) if clock.worst() > worst => Some(Lag::ClockOff(clock)),
            _ => None,
        }
    }

    fn before_the_gate(
        &mut self,
        now: u64,
        views: &BTreeMap<K, Option<View>>,
    ) -> Result<Action<K>, InvalidGeneration> {
        let may_be_cancelled = now < self.due.opens();
        if self.is_stopped && may_be_cancelled {
            return self.cancel(now, BTreeMap::new());
        }
        let lags = self.lags(now, views);
        if self.terms.on_lag == OnLag::Cancel && may_be_cancelled {
            let hopeless = lags.iter().filter(|(_, lag)| self.is_hopeless(**lag));
            let hopeless: BTreeMap<_, _> = hopeless.map(|(key, lag)| (key.clone(), *lag)).collect();
            if !hopeless.is_empty() {
                return self.cancel(now, hopeless);
            }
        }
        let gate = self.gate();
        if let Some(due) = self.longer_hold(now, &lags) {
            // Another look may tell a clock better, and who comes in the window waits for all of the hold: half of the
            // time is for looking, half for staging it again.
            let since = match self.phase {
                Phase::Staging { since } => since,
                _ => now,
            };
            let until = since.midpoint(gate).min(self.last_staging(due));
            if now < until && !lags.values().any(|lag| self.is_off_for_certain(*lag)) {
                return Ok(Action::Wait { until });
            }
            self.generation = after(self.generation, now)?;
            self.due = due;
            self.phase = Phase::Staging { since: now };
            self.known.clear();
            return Ok(self.stage());
        }
        if now < gate {
            return Ok(Action::Wait { until: gate });
        }
        if !lags.is_empty() && self.terms.on_lag == OnLag::Cancel && may_be_cancelled {
            return self.cancel(now, lags);
        }
        // One that has not answered since the window opened may have been in time all the same: it is unseen.
        let unready = |lag: &Lag| match lag {
            Lag::Unmeasured | Lag::ClockOff(_) => false,
            Lag::Silent => may_be_cancelled,
            _ => true,
        };
        let late = lags.iter().filter(|(_, lag)| unready(lag));
        self.phase = Phase::Confirming {
            late: late.map(|(key, _)| key.clone()).collect(),
        };
        let until = self.due.closes().max(now);
        Ok(Action::Wait { until })
    }

    /// The hold that the clocks ask for, where nothing else is wrong and there is time to stage it.
    fn longer_hold(&self, now: u64, lags: &BTreeMap<K, Lag>) -> Option<Due> {
        if self.terms.hold == Hold::Given || lags.is_empty() {
            return None;
        }
        let worst = lags.values().try_fold(0, |worst, lag| match lag {
            Lag::ClockOff(clock) => Some(clock.worst().max(worst)),
            _ => None,
        })?;
        let due = Due {
            hold_ms: worst.saturating_mul(2).div_ceil(1_000),
            ..self.due
        };
        (due.hold_ms <= MOST_HOLD_MS && now <= self.last_staging(due)).then_some(due)
    }

    /// When it may still be staged again: as long before the gate as a cancel would have after it.
    fn last_staging(&self, due: Due) -> u64 {
        let margins = self.terms.margin.saturating_mul(2);
        due.opens().saturating_sub(margins)
    }

    /// Whether there is nothing to wait for: a proxy that has switched already serves the new color alone, and one whose
    /// clock no hold covers may do so long before the gate.
    fn is_hopeless(&self, lag: Lag) -> bool {
        match (lag, self.terms.hold) {
            (Lag::Early, _) => true,
            (Lag::ClockOff(clock), Hold::FromClocks) => clock.is_beyond_holds(),
            (_, Hold::Given) => self.is_off_for_certain(lag),
            (_, Hold::FromClocks) => false,
        }
    }

    /// Whether a clock needs a longer hold, however well it were known.
    fn is_off_for_certain(&self, lag: Lag) -> bool {
        let hold = self.due.hold_ms.saturating_mul(1_000);
        matches!(lag, Lag::ClockOff(clock) if clock.least() > hold)
    }

    /// When it is decided, with the hold that it has by now.
    fn gate(&self) -> u64 {
        self.due.opens().saturating_sub(self.terms.margin)
    }

    fn stage(&self) -> Action<K> {
        Action::Stage {
            generation: self.generation,
            due: self.due,
        }
    }

    fn cancel(&mut self, now: u64, why: BTreeMap<K, Lag>) -> Result<Action<K>, InvalidGeneration> {
        let staged = self.generation;
        self.generation = after(staged, now)?;
        let early = why.iter().filter(|(_, lag)| matches!(lag, Lag::Early));
        self.phase = Phase::Cancelling {
            switched: early.map(|(key, _)| key.clone()).collect(),
            why,
            staged,
            in_time: BTreeSet::new(),
        };
        Ok(Action::Cancel {
            generation: self.generation,
        })
    }

    /// Keeps what was seen of a proxy: one that has staged the switch and falls silent still has it.
    fn remember(&mut self, now: u64, views: &BTreeMap<K, Option<View>>) {
        let is_before = now < self.due.opens();
        let is_first = self.known.is_empty();
        self.known.retain(|key, _| views.contains_key(key));
        for (key, view) in views {
            let known = self.known.entry(key.clone()).or_default();
            if known.part == Part::Newcomer && (is_before || is_first) {
                known.part = Part::Member;
            }
            let Some(view) = view else { continue };
            let is_staged = view.staged == Some(self.generation);
            let part = match (is_before, is_staged) {
                (true, true) => Part::InTime,
                (true, false) => Part::Member,
                (false, _) => known.part,
            };
            *known = Known {
                has_answered: true,
                is_staged,
                part,
                rules: view.generation == Some(self.generation),
                clock: view.clock.or(known.clock),
            };
        }
    }

    fn superseded(&self, views: &BTreeMap<K, Option<View>>) -> Option<Outcome<K>> {
        let mut shown = views.iter().filter_map(|(key, view)| {
            let view = view.as_ref()?;
            Some((view.generation.max(view.staged)?, key))
        });
        let (generation, by) = shown.find(|(shown, _)| *shown > self.generation)?;
        Some(Outcome::Superseded {
            generation,
            by: by.clone(),
        })
    }
}

/// The next generation.
fn after(generation: Generation, now: u64) -> Result<Generation, InvalidGeneration> {
    Generation::after(Some(generation), now / 1_000)
}

/// Whether a proxy has that generation for what rules, and nothing staged.
fn shows(view: Option<View>, generation: Generation) -> bool {
    view.is_some_and(|view| view.generation == Some(generation) && view.staged.is_none())
}

fn names<K: Ord + Clone>(
    views: &BTreeMap<K, Option<View>>,
    is_meant: impl Fn(Option<View>) -> bool,
) -> BTreeSet<K> {
    let meant = views.iter().filter(|(_, view)| is_meant(**view));
    meant.map(|(key, _)| key.clone()).collect()
}
