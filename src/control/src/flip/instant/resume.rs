//! Taking up a staged switch whose operator is gone: to see it through, or to take it back.

use super::{Intent, Look, Scheduled, conduct::Conductor, pen::Pen, services};
use crate::{
    Entry, Fleet, FlipError, Interrupt, Kind, State, Target, Written,
    clock::{ClockLine, micros},
    flip::{Aim, outlook::look, write::How},
    gate,
    watch::Steps,
};
use cutover_core::{
    Generation, Service, Switch,
    fleet::{Clocks, Due, Hold, OnLag, Protocol, Terms},
};
use std::time::{Duration, Instant};

/// What shall become of a staged switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumption {
    /// It is seen through, as if its operator were still there.
    Resume,
    /// It is taken back.
    Cancel,
}

/// Which staged switch, and what shall become of it.
#[derive(Clone, Debug)]
pub struct ResumeRequest {
    /// The services; all that are staged for the same instant, where none is named.
    pub services: Vec<String>,
    /// What shall become of them.
    pub resumption: Resumption,
    /// How long before the window every proxy must have staged it.
    pub margin: Duration,
    /// What becomes of it when one has not.
    pub on_lag: OnLag,
    /// The Envoys that must stage and show it.
    pub fleet: Fleet,
    /// How long they may take to show it once it has activated.
    pub deadline: Duration,
    /// Passes over clocks that are further off than the hold, and over another process that sees to it.
    pub force: bool,
    /// In a cluster: takes fields of the switch that others own.
    pub take_fields: bool,
    /// Why, for the journal.
    pub reason: Option<String>,
    /// Stops it, as in a flip.
    pub interrupt: Interrupt,
    /// Told of what happens on the way.
    pub steps: Steps,
}

/// Takes up the switch that the configuration has staged, and returns as [`flip_at`](super::flip_at) does.
pub async fn resume(target: &Target, request: &ResumeRequest) -> Result<Scheduled, FlipError> {
    let line = ClockLine::start();
    let document = target.read().await?;
    let plan = document.plan()?;
    let all: Vec<&Service> = match request.services.as_slice() {
        [] => plan.services().iter().map(AsRef::as_ref).collect(),
        names => services(&plan, names)?,
    };
    let staged = staged(&all, &request.services, line.now())?;
    let (generation, due) = (staged.generation, staged.due);
    if request.resumption == Resumption::Cancel && line.now() >= due.opens() {
        return Err(FlipError::TooLate {
            services: staged.names(),
            active: staged.active(),
            at: due.at_ms,
        });
    }
    let journal = target.entries().await.unwrap_or_default();
    if request.resumption == Resumption::Resume && !request.force {
        let watched = staged.names();
        let mut watched = watched.iter();
        if let Some(refusal) = watched.find_map(|name| gate::under_way(&journal, name)) {
            return Err(FlipError::Refused(vec![refusal]));
        }
    }
    // They may be silent: who they are has to be known, and what they had counted before.
    let looks = look(&document, &[], &request.fleet, Aim::Other, true).await;
    let terms = Terms {
        due,
        hold: Hold::Given,
        margin: micros(request.margin),
        patience: micros(request.deadline),
        on_lag: request.on_lag,
        clocks: if request.force {
            Clocks::PassedOver
        } else {
            Clocks::Checked
        },
    };
    let (mut begun, mut warnings) = (vec![], vec![]);
    for (service, switch) in &staged.changes {
        let noted = journal.iter().rev().find(|entry| {
            entry.kind == Kind::Begun
                && entry.service == *service
                && entry.to.generation == Some(generation)
        });
        if let Some(noted) = noted {
            begun.push(noted.clone());
            continue;
        }
        let before = ruled(switch);
        let mut fresh = Entry::begun("flip", service, (&before).into(), switch.into());
        fresh.due_at(due);
        if let Err(error) = target.note(&fresh).await {
            warnings.push(error.to_string());
        }
        begun.push(fresh);
    }
    if request.resumption == Resumption::Resume
        && line.now() >= due.closes()
        && let Some(already) = staged.already(&journal, &looks)
    {
        return Ok(already);
    }
    let now = Instant::now();
    let written = staged.changes.iter().map(|(service, switch)| Written {
        service: service.clone(),
        before: ruled(switch),
        generation: generation.get(),
        active: switch.active,
        invoked: now,
        written: now,
        warnings: vec![],
        gone: vec![],
    });
    let conductor = Conductor {
        protocol: Protocol::resume(terms, generation),
        pen: Pen {
            target: target.clone(),
            how: How {
                gated: false,
                takes_fields: request.take_fields,
            },
            reason: request.reason.clone(),
        },
        fleet: request.fleet.clone(),
        names: document.names().to_vec(),
        known: looks,
        written: written.collect(),
        changes: staged.changes,
        begun,
        warnings,
        interrupt: request.interrupt.clone(),
        steps: request.steps.clone(),
        line,
        is_asked_to_cancel: request.resumption == Resumption::Cancel,
        why: vec![],
    };
    conductor.conduct().await
}

/// What is staged for one instant.
struct Staged {
    generation: Generation,
    due: Due,
    changes: Vec<(String, Switch)>,
}

impl Staged {
    fn names(&self) -> Vec<String> {
        self.changes.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Where it has been seen through by now: the journal has its end, and every Envoy shows it.
    fn already(&self, journal: &[Entry], looks: &[Look]) -> Option<Scheduled> {
        let intents = self.changes.iter().map(|(service, switch)| Intent {
            service: service.clone(),
            before: *switch,
            to: switch.active,
        });
        let intents: Vec<_> = intents.collect();
        let has_end = |intent: &Intent| {
            journal.iter().any(|entry| {
                entry.kind == Kind::Activated
                    && entry.service == intent.service
                    && entry.to.generation == Some(self.generation)
            })
        };
        let is_over = |intent: &Intent| has_end(intent) && intent.is_done(looks);
        (!looks.is_empty() && intents.iter().all(is_over))
            .then(|| Scheduled::already(&intents, looks))
    }

    fn active(&self) -> Option<cutover_core::Color> {
        self.changes.first().map(|(_, switch)| switch.active)
    }
}

/// The switches that wait for the same instant; those of the last one, when none waits any more.
fn staged(all: &[&Service], named: &[String], now: u64) -> Result<Staged, FlipError> {
    let with_instant = all.iter().filter_map(|service| {
        let switch = *service.switch();
        let due = switch.activation?;
        let due = Due {
            at_ms: due.at(),
            hold_ms: due.hold().into(),
        };
        Some((switch.generation?, due, (service.name().to_owned(), switch)))
    });
    let mut with_instant: Vec<_> = with_instant.collect();
    let waiting = |(_, due, _): &(Generation, Due, _)| now < due.closes();
    if with_instant.iter().any(waiting) {
        with_instant.retain(waiting);
    } else if let Some(last) = with_instant.iter().map(|(_, due, _)| *due).max() {
        with_instant.retain(|(_, due, _)| *due == last);
    }
    let Some((generation, due, _)) = with_instant.first().cloned() else {
        let states = all.iter().map(|service| {
            let state = State::from(service.switch());
            format!("{} is {state}", service.name())
        });
        return Err(FlipError::NothingStaged(states.collect()));
    };
    if with_instant
        .iter()
        .any(|(other, at, _)| (*other, *at) != (generation, due))
    {
        let known = with_instant.into_iter().map(|(_, _, (name, _))| name);
        return Err(FlipError::StagedApart(known.collect()));
    }
    let lacks = |name: &&String| with_instant.iter().all(|(_, _, (one, _))| one != *name);
    if let Some(name) = named.iter().find(lacks) {
        return Err(FlipError::NothingStaged(vec![format!(
            "{name} has nothing staged"
        )]));
    }
    Ok(Staged {
        generation,
        due,
        changes: with_instant
            .into_iter()
            .map(|(_, _, change)| change)
            .collect(),
    })
}

/// What ruled before a staged switch.
fn ruled(switch: &Switch) -> Switch {
    Switch {
        generation: switch.previous.map(|rules| rules.generation),
        active: switch.previous.map_or(switch.active, |rules| rules.active),
        previous: None,
        activation: None,
    }
}
