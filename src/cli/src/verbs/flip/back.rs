//! `cutover rollback`.

use super::{apart, done, envoys, follow, instant, nobody_asked, said, warn_if_blind};
use crate::{
    args,
    failure::{Exit, Failure},
    output::{Events, Report},
    signals,
    verbs::{plan, rendered},
};
use clap::Args;
use cutover_control::{
    Aim, Fleet, InstantRequest, PlanRequest, RollbackRequest, Schedule, Target, rollback,
};

const EXAMPLE_BACK: &str = "\
Example:
  cutover rollback --target file:envoy/cutover.json --admin 127.0.0.1:9901

It goes to the color of `previous`, or to the other one. It never asks, and is written even if no \
Envoy can be asked; then it says who does not show it, and exits 1. Where no Envoy is named and no \
`up` runs it is written too, says that nobody confirmed it, and exits 3.

Envoys go back as it reaches them, at once; of a flip that is still staged it is the cancel. With --at \
they go back at one instant, as with `flip --at`, and are asked beforehand.

A second rollback goes forth again: to make sure of the first, flip to its color; a script that \
may run twice says --expect-generation.

Exit codes: 0 done, or written with --no-wait; 1 refused or not shown by every Envoy; 2 bad use or \
configuration; 3 written with no Envoy to ask, the file could not be reached, or it was \
interrupted";

/// Switch all traffic to the color before; nothing stands in the way of it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE_BACK)]
pub(crate) struct Back {
    #[command(flatten)]
    flip: args::Flip,
    #[command(flatten)]
    instant: args::Instant,
    /// Not needed, for a rollback never asks; taken for those who always say it
    #[arg(short, long)]
    yes: bool,
}

impl Back {
    pub(crate) async fn run(mut self, events: &Events) -> Result<Report, Failure> {
        self.flip.name_each_service_once();
        let target = self.flip.target.open().await?;
        if let Some(when) = self.instant.at {
            let schedule = self.instant.schedule(when, &target);
            return self.at(&target, schedule, events).await;
        }
        if self.instant.is_said() {
            return Err(Failure::usage("--hold, --margin and --on-lag go with --at")
                .hint("without --at the way back is taken at once"));
        }
        if self.flip.services.len() > 1 {
            return Err(apart());
        }
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
        if rendered::is_asked_for(&target, events) || self.flip.dry_run.is_some() {
            return self.foreseen(&target, fleet, None, events).await;
        }
        let (steps, told) = follow(events);
        let request = RollbackRequest {
            fleet,
            service: self.flip.services.into_iter().next(),
            expect_generation: self.flip.expect_generation,
            deadline: self.flip.deadline,
            reason: self.flip.reason,
            interrupt: signals::interrupt()?,
            steps: Some(steps),
        };
        let flipped = rollback(&target, &request).await;
        warn_if_blind(&request.fleet, events);
        drop(request);
        let _ = told.await;
        done::warn(&flipped, events);
        let flipped = flipped.map_err(|error| Failure::of_flip(error, &target))?;
        let mut report = done::report(&flipped, &target);
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

    /// The way back at an instant.
    async fn at(
        self,
        target: &Target,
        schedule: Schedule,
        events: &Events,
    ) -> Result<Report, Failure> {
        if self.flip.no_wait {
            return Err(nobody_asked());
        }
        let fleet = envoys(&self.flip, target).await?;
        if rendered::is_asked_for(target, events) || self.flip.dry_run.is_some() {
            return self.foreseen(target, fleet, Some(schedule), events).await;
        }
        let (steps, told) = follow(events);
        let request = InstantRequest {
            services: self.flip.services,
            aim: Aim::Back,
            schedule,
            expect_generation: self.flip.expect_generation,
            agreed: vec![],
            generation: None,
            fleet,
            deadline: self.flip.deadline,
            force: false,
            take_fields: true,
            reason: self.flip.reason,
            interrupt: signals::interrupt()?,
            steps: Some(steps),
        };
        instant::flip(target, request, told, events).await
    }

    /// What the way back would do, for Git or for whoever only looks.
    async fn foreseen(
        &self,
        target: &Target,
        fleet: Fleet,
        schedule: Option<Schedule>,
        events: &Events,
    ) -> Result<Report, Failure> {
        let render = rendered::is_asked_for(target, events);
        let plan = PlanRequest {
            services: self.flip.services.clone(),
            aim: Aim::Back,
            expect_generation: self.flip.expect_generation,
            generation: None,
            fleet,
            force: true,
            take_fields: true,
            by_this_tool: !render,
            schedule,
        };
        let dry_run = self.flip.dry_run.unwrap_or(args::DryRun::Client);
        let server = plan::Server::of(target, dry_run, true)?;
        if render {
            return rendered::flip(target, &plan, server, events).await;
        }
        let said = said(&self.flip, None, false) + &self.instant.said();
        plan::foresee(target, &plan, &said, server).await
    }
}
