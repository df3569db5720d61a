//! `cutover flip` and `cutover rollback`.

use crate::{args, failure::Failure, output::Report};
use clap::Args;
use cutover_control::{FlipRequest, Flipped, RollbackRequest, flip, rollback};
use cutover_core::{Color, Generation};
use serde_json::json;
use std::net::SocketAddr;

const EXAMPLE: &str = "\
Example:
  cutover flip green --target file:envoy/cutover.json --admin 127.0.0.1:9901
  CUTOVER_ADMIN=10.0.0.1:9901,10.0.0.2:9901 cutover flip green --expect-generation 1763722800000

Done means that every Envoy shows the new generation. Where file and Envoys show the color already
nothing is written; where an Envoy does not, the color is pushed again. An Envoy that is silent
beforehand stops the flip: nothing is written.

Exit codes: 0 done, 1 refused or not shown by every Envoy, 2 bad use or configuration, 3 an Envoy or
the file could not be reached";

const EXAMPLE_BACK: &str = "\
Example:
  cutover rollback --target file:envoy/cutover.json --admin 127.0.0.1:9901

It goes to the color of `previous`, or to the other one. It is written even if no Envoy can be asked;
then it says who does not show it, and exits 1. A second rollback goes forth again: to make sure of
the first, flip to its color; a script that may run twice says --expect-generation.

Exit codes: 0 done, 1 refused or not shown by every Envoy, 2 bad use or configuration, 3 the file
could not be reached";

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
}

/// Switch all traffic to the color before; nothing stands in the way of it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE_BACK)]
pub(crate) struct Back {
    #[command(flatten)]
    flip: args::Flip,
}

impl Forth {
    pub(crate) async fn run(self) -> Result<Report, Failure> {
        let target = self.flip.target.file()?;
        let request = FlipRequest {
            to: self.to.color,
            admins: envoys(&self.flip)?,
            service: self.flip.service,
            expect_generation: self.flip.expect_generation,
            generation: self.generation,
            deadline: self.flip.deadline,
        };
        Ok(report(&flip(&target, &request).await?))
    }
}

impl Back {
    pub(crate) async fn run(self) -> Result<Report, Failure> {
        let target = self.flip.target.file()?;
        let request = RollbackRequest {
            admins: envoys(&self.flip)?,
            service: self.flip.service,
            expect_generation: self.flip.expect_generation,
            deadline: self.flip.deadline,
        };
        Ok(report(&rollback(&target, &request).await?))
    }
}

fn envoys(flip: &args::Flip) -> Result<Vec<SocketAddr>, Failure> {
    if flip.no_wait {
        return Ok(vec![]);
    }
    let admins = flip.envoys.addresses(&flip.target)?;
    if let (true, Some(folder)) = (admins.is_empty(), flip.target.state_folder()?) {
        let path = folder.path().display();
        return Err(Failure::usage(format!(
            "no `cutover up` runs on {path}, so nobody could say that it is done"
        ))
        .hint("start it; --no-wait only writes, and the next `cutover up` starts with that"));
    }
    if admins.is_empty() {
        return Err(
            Failure::usage("no Envoy was named, so nobody could say that it is done")
                .hint("say --admin HOST:PORT or set CUTOVER_ADMIN; --no-wait only writes"),
        );
    }
    Ok(admins)
}

fn report(flipped: &Flipped) -> Report {
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
    let text = match (pushed, shown.is_empty()) {
        (false, true) => {
            format!("{service} is {active} already, by generation {generation}; no Envoy was asked")
        }
        (false, false) => {
            format!("{service} is {active} already: {envoys} generation {generation}")
        }
        (true, true) => format!(
            "written, not confirmed: {service} is {active} in the file, generation {generation}; no Envoy was asked"
        ),
        (true, false) => format!(
            "done: {service} is {active}, {envoys} generation {generation} after {:.0} ms",
            milliseconds.unwrap_or_default().ceil(),
        ),
    };
    let before = &written.before;
    let json = json!({
        "service": service,
        "active": active,
        "generation": generation,
        "before": previous(before.active, before.generation.map(Generation::get)),
        "written": pushed,
        "confirmed": !shown.is_empty(),
        "shown": shown.iter().map(|proxy| proxy.admin.to_string()).collect::<Vec<_>>(),
        "milliseconds": if *pushed { milliseconds } else { None },
    });
    Report::good(text, json)
}

fn previous(active: Color, generation: Option<u64>) -> serde_json::Value {
    json!({ "active": active, "generation": generation })
}
