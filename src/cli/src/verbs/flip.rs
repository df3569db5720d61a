//! `cutover flip`; `rollback` shares what is asked of Envoys.

use super::{plan, rendered};
use crate::{
    args,
    failure::Failure,
    output::{Events, Report},
    question, signals,
};
use clap::Args;
use cutover_control::{
    Aim, Fleet, FlipRequest, InstantRequest, KubeTarget, PlanRequest, Resumption, Schedule, Target,
    USUAL_LEAD, When, flip,
};
use cutover_core::{Color, Generation};
use serde_json::json;
use std::fmt::Write as _;

mod back;
mod done;
mod instant;
mod steps;

pub(crate) use back::Back;
pub(crate) use steps::{follow, warn_if_blind};

const EXAMPLE: &str = "\
Example:
  cutover flip green --target file:envoy/cutover.json --admin 127.0.0.1:9901
  cutover flip green --yes --expect-generation 1763722800000
  cutover flip green --yes --at +30s --hold 20ms
  cutover flip green --yes --service shop,api --at 2026-11-21T21:30:00Z
  cutover flip --cancel

Done means that every Envoy shows the new generation. Where file and Envoys show the color already \
nothing is written; where an Envoy does not, the color is pushed again. An Envoy that is silent \
beforehand stops the flip: nothing is written. So do: a color without a cluster or a healthy \
endpoint, a push that would change more than the switch or the module, another flip under way. \
`cutover plan` shows all of this beforehand.

More than one Envoy switches at one instant, by default in 5 s: the switch is staged, every Envoy has \
to show that and a clock that is within the hold, and then it becomes active everywhere by the clock. \
Else it is taken back before that instant, everywhere. --now pushes as to one Envoy: they switch as it \
reaches them. --resume sees a staged flip through whose command is gone, --cancel takes it back.

In a terminal it asks before it writes; elsewhere --yes has to be said. Ctrl-C says what is true \
then; before its instant it takes a staged flip back, and waits for that: pressed again it does not wait. Every flip is noted in PATH.journal (`cutover \
history`).

Exit codes: 0 done, 1 refused, taken back, or not shown by every Envoy, 2 bad use or configuration, 3 an \
Envoy or the file could not be reached, or it was interrupted";

/// Switch all traffic to a color, and wait until every Envoy shows it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option that is said or not"
)]
pub(crate) struct Forth {
    #[command(flatten)]
    to: args::ToOrStaged,
    #[command(flatten)]
    flip: args::Flip,
    #[command(flatten)]
    instant: args::Instant,
    /// Push it as to one Envoy: each switches as it reaches it
    #[arg(long, conflicts_with_all = ["at", "hold", "on_lag", "margin"])]
    now: bool,
    /// See a staged flip through whose command is gone
    #[arg(long, conflicts_with_all = ["now", "at", "hold", "cancel", "no_wait", "dry_run", "generation", "expect_generation"])]
    resume: bool,
    /// Take a staged flip back
    #[arg(long, conflicts_with_all = ["now", "at", "hold", "on_lag", "no_wait", "dry_run", "generation", "expect_generation"])]
    cancel: bool,
    /// The generation to write, so that the files of several Envoys get the same one; else the next
    #[arg(long, value_name = "N")]
    generation: Option<u64>,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
    /// Pass over what health, drift, modules, clocks and other flips have against it
    #[arg(long)]
    force: bool,
    /// In a cluster: take the fields of the switch from whoever owns them
    #[arg(long)]
    force_conflicts: bool,
}

impl Forth {
    pub(crate) async fn run(mut self, events: &Events) -> Result<Report, Failure> {
        self.flip.name_each_service_once();
        let target = self.flip.target.open().await?;
        let Some(color) = self.to.color else {
            return self.take_up(&target, events).await;
        };
        let fleet = if rendered::is_asked_for(&target, events) {
            // For Git no proxy has to be asked.
            let found = self.flip.envoys.fleet_by_now(&self.flip.target, &target);
            found.await?.0
        } else {
            envoys(&self.flip, &target).await?
        };
        let render = rendered::is_asked_for(&target, events);
        let schedule = self.schedule(&target, color, &fleet, render).await?;
        let plan = PlanRequest {
            services: self.flip.services.clone(),
            aim: Aim::To(color),
            expect_generation: self.flip.expect_generation,
            generation: self.generation,
            fleet: fleet.clone(),
            force: self.force,
            take_fields: self.force_conflicts,
            by_this_tool: !render,
            schedule,
        };
        let dry_run = self.flip.dry_run.unwrap_or(args::DryRun::Client);
        let server = plan::Server::of(&target, dry_run, self.force_conflicts)?;
        if render {
            return rendered::flip(&target, &plan, server, events).await;
        }
        if self.flip.dry_run.is_some() {
            let mut said = said(&self.flip, self.generation, self.force);
            said += &self.instant.said();
            if self.now {
                said += " --now";
            }
            if self.force_conflicts {
                said += " --force-conflicts";
            }
            return plan::foresee(&target, &plan, &said, server).await;
        }
        if !self.yes && !question::somebody_is_there() {
            return Err(Failure::usage(
                "a flip asks before it writes, and nobody is there to answer",
            )
            .hint("nothing was written; --yes answers beforehand, --dry-run only looks"));
        }
        let interrupt = signals::interrupt()?;
        let agreed = if self.yes {
            vec![]
        } else {
            let looked = tokio::select! {
                () = interrupt.raised() => None,
                looked = plan::look_at(&target, &plan) => Some(looked?),
            };
            let Some((agreed, text)) = looked else {
                return Err(Failure::environment("interrupted: nothing was written")
                    .hint("run it again when you are ready"));
            };
            if let Some(text) = text {
                events.say(&text);
                let services = match self.flip.services.as_slice() {
                    [] => "all traffic".to_owned(),
                    names => names.join(" and "),
                };
                let question = format!("flip {services} to {color}?");
                question::ask(events, &question, &interrupt).await?;
            }
            agreed
        };
        let (steps, told) = follow(events);
        if let Some(schedule) = schedule {
            let request = InstantRequest {
                services: self.flip.services,
                aim: Aim::To(color),
                schedule,
                expect_generation: self.flip.expect_generation,
                agreed,
                generation: self.generation,
                fleet,
                deadline: self.flip.deadline,
                force: self.force,
                take_fields: self.force_conflicts,
                reason: self.flip.reason,
                interrupt,
                steps: Some(steps),
            };
            return instant::flip(&target, request, told, events).await;
        }
        let request = FlipRequest {
            to: color,
            fleet,
            service: self.flip.services.into_iter().next(),
            expect_generation: self.flip.expect_generation,
            agreed: agreed.into_iter().next().map(|(_, state)| state),
            generation: self.generation,
            deadline: self.flip.deadline,
            force: self.force,
            take_fields: self.force_conflicts,
            reason: self.flip.reason,
            interrupt,
            steps: Some(steps),
        };
        let flipped = flip(&target, &request).await;
        warn_if_blind(&request.fleet, events);
        drop(request);
        let _ = told.await;
        done::warn(&flipped, events);
        let flipped = flipped.map_err(|error| Failure::of_flip(error, &target))?;
        Ok(done::report(&flipped, &target))
    }

    /// When it becomes active; none for a plain push.
    async fn schedule(
        &self,
        target: &Target,
        color: Color,
        fleet: &Fleet,
        render: bool,
    ) -> Result<Option<Schedule>, Failure> {
        let several = self.flip.services.len() > 1;
        if let Some(when) = self.instant.at {
            if self.flip.no_wait {
                return Err(nobody_asked());
            }
            return Ok(Some(self.instant.schedule(when, target)));
        }
        let is_told = self.now || self.flip.no_wait;
        let by_default = !is_told
            && fleet.now().len() > 1
            && !render
            && !self.is_active_already(target, color).await?;
        if by_default || !is_told && (several || self.instant.is_said()) {
            return Ok(Some(self.instant.schedule(When::In(USUAL_LEAD), target)));
        }
        if several {
            return Err(apart());
        }
        if self.instant.is_said() {
            return Err(nobody_asked());
        }
        Ok(None)
    }

    /// Whether the color is active already: pushed again it switches nobody, and needs no instant.
    async fn is_active_already(&self, target: &Target, color: Color) -> Result<bool, Failure> {
        let document = target.read().await?;
        // What is wrong with it is told by the flip.
        let Ok(plan) = document.plan() else {
            return Ok(true);
        };
        let named = |name: &str| {
            let names = &self.flip.services;
            names.is_empty() || names.iter().any(|one| one == name)
        };
        let services = plan.services().iter();
        let mut services = services.filter(|service| named(service.name()));
        Ok(services.all(|service| service.switch().active == color))
    }

    /// A flip that is staged already.
    async fn take_up(self, target: &Target, events: &Events) -> Result<Report, Failure> {
        let fleet = envoys(&self.flip, target).await?;
        let resumption = if self.cancel {
            Resumption::Cancel
        } else {
            Resumption::Resume
        };
        let (steps, told) = follow(events);
        let request = cutover_control::ResumeRequest {
            services: self.flip.services,
            resumption,
            margin: self.instant.margin(target),
            on_lag: self.instant.on_lag(),
            fleet,
            deadline: self.flip.deadline,
            force: self.force,
            take_fields: self.force_conflicts,
            reason: self.flip.reason,
            interrupt: signals::interrupt()?,
            steps: Some(steps),
        };
        instant::take_up(target, request, told, events).await
    }
}

/// Nobody would see whether a switch is staged.
fn nobody_asked() -> Failure {
    Failure::usage("an instant needs Envoys that say that they have staged the switch")
        .hint("leave --no-wait out; or leave --at, --hold, --margin and --on-lag out, and it is only written")
}

/// Services that switch one after the other.
fn apart() -> Failure {
    Failure::usage("several services switch together at an instant, and not by a plain push")
        .hint("say --at WHEN, or flip one service after the other")
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

pub(super) fn state(active: Color, generation: Option<Generation>) -> serde_json::Value {
    json!({ "active": active, "generation": generation })
}
