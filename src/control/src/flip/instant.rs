//! A flip of a whole fleet at one instant: staged, looked at, and seen through or taken back.
//!
//! What is decided is decided by [`cutover_core::fleet`]; here proxies are asked and switches written.

mod board;
mod conduct;
mod ending;
mod outcome;
mod pen;
mod resume;
mod schedule;
mod tell;

pub use ending::{Ending, InMilliseconds, Lagging, Measured, Scheduled};
pub use resume::{ResumeRequest, Resumption, resume};
pub use schedule::{InvalidInstant, Schedule, USUAL_HOLD_MS, USUAL_LEAD, When, usual_margin};

use super::{
    Aim, FlipError, Written,
    change::{Intent, generation_after},
    outlook::{Look, look},
    write::{self, How},
};
use crate::{
    Document, Entry, Fleet, Interrupt, Locked, State, Target, TargetError, clock::ClockLine,
    service_of, watch::Steps,
};
use conduct::Conductor;
use cutover_core::{
    Activation, Generation, Service, Switch,
    fleet::{Due, Protocol},
};
use pen::Pen;
use std::time::Duration;

/// What to flip at one instant, and whom to ask about it.
#[derive(Clone, Debug)]
pub struct InstantRequest {
    /// The services; the only one, where none is named. They switch by one write.
    pub services: Vec<String>,
    /// The color, or the way back.
    pub aim: Aim,
    /// When, and what is asked of the proxies until then.
    pub schedule: Schedule,
    /// Refuses unless this is the generation of the file, and no proxy shows a newer one.
    pub expect_generation: Option<u64>,
    /// Refuses unless the file still says this of each service: what a person saw when they agreed.
    pub agreed: Vec<(String, State)>,
    /// The generation to write; else the next.
    pub generation: Option<u64>,
    /// The Envoys that must stage and show it.
    pub fleet: Fleet,
    /// How long they may take to show it once it has activated.
    pub deadline: Duration,
    /// Passes over the gates, and over clocks that are further off than the hold.
    pub force: bool,
    /// In a cluster: takes fields of the switch that others own.
    pub take_fields: bool,
    /// Why, for the journal.
    pub reason: Option<String>,
    /// Stops it: takes the switch back, where it is not too late.
    pub interrupt: Interrupt,
    /// Told of what happens on the way.
    pub steps: Steps,
}

/// Stages a switch, and returns once every Envoy shows it, or it was taken back.
///
/// Nothing is written where an Envoy cannot be asked, the gates refuse, or the instant is too near, past,
/// or too far. What comes of a switch that was written is told by [`Scheduled`]; an error then means that
/// it could not be taken back ([`FlipError::NotCancelled`]) or not be written again.
pub async fn flip_at(target: &Target, request: &InstantRequest) -> Result<Scheduled, FlipError> {
    tokio::select! {
        biased;
        () = request.interrupt.raised() => return Err(stopped()),
        prepared = prepare(target, request) => prepared?,
    }
    .carry_out(target, request)
    .await
}

fn stopped() -> FlipError {
    FlipError::Interrupted {
        written: None,
        shown: vec![],
        missing: vec![],
    }
}

/// What was seen before anything is written.
struct Prepared {
    document: Document,
    looks: Vec<Look>,
    lock: Option<Locked>,
    line: ClockLine,
}

async fn prepare(target: &Target, request: &InstantRequest) -> Result<Prepared, FlipError> {
    let line = ClockLine::start();
    // Said at once where it can be, and again when it is written.
    request.schedule.due(line.now())?;
    if let Some(file) = target.file() {
        file.own_metadata()?;
    }
    let document = target.read().await?;
    let plan = document.plan()?;
    let services = services(&plan, &request.services)?;
    let aim = match request.aim {
        Aim::Back => Aim::Other,
        aim => aim,
    };
    let looks = look(&document, &services, &request.fleet, aim, request.force).await;
    let silent: Vec<_> = looks.iter().filter_map(Look::silence).collect();
    if !silent.is_empty() {
        return Err(FlipError::Unreachable(silent));
    }
    let Some(file) = target.file() else {
        return Ok(Prepared {
            document,
            looks,
            lock: None,
            line,
        });
    };
    let lock = write::lock(file, write::LOCK_PATIENCE).await?;
    let found = lock.read()?;
    if found.to_bytes() != document.to_bytes() {
        let (before, now) = (intents(&document, request)?, intents(&found, request)?);
        let pairs = before.iter().zip(&now);
        let changed = pairs
            .clone()
            .find(|(before, now)| before.before != now.before);
        let Some((before, now)) = changed.or(pairs.clone().next()) else {
            return Err(stopped());
        };
        return Err(FlipError::Raced {
            service: before.service.clone(),
            before: (&before.before).into(),
            found: (&now.before).into(),
        });
    }
    Ok(Prepared {
        document: found,
        looks,
        lock: Some(lock),
        line,
    })
}

/// Those that are named; the only one, where none is.
fn services<'p>(
    plan: &'p cutover_core::Plan,
    names: &[String],
) -> Result<Vec<&'p Service>, FlipError> {
    if names.is_empty() {
        return Ok(vec![service_of(plan, None)?]);
    }
    let mut services: Vec<&Service> = vec![];
    for name in names {
        let service = service_of(plan, Some(name))?;
        if !services.contains(&service) {
            services.push(service);
        }
    }
    Ok(services)
}

fn intents(document: &Document, request: &InstantRequest) -> Result<Vec<Intent>, FlipError> {
    let plan = document.plan()?;
    let services = services(&plan, &request.services)?;
    let intent = |service: &Service| {
        let agreed = request
            .agreed
            .iter()
            .find(|(name, _)| name == service.name());
        Intent::of(
            document,
            Some(service.name()),
            request.aim,
            request.expect_generation,
            agreed.map(|(_, state)| *state),
        )
    };
    services.into_iter().map(intent).collect()
}

impl Prepared {
    async fn carry_out(
        self,
        target: &Target,
        request: &InstantRequest,
    ) -> Result<Scheduled, FlipError> {
        let Self {
            document,
            looks,
            lock,
            line,
        } = self;
        let mut intents = intents(&document, request)?;
        for intent in &intents {
            intent.check_proxies(request.expect_generation, &looks)?;
        }
        let already = Scheduled::already(&intents, &looks);
        intents.retain(|intent| !intent.is_done(&looks));
        if intents.is_empty() {
            return Ok(already);
        }
        let mut warnings = gates(target, request, &document, &intents, &looks).await?;
        let newest = intents
            .iter()
            .filter_map(|intent| intent.newest(&looks))
            .max();
        let (generation, more) = generation_after(newest, request.generation)?;
        warnings.extend(more);
        // A longer hold takes one above it, and a cancel another one: without them it could not be taken back.
        let above = Generation::after(Some(generation), 0)?;
        Generation::after(Some(above), 0)?;
        let due = request.schedule.due(line.now())?;
        let changes = staged(&intents, generation, due);
        if request.interrupt.is_raised() {
            return Err(stopped());
        }
        let begun: Vec<_> = intents
            .iter()
            .zip(&changes)
            .map(|(intent, (_, switch))| {
                let verb = match request.aim {
                    Aim::Back => "rollback",
                    Aim::To(_) | Aim::Other => "flip",
                };
                let before = State::from(&intent.before);
                let mut begun = Entry::begun(verb, &intent.service, before, switch.into());
                begun.reason.clone_from(&request.reason);
                begun.due_at(due);
                begun
            })
            .collect();
        let pen = Pen {
            target: target.clone(),
            how: How {
                gated: request.aim != Aim::Back,
                takes_fields: request.take_fields || request.aim == Aim::Back,
            },
            reason: request.reason.clone(),
        };
        let switched = pen::with(&document, &changes)?;
        let put = match (target, lock) {
            (Target::File(file), Some(lock)) => {
                let bytes = switched.to_bytes();
                write::to_file(file, lock, pen.how.gated, begun.clone(), bytes).await?
            }
            (Target::Kube(kube), _) => write::to_plugin(kube, pen.how, &begun, &switched).await?,
            (Target::File(file), None) => {
                return Err(TargetError::Missing(file.path().to_owned()).into());
            }
        };
        warnings.extend(put.warnings.clone());
        let terms = request.schedule.terms(due, request.deadline, request.force);
        let mut protocol = Protocol::new(terms, generation);
        // What it begins with is written.
        protocol.step(line.now(), &std::collections::BTreeMap::new())?;
        let written = intents.iter().zip(&changes).map(|(intent, (_, switch))| {
            let mut written = intent.written(switch, put.invoked);
            written.written = put.written;
            written
        });
        let conductor = Conductor {
            protocol,
            pen,
            fleet: request.fleet.clone(),
            names: document.names().to_vec(),
            known: looks,
            changes: changes.clone(),
            written: written.collect(),
            begun,
            warnings,
            interrupt: request.interrupt.clone(),
            steps: request.steps.clone(),
            line,
            is_asked_to_cancel: false,
            why: vec![],
        };
        conductor.conduct().await
    }
}

/// What the gates have against it: an error, or what it is warned of.
async fn gates(
    target: &Target,
    request: &InstantRequest,
    document: &Document,
    intents: &[Intent],
    looks: &[Look],
) -> Result<Vec<String>, FlipError> {
    let mut refusals = vec![];
    // A way back is not held against what was tried before.
    let journal = match request.aim {
        Aim::Back => vec![],
        Aim::To(_) | Aim::Other => match target.entries().await {
            Err(_) if request.force => vec![],
            journal => journal?,
        },
    };
    for intent in intents {
        let found = match request.aim {
            Aim::Back => intent.nowhere(document, looks)?,
            Aim::To(_) | Aim::Other => intent.refusals(target, &journal, document, looks)?,
        };
        for refusal in found {
            if !refusals.contains(&refusal) {
                refusals.push(refusal);
            }
        }
    }
    let plan = document.plan()?;
    if request.aim == Aim::Back {
        for intent in intents {
            let service = service_of(&plan, Some(&intent.service))?;
            if let Some(staged) = crate::gate::staged(service, super::unix_ms()) {
                // Nothing to go back from: the way back from that is its cancel.
                return Err(FlipError::Refused(vec![staged]));
            }
        }
    }
    if !request.force && request.aim != Aim::Back && !refusals.is_empty() {
        return Err(FlipError::Refused(refusals));
    }
    Ok(refusals
        .iter()
        .map(|one| request.aim.in_spite_of(one))
        .collect())
}

/// The switches that are staged, by service.
fn staged(intents: &[Intent], generation: Generation, due: Due) -> Vec<(String, Switch)> {
    let switch = |intent: &Intent| (intent.service.clone(), intent.staged(generation, due));
    intents.iter().map(switch).collect()
}

/// A due time as a configuration has it.
pub(crate) fn activation(due: Due) -> Option<Activation> {
    Activation::new(due.at_ms, u32::try_from(due.hold_ms).ok()?)
}
