//! `cutover flip` and `cutover rollback`.

use super::{plan, rendered};
use crate::{
    args,
    failure::{Exit, Failure, with_gone},
    output::{Events, Report},
    question, signals,
};
use clap::Args;
use cutover_control::{
    Aim, Fleet, FlipError, FlipRequest, Flipped, KubeTarget, PlanRequest, RollbackRequest, State,
    Step, Target, flip, rollback,
};
use cutover_core::{Color, Generation};
use serde_json::json;
use std::fmt::Write as _;
use tokio::{sync::mpsc, task::JoinHandle};

const EXAMPLE: &str = "\
Example:
  cutover flip green --target file:envoy/cutover.json --admin 127.0.0.1:9901
  cutover flip green --yes --expect-generation 1763722800000
  cutover flip green --yes --reason 'release 12'

Done means that every Envoy shows the new generation. Where file and Envoys show the color already \
nothing is written; where an Envoy does not, the color is pushed again. An Envoy that is silent \
beforehand stops the flip: nothing is written. So do: a color without a cluster or a healthy \
endpoint, a push that would change more than the switch or the module, another flip under way. \
`cutover plan` shows all of this beforehand.

In a terminal it asks before it writes; elsewhere --yes has to be said. Ctrl-C says what is true \
then. Every flip is noted in PATH.journal (`cutover history`).

Exit codes: 0 done, 1 refused or not shown by every Envoy, 2 bad use or configuration, 3 an Envoy \
or the file could not be reached, or it was interrupted";

const EXAMPLE_BACK: &str = "\
Example:
  cutover rollback --target file:envoy/cutover.json --admin 127.0.0.1:9901

It goes to the color of `previous`, or to the other one. It never asks, and is written even if no \
Envoy can be asked; then it says who does not show it, and exits 1. Where no Envoy is named and no \
`up` runs it is written too, says that nobody confirmed it, and exits 3.

A second rollback goes forth again: to make sure of the first, flip to its color; a script that \
may run twice says --expect-generation.

Exit codes: 0 done, or written with --no-wait; 1 refused or not shown by every Envoy; 2 bad use or \
configuration; 3 written with no Envoy to ask, the file could not be reached, or it was \
interrupted";

/// Switch all traffic to a color, and wait until every Envoy shows it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Forth {
    #[command(flatten)]
    to: args::To,
    #[command(flatten)]
    flip: args::Flip,
    /// The generation to write, so that the files of several Envoys get the same one; else the next
    #[arg(long, value_name = "N")]
    generation: Option<u64>,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
    /// Pass over what health, drift, modules and other flips have against it
    #[arg(long)]
    force: bool,
    /// In a cluster: take the fields of the switch from whoever owns them
    #[arg(long)]
    force_conflicts: bool,
}

/// Switch all traffic to the color before; nothing stands in the way of it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE_BACK)]
pub(crate) struct Back {
    #[command(flatten)]
    flip: args::Flip,
}

impl Forth {
    pub(crate) async fn run(self, events: &Events) -> Result<Report, Failure> {
        let target = self.flip.target.open().await?;
        let fleet = if rendered::is_asked_for(&target, events) {
            // For Git no proxy has to be asked.
            let found = self.flip.envoys.fleet_by_now(&self.flip.target, &target);
            found.await?.0
        } else {
            envoys(&self.flip, &target).await?
        };
        let plan = PlanRequest {
            service: self.flip.service.clone(),
            aim: Aim::To(self.to.color),
            expect_generation: self.flip.expect_generation,
            generation: self.generation,
            fleet: fleet.clone(),
            force: self.force,
            take_fields: self.force_conflicts,
            by_this_tool: !rendered::is_asked_for(&target, events),
        };
        if rendered::is_asked_for(&target, events) {
            return rendered::flip(&target, &plan, events).await;
        }
        if let Some(dry_run) = self.flip.dry_run {
            let mut said = said(&self.flip, self.generation, self.force);
            if self.force_conflicts {
                said += " --force-conflicts";
            }
            let server = plan::Server::of(&target, dry_run, self.force_conflicts)?;
            return plan::foresee_one(&target, &plan, &said, server).await;
        }
        if !self.yes && !question::somebody_is_there() {
            return Err(Failure::usage(
                "a flip asks before it writes, and nobody is there to answer",
            )
            .hint("nothing was written; --yes answers beforehand, --dry-run only looks"));
        }
        let interrupt = signals::interrupt()?;
        let agreed = if self.yes {
            None
        } else {
            let looked = tokio::select! {
                () = interrupt.raised() => None,
                looked = plan::look_at_one(&target, &plan) => Some(looked?),
            };
            let Some((agreed, text)) = looked else {
                return Err(Failure::environment("interrupted: nothing was written")
                    .hint("run it again when you are ready"));
            };
            if let Some(text) = text {
                events.say(&text);
                let service = self.flip.service.as_deref().unwrap_or("all traffic");
                let question = format!("flip {service} to {}?", self.to.color);
                question::ask(events, &question, &interrupt).await?;
            }
            Some(agreed)
        };
        let (steps, told) = follow(events);
        let request = FlipRequest {
            to: self.to.color,
            fleet,
            service: self.flip.service,
            expect_generation: self.flip.expect_generation,
            agreed,
            generation: self.generation,
            deadline: self.flip.deadline,
            force: self.force,
            take_fields: self.force_conflicts,
            reason: self.flip.reason,
            interrupt,
            steps: Some(steps),
        };
        let flipped = flip(&target, &request).await;
        drop(request);
        let _ = told.await;
        warn(&flipped, events);
        let flipped = flipped.map_err(|error| Failure::of_flip(error, &target))?;
        Ok(report(&flipped, &target))
    }
}

impl Back {
    pub(crate) async fn run(self, events: &Events) -> Result<Report, Failure> {
        let target = self.flip.target.open().await?;
        let (fleet, unseen) = if self.flip.no_wait {
            (Fleet::default(), None)
        } else {
            let (target_said, envoys) = (&self.flip.target, &self.flip.envoys);
            envoys.fleet_by_now(target_said, &target).await?
        };
        if let Some(why) = unseen {
            events.say(&format!("warning: no proxy can be asked: {why}"));
        }
        let nobody_to_ask = fleet.is_empty() && !self.flip.no_wait;
        let target_said = &self.flip.target;
        let starts = nobody_to_ask && target_said.running()?.is_some();
        let of_up = target_said.state_folder()?.is_some();
        let render = rendered::is_asked_for(&target, events);
        if render || self.flip.dry_run.is_some() {
            let plan = PlanRequest {
                service: self.flip.service.clone(),
                aim: Aim::Back,
                expect_generation: self.flip.expect_generation,
                generation: None,
                fleet,
                force: true,
                take_fields: true,
                by_this_tool: !render,
            };
            if render {
                return rendered::flip(&target, &plan, events).await;
            }
            let dry_run = self.flip.dry_run.unwrap_or(args::DryRun::Client);
            let server = plan::Server::of(&target, dry_run, true)?;
            return plan::foresee_one(&target, &plan, &said(&self.flip, None, false), server).await;
        }
        let (steps, told) = follow(events);
        let request = RollbackRequest {
            fleet,
            service: self.flip.service,
            expect_generation: self.flip.expect_generation,
            deadline: self.flip.deadline,
            reason: self.flip.reason,
            interrupt: signals::interrupt()?,
            steps: Some(steps),
        };
        let flipped = rollback(&target, &request).await;
        drop(request);
        let _ = told.await;
        warn(&flipped, events);
        let flipped = flipped.map_err(|error| Failure::of_flip(error, &target))?;
        let mut report = report(&flipped, &target);
        if nobody_to_ask {
            report.exit = Exit::Environment;
            let asks = format!(
                "`cutover wait --generation {} --admin HOST:PORT` asks",
                flipped.written.generation
            );
            if target.kube().is_some() {
                let generation = flipped.written.generation;
                return Ok(report.next(format!(
                    "`cutover wait --generation {generation}` asks the proxies once they can be found"
                )));
            }
            report = report.next(match (starts, of_up) {
                (true, _) => "`cutover status`, once `cutover up` says `ready`".to_owned(),
                (false, true) => {
                    format!(
                        "start `cutover up`, which begins with that; {asks} an Envoy of your own"
                    )
                }
                (false, false) => format!("{asks} the Envoys that you name"),
            });
        }
        Ok(report)
    }
}

async fn envoys(flip: &args::Flip, target: &Target) -> Result<Fleet, Failure> {
    if flip.no_wait {
        return Ok(Fleet::default());
    }
    let fleet = flip.envoys.fleet(&flip.target, target).await?;
    if fleet.is_empty() {
        return Err(nobody_to_ask(&flip.target, target, &fleet)?);
    }
    Ok(fleet)
}

/// What a flip fails with where there is no Envoy to ask.
pub(super) fn nobody_to_ask(
    target: &args::Target,
    opened: &Target,
    fleet: &Fleet,
) -> Result<Failure, Failure> {
    if let Some(kube) = opened.kube() {
        return Ok(no_pod(kube, fleet));
    }
    Ok(match target.state_folder()? {
        Some(folder) => Failure::usage(format!(
            "no `cutover up` runs on {}, so nobody could say that it is done",
            folder.path().display()
        ))
        .hint("start it; --no-wait only writes, and the next `cutover up` starts with that"),
        None => Failure::usage("no Envoy was named, so nobody could say that it is done")
            .hint("say --admin HOST:PORT or set CUTOVER_ADMIN; --no-wait only writes"),
    })
}

/// Nobody is reached by a plugin.
fn no_pod(kube: &KubeTarget, fleet: &Fleet) -> Failure {
    let plugin = kube.plugin();
    let mut message = format!(
        "{plugin} reaches no proxy that runs ({}), so nobody could say that it is done",
        plugin.reach
    );
    for more in fleet.apart().iter().chain(fleet.notes()) {
        let _ = write!(message, "; {more}");
    }
    Failure::environment(message).hint(
        "--admin HOST:PORT names proxies that are no pods of this cluster; --no-wait only writes",
    )
}

/// What a dry run was told, for the same without it.
fn said(flip: &args::Flip, generation: Option<u64>, force: bool) -> String {
    let mut said = String::new();
    for (option, value) in [
        ("expect-generation", flip.expect_generation),
        ("generation", generation),
    ] {
        if let Some(value) = value {
            let _ = write!(said, " --{option} {value}");
        }
    }
    for (option, is_said) in [("no-wait", flip.no_wait), ("force", force)] {
        if is_said {
            let _ = write!(said, " --{option}");
        }
    }
    if let Some(reason) = &flip.reason {
        let _ = write!(said, " --reason '{}'", reason.replace('\'', r"'\''"));
    }
    said
}

/// Tells each step as an event, until nobody can take one any more.
pub(super) fn follow(events: &Events) -> (mpsc::UnboundedSender<Step>, JoinHandle<()>) {
    let (sender, mut steps) = mpsc::unbounded_channel();
    let events = events.clone();
    let told = tokio::spawn(async move {
        while let Some(step) = steps.recv().await {
            match step {
                Step::Written {
                    service,
                    generation,
                    active,
                } => events.emit(
                    "written",
                    json!({ "service": service, "generation": generation, "active": active }),
                    "",
                ),
                Step::Shown(proxy) => events.emit("shown", proxy.to_json(), ""),
                Step::Came(proxy) => {
                    events.emit(
                        "came",
                        proxy.to_json(),
                        &format!("{proxy} is new, and has to show it too"),
                    );
                }
                Step::Gone(proxy) => {
                    events.emit(
                        "gone",
                        proxy.to_json(),
                        &format!("{proxy} is gone, and is not waited for"),
                    );
                }
            }
        }
    });
    (sender, told)
}

/// Says what was passed over and what went wrong beside it, whatever came of the rest.
fn warn(flipped: &Result<Flipped, FlipError>, events: &Events) {
    let written = match flipped {
        Ok(flipped) => &flipped.written,
        Err(
            FlipError::NotDone { written, .. }
            | FlipError::Interrupted {
                written: Some(written),
                ..
            },
        ) => written,
        Err(_) => return,
    };
    for warning in &written.warnings {
        events.say(&format!("warning: {warning}"));
    }
}

fn report(flipped: &Flipped, target: &Target) -> Report {
    let Flipped {
        written,
        pushed,
        shown,
    } = flipped;
    let (service, generation, active) = (&written.service, written.generation, written.active);
    let wait = shown
        .iter()
        .map(|proxy| proxy.at.saturating_duration_since(written.invoked))
        .max();
    let milliseconds = wait.map(|wait| (wait.as_secs_f64() * 1e4).round() / 10.0);
    let envoys = match shown.len() {
        1 => "1 Envoy shows".to_owned(),
        number => format!("{number} Envoys show"),
    };
    let other = active.other();
    let (text, next) = match (pushed, shown.is_empty()) {
        (false, true) => (
            format!(
                "{service} is {active} already, by generation {generation}; no Envoy was asked"
            ),
            "cutover status --admin HOST:PORT shows whether the Envoys agree".to_owned(),
        ),
        (false, false) => (
            format!("{service} is {active} already: {envoys} generation {generation}"),
            format!("nothing is to be done; cutover flip {other} switches to {other}"),
        ),
        (true, true) => (
            format!(
                "written, not confirmed: {service} is {active} in {}, generation {generation}; no Envoy was asked",
                target.noun()
            ),
            match target {
                Target::File(_) => format!(
                    "cutover wait --generation {generation} --admin HOST:PORT says when it has landed"
                ),
                Target::Kube(_) => {
                    format!("cutover wait --generation {generation} says when it has landed")
                }
            },
        ),
        (true, false) => (
            format!(
                "done: {service} is {active}, {envoys} generation {generation} after {:.0} ms",
                milliseconds.unwrap_or_default().ceil(),
            ),
            format!("`cutover status` shows the Envoys; `cutover rollback` goes back to {other}"),
        ),
    };
    let before = State::from(&written.before);
    let json = json!({
        "service": service,
        "active": active,
        "generation": generation,
        "before": state(before.active, before.generation),
        "written": pushed,
        "confirmed": !shown.is_empty(),
        "shown": shown.iter().map(|one| one.proxy.name()).collect::<Vec<_>>(),
        "milliseconds": if *pushed { milliseconds } else { None },
        "warnings": written.warnings,
    });
    Report::good(text, with_gone(json, &written.gone)).next(next)
}

pub(super) fn state(active: Color, generation: Option<Generation>) -> serde_json::Value {
    json!({ "active": active, "generation": generation })
}
