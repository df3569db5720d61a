//! `cutover status`: what the file says and what each Envoy shows, once or again and again.

mod changes;
mod next;
mod view;
mod watch;

use crate::{
    args,
    failure::{Exit, Failure},
    output::{Events, Report},
};
use clap::Args;
use cutover_control::{FileTarget, Fleet, Status, Until, status};
use cutover_core::{Plan, Service};
use std::{fmt::Write as _, time::Duration};

const EXAMPLE: &str = "\
Example:
  cutover status --target file:envoy/cutover.json --admin 127.0.0.1:9901
  cutover status -o json | jq '.envoys[].services[].agreement'
  cutover status --watch
  cutover status --until settled --deadline 30s && echo every Envoy has it
  cutover status --watch -o jsonl | jq -c 'select(.event == \"changed\")'

Columns: FILE tells whether the Envoy shows what the file says; ON BLUE and ON GREEN count the \
open requests and streams at a color; DRIFT counts where its configuration differs from the file \
beside the switch; REFUSED counts files that it could not use; IGNORED counts pushes that were \
older than what the Envoy had, or of the same generation with another content.

A watch shows what changes: in a terminal it draws anew, else it prints a line a change. --until \
ends it, and is one of: settled (every Envoy agrees with the file, without drift), blue, green, \
generation=N (or a newer one), drained or drained=COLOR (no request goes there, none is open).

Exit codes: 0 every Envoy agrees with the file, --until came true, or a watch without it was \
ended; 1 an Envoy does not agree, or --deadline was over; 2 bad use or configuration; 3 an Envoy \
could not be asked, or --until was interrupted";

/// Show what the file says and what each Envoy shows
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Look {
    #[command(flatten)]
    target: args::Target,
    #[command(flatten)]
    envoys: args::Envoys,
    /// Only this service
    #[arg(short, long, value_name = "NAME")]
    service: Option<String>,
    /// Look again and again, and show what changes
    #[arg(short, long)]
    watch: bool,
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = args::duration)]
    every: Duration,
    /// Watch until this is so: settled, blue, green, generation=N, drained, drained=COLOR
    #[arg(long, value_name = "WHAT")]
    until: Option<Until>,
    /// How long --until may take
    #[arg(long, value_name = "TIME", requires = "until", value_parser = args::duration)]
    deadline: Option<Duration>,
}

/// One look.
struct Seen {
    file: String,
    status: Status,
}

impl Look {
    pub(crate) async fn run(self, events: &Events) -> Result<Report, Failure> {
        if self.watch || self.until.is_some() {
            return watch::run(&self, events).await;
        }
        let target = self.target.file()?;
        let seen = self
            .look(&target, &self.envoys.fleet(&self.target)?)
            .await?;
        let services = self.services(&seen.status.plan);
        let exit = judge(&seen.status, &services);
        let mut text = view::text(&seen, &services, events.columns());
        if seen.status.proxies.is_empty() {
            let alone = match self.target.state_folder()? {
                Some(folder) => format!("no `cutover up` runs on {}", folder.path().display()),
                None => "no Envoy was named (--admin HOST:PORT)".to_owned(),
            };
            let _ = write!(text, "\nThis is the file alone: {alone}.\n");
        }
        let report = Report::new(exit, text, view::json(&seen, &services));
        Ok(report.next(self.next(&seen.status, &services)?))
    }

    async fn look(&self, target: &FileTarget, fleet: &Fleet) -> Result<Seen, Failure> {
        Ok(Seen {
            file: target.path().display().to_string(),
            status: status(target, self.service.as_deref(), fleet).await?,
        })
    }

    fn next(&self, status: &Status, services: &[&Service]) -> Result<String, Failure> {
        if status.proxies.is_empty() {
            return Ok(next::alone(self.target.state_folder()?.is_some()));
        }
        Ok(next::step(status, services))
    }

    /// The services that it is about.
    fn services<'p>(&self, plan: &'p Plan) -> Vec<&'p Service> {
        let all = plan.services().iter().map(AsRef::as_ref);
        let name = self.service.as_deref();
        all.filter(|service: &&Service| name.is_none_or(|name| name == service.name()))
            .collect()
    }
}

/// What is wrong, as sentences; of nobody that was asked nothing is known.
fn wrong(status: &Status, services: &[&Service]) -> Vec<String> {
    if status.proxies.is_empty() {
        return vec![];
    }
    let dead = status.proxies.iter().flat_map(|proxy| {
        services.iter().filter_map(|one| {
            let active = proxy.active(one.name())?;
            let nowhere = proxy.nowhere(one)?;
            Some(format!("{active} is active, but {nowhere}"))
        })
    });
    let missing = Until::Settled.missing(status, services).into_iter();
    dead.chain(missing.map(|one| one.why)).collect()
}

fn judge(status: &Status, services: &[&Service]) -> Exit {
    if status.proxies.iter().any(|proxy| proxy.answer.is_err()) {
        return Exit::Environment;
    }
    if status.proxies.is_empty() || wrong(status, services).is_empty() {
        Exit::Good
    } else {
        Exit::Failed
    }
}
