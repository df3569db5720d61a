//! How a flip is carried out: look, lock, compare, note, replace, watch, note.

use super::{
    Aim, FlipError, Flipped, Written,
    change::{Change, Intent},
    outlook::{Look, look},
    write::{self, How},
};
use crate::{
    Absent, Document, Entry, FileTarget, Fleet, Interrupt, Kind, Locked, Names, Refusal, State,
    Stats, Target, TargetError, service_of,
    watch::{self, Goal, Outcome, Shown, Step, Steps, Unshown, Watched},
};
use cutover_core::Color;
use cutover_kube::ApplyError;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// How often a way back is written again because another writer came in between.
const TRIES_ON_THE_WAY_BACK: usize = 10;

/// A flip or a way back, whichever way it was asked for.
pub(super) struct Order<'r> {
    pub(super) aim: Aim,
    pub(super) service: Option<&'r str>,
    pub(super) expect: Option<u64>,
    pub(super) agreed: Option<State>,
    pub(super) generation: Option<u64>,
    pub(super) fleet: &'r Fleet,
    pub(super) deadline: Duration,
    pub(super) force: bool,
    /// Takes fields of the switch that others own in the cluster.
    pub(super) take_fields: bool,
    pub(super) reason: Option<&'r str>,
    pub(super) interrupt: &'r Interrupt,
    pub(super) steps: &'r Steps,
}

impl Order<'_> {
    /// The lock of a file is held only while it is read again, compared and replaced: neither while
    /// Envoys are asked beforehand nor while they are watched, so that a way back never waits for
    /// them. A plugin is compared by the API server.
    pub(super) async fn carry_out(&self, target: &Target) -> Result<Flipped, FlipError> {
        let stopped = || FlipError::Interrupted {
            written: None,
            shown: vec![],
            missing: vec![],
        };
        let (seen, pen) = tokio::select! {
            biased;
            () = self.interrupt.raised() => return Err(stopped()),
            prepared = self.prepare(target) => prepared?,
        };
        let Seen {
            document,
            looks,
            to,
        } = seen;
        let intent = self.intent(&document, Aim::To(to))?;
        let Some(change) = intent.change(&document, self.expect, self.generation, None, &looks)?
        else {
            let nowhere = intent.nowhere(&document, &looks)?;
            let mut already = intent.already(&looks);
            already.written.warnings = self.pass_over(nowhere)?;
            return Ok(already);
        };
        let refusals = match self.aim {
            Aim::Back => intent.nowhere(&document, &looks)?,
            Aim::To(_) | Aim::Other => {
                let journal = match target.entries().await {
                    Err(_) if self.force => vec![],
                    journal => journal?,
                };
                intent.refusals(target, &journal, &document, &looks)?
            }
        };
        let mut change = change;
        change.warnings.extend(self.pass_over(refusals)?);
        if self.interrupt.is_raised() {
            return Err(stopped());
        }
        let (written, begun) = self.write(target, pen, intent, change, &looks).await?;
        let wrote = |steps: &UnboundedSender<Step>| {
            steps.send(Step::Written {
                service: written.service.clone(),
                generation: written.generation,
                active: written.active,
                due: None,
            })
        };
        self.steps.as_ref().map(wrote);
        let outcome = self.watch(&written, document.names(), looks).await;
        end(target, self.interrupt.is_raised(), written, &begun, outcome).await
    }

    /// What the gates have against it: an error, or what it is warned of.
    fn pass_over(&self, refusals: Vec<Refusal>) -> Result<Vec<String>, FlipError> {
        if !self.force && !refusals.is_empty() {
            return Err(FlipError::Refused(refusals));
        }
        Ok(refusals
            .iter()
            .map(|one| self.aim.in_spite_of(one))
            .collect())
    }

    /// Looks at target and Envoys, and takes the lock of a file. A flip that finds another file under the
    /// lock than it has looked at is refused; a way back takes the file as it is.
    async fn prepare(&self, target: &Target) -> Result<(Seen, Pen), FlipError> {
        if let Some(file) = target.file() {
            file.own_metadata()?;
        }
        let document = target.read().await?;
        let intent = self.intent(&document, self.aim)?;
        let to = intent.to;
        let plan = document.plan()?;
        let services = [service_of(&plan, self.service)?];
        let looks = look(&document, &services, self.fleet, self.aim, self.force).await;
        let silent: Vec<_> = looks.iter().filter_map(Look::silence).collect();
        if self.aim != Aim::Back && !silent.is_empty() {
            return Err(FlipError::Unreachable(silent));
        }
        let Target::File(file) = target else {
            let seen = Seen {
                document,
                looks,
                to,
            };
            return Ok((seen, Pen::Kube));
        };
        let lock = self.lock(file).await?;
        let found = lock.read()?;
        if self.aim != Aim::Back && found.to_bytes() != document.to_bytes() {
            return Err(FlipError::Raced {
                service: intent.service.clone(),
                before: (&intent.before).into(),
                found: (&self.intent(&found, self.aim)?.before).into(),
            });
        }
        let seen = Seen {
            document: found,
            looks,
            to,
        };
        Ok((seen, Pen::File(lock)))
    }

    async fn lock(&self, target: &FileTarget) -> Result<Locked, TargetError> {
        let patience = match self.aim {
            Aim::Back => write::LOCK_PATIENCE_ON_THE_WAY_BACK,
            Aim::To(_) | Aim::Other => write::LOCK_PATIENCE,
        };
        write::lock(target, patience).await
    }

    fn intent(&self, document: &Document, aim: Aim) -> Result<Intent, FlipError> {
        Intent::of(document, self.service, aim, self.expect, self.agreed)
    }

    /// Notes what is about to happen, and writes it. A way back goes on from what another writer left.
    async fn write(
        &self,
        target: &Target,
        pen: Pen,
        mut intent: Intent,
        mut change: Change,
        looks: &[Look],
    ) -> Result<(Written, Entry), FlipError> {
        let (file, kube) = match (target, pen) {
            (Target::File(file), Pen::File(lock)) => (Some((file, lock)), None),
            (Target::Kube(kube), _) => (None, Some(kube)),
            (Target::File(file), Pen::Kube) => (Some((file, self.lock(file).await?)), None),
        };
        if let Some((file, lock)) = file {
            let (mut written, begun) = self.begun(&intent, &change);
            let bytes = change.document.to_bytes();
            let gated = self.aim != Aim::Back;
            let put = write::to_file(file, lock, gated, vec![begun.clone()], bytes).await?;
            written.came_of(put);
            return Ok((written, begun));
        }
        let Some(kube) = kube else {
            return Err(FlipError::Unreachable(vec![]));
        };
        for _ in 0..TRIES_ON_THE_WAY_BACK {
            let (mut written, begun) = self.begun(&intent, &change);
            let entries = std::slice::from_ref(&begun);
            let outcome = write::to_plugin(kube, self.how(), entries, &change.document);
            let now = match outcome.await {
                Ok(put) => {
                    written.came_of(put);
                    return Ok((written, begun));
                }
                Err(FlipError::Target(TargetError::Apply(ApplyError::Outdated(now))))
                    if self.aim == Aim::Back =>
                {
                    Document::of_plugin(*now)?
                }
                Err(error) => return Err(error),
            };
            intent = self.intent(&now, Aim::To(intent.to))?;
            let again = intent.change(&now, self.expect, self.generation, None, looks)?;
            let Some(again) = again else { break };
            change.switch = again.switch;
            change.document = again.document;
        }
        Err(FlipError::Raced {
            service: intent.service.clone(),
            before: (&intent.before).into(),
            found: (&intent.before).into(),
        })
    }

    fn begun(&self, intent: &Intent, change: &Change) -> (Written, Entry) {
        let before = State::from(&intent.before);
        let verb = match self.aim {
            Aim::Back => "rollback",
            Aim::To(_) | Aim::Other => "flip",
        };
        let mut begun = Entry::begun(verb, &intent.service, before, (&change.switch).into());
        begun.reason = self.reason.map(str::to_owned);
        let mut written = intent.written(&change.switch, Instant::now());
        written.warnings.clone_from(&change.warnings);
        (written, begun)
    }

    fn how(&self) -> How {
        How {
            gated: self.aim != Aim::Back,
            takes_fields: self.take_fields || self.aim == Aim::Back,
        }
    }

    async fn watch(&self, written: &Written, names: &[Names], looks: Vec<Look>) -> Outcome {
        if cfg!(feature = "broken-reports-at-write") {
            // When it begins to write: how long a disk takes is nothing that a test should hang on.
            let at = written.invoked;
            let lie = |look: &Look| {
                let proxy = look.admin.proxy().clone();
                Shown { proxy, at }
            };
            return Outcome {
                shown: looks.iter().map(lie).collect(),
                ..Outcome::default()
            };
        }
        let goal = Goal {
            service: written.service.clone(),
            generation: written.generation,
            active: Some(written.active),
        };
        let known = looks.into_iter().map(|look| {
            let refusals = look.stats().map(Stats::refusals);
            (look.admin, refusals)
        });
        let watched = Watched {
            fleet: self.fleet.clone(),
            names: names.to_vec(),
            known: known.collect(),
        };
        let until = written.written + self.deadline;
        watch::all(watched, &goal, until, self.interrupt, self.steps).await
    }
}

/// Notes what came of it. The lock is not needed for that, and another flip may hold it.
async fn end(
    target: &Target,
    was_stopped: bool,
    mut written: Written,
    begun: &Entry,
    outcome: Outcome,
) -> Result<Flipped, FlipError> {
    let Outcome {
        shown,
        missing,
        gone,
    } = outcome;
    let kind = match (missing.is_empty(), shown.is_empty()) {
        (true, true) => Kind::Written,
        (true, false) => Kind::Done,
        (false, _) if was_stopped => Kind::Interrupted,
        (false, _) => Kind::Missing,
    };
    let last = shown.iter().map(|proxy| proxy.at).max();
    let took = match last {
        Some(last) if missing.is_empty() => last.saturating_duration_since(written.invoked),
        _ => written.took(),
    };
    let ended = Entry {
        shown: shown.iter().map(|one| one.proxy.to_string()).collect(),
        missing: missing.iter().map(Absent::from).collect(),
        gone: gone.iter().map(ToString::to_string).collect(),
        ..begun.ended(kind, took)
    };
    written.gone = gone;
    if let Err(error) = target.note(&ended).await {
        written.warnings.push(error.to_string());
        // The same as at the beginning is told once.
        written.warnings.dedup();
    }
    if let Some(kube) = target.kube()
        && let Err(error) = kube.tell_end(&ended).await
    {
        written.warnings.push(error);
        written.warnings.dedup();
    }
    let written_box = |written| Box::new(written);
    match kind {
        Kind::Interrupted => Err(FlipError::Interrupted {
            written: Some(written_box(written)),
            shown,
            missing,
        }),
        Kind::Missing => Err(FlipError::NotDone {
            written: written_box(written),
            shown,
            missing,
        }),
        _ => Ok(Flipped {
            written,
            pushed: true,
            shown,
        }),
    }
}

/// The right to write: a file has a lock, a plugin is compared by the API server.
enum Pen {
    File(Locked),
    Kube,
}

/// What was seen before the lock was taken.
struct Seen {
    document: Document,
    looks: Vec<Look>,
    /// The color that is meant, as the target was when it was first read: of two ways back at once the second one
    /// would go forth again.
    to: Color,
}

impl From<&Unshown> for Absent {
    fn from(unshown: &Unshown) -> Self {
        Self {
            admin: unshown.proxy.to_string(),
            why: unshown.to_string(),
        }
    }
}
