//! One file per verb: arguments in, a report out.

mod check;
mod completions;
mod explain;
mod flip;
mod history;
mod init;
mod lint;
mod man;
mod plan;
mod preview;
mod rendered;
mod sim;
mod status;
mod up;
mod verify;
mod wait;

use crate::{
    args,
    failure::Failure,
    output::{Events, Report},
};
use clap::Subcommand;
use std::future::Future;

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write the files that Envoy starts with: bootstrap, filter configuration, module
    Init(init::Init),
    /// Start Envoy in front of two running applications, and keep it until told to stop
    Up(Box<up::Up>),
    /// Check a configuration with the filter's own parser
    Lint(lint::Lint),
    /// Show what the file says and what each Envoy shows
    Status(status::Look),
    /// Show what a flip would change, and whether it would be refused
    Plan(plan::Plan),
    /// Tell where a request would go, and why, by what decides in the filter
    Explain(explain::Explain),
    /// Switch all traffic to a color, and wait until every Envoy shows it
    Flip(flip::Forth),
    /// Switch all traffic to the color before; nothing stands in the way of it
    Rollback(flip::Back),
    /// Wait until every Envoy shows a generation
    Wait(wait::Wait),
    /// Show who switched what, when, and what came of it
    History(history::History),
    /// Make the header that reaches a color which has no traffic yet
    #[command(after_help = preview::EXAMPLE)]
    Preview(args::Preview),
    /// Prove the filter: start Envoys, load and weather, flip under load, judge the history
    Verify(verify::Verify),
    /// Judge a history or a certificate again, offline
    Check(check::Check),
    /// Flip a fleet of thousands in virtual time: plain, at one instant, and held
    Sim(Box<sim::Sim>),
    /// Print the completions of a shell
    Completions(completions::Completions),
    /// Print the manual page, or write those of all verbs into a folder
    Man(man::Manual),
}

/// Does it, and tells on the way what happens.
pub(crate) fn run(verb: Verb, events: &Events) -> Result<Report, Failure> {
    match verb {
        Verb::Init(init) => init.run(),
        Verb::Up(up) => wait_for(up.run(events)),
        Verb::Lint(lint) => lint.run(),
        Verb::Status(look) => wait_for(look.run(events)),
        Verb::Plan(plan) => wait_for(plan.run()),
        Verb::Flip(flip) => wait_for(flip.run(events)),
        Verb::Rollback(flip) => wait_for(flip.run(events)),
        Verb::Wait(wait) => wait_for(wait.run(events)),
        Verb::History(history) => wait_for(history.run(events)),
        Verb::Explain(explain) => wait_for(explain.run()),
        Verb::Preview(preview) => wait_for(preview::run(&preview)),
        Verb::Verify(verify) => wait_for(verify.run(events)),
        Verb::Check(check) => check.run(),
        Verb::Sim(sim) => sim.run(events),
        Verb::Completions(completions) => Ok(completions.run()),
        Verb::Man(manual) => manual.run(),
    }
}

fn wait_for(work: impl Future<Output = Result<Report, Failure>>) -> Result<Report, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::environment(format!("no thread can be started: {error}"))
            .hint("look at `ulimit -u`")
    })?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}
