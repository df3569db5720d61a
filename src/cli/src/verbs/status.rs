//! `cutover status`: what the file says and what each Envoy shows, once or again and again.

mod changes;
mod git;
mod next;
mod view;
mod watch;

use crate::{
    args,
    failure::{Exit, Failure},
    output::{Events, Report},
};
use clap::Args;
use cutover_control::{Fleet, Revert, State, Status, Target, Until, status};
use cutover_core::{Plan, Service};
use git::Git;
use std::{fmt::Write as _, path::PathBuf, time::Duration};

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
    /// A manifest as it lies in Git: show where it differs from the cluster
    #[arg(long, value_name = "FILE")]
    git: Option<PathBuf>,
    /// How long --until may take
    #[arg(long, value_name = "TIME", requires = "until", value_parser = args::duration)]
    deadline: Option<Duration>,
}

/// One look.
struct Seen {
    target: Target,
    status: Status,
    fleet: Fleet,
    git: Option<Git>,
}

impl Look {
    pub(crate) async fn run(self, events: &Events) -> Result<Report, Failure> {
        if self.watch || self.until.is_some() {
            return watch::run(&self, events).await;
        }
        let target = self.target.open().await?;
        if self.git.is_some() && target.kube().is_none() {
            return Err(Failure::usage(
                "--git goes with a target in a cluster, and this one is a file",
            )
            .hint("say --target k8s:NAMESPACE/NAME"));
        }
        let fleet = self.envoys.fleet(&self.target, &target).await?;
        let seen = self.look(&target, &fleet).await?;
        let services = self.services(&seen.status.plan);
        let exit = judge(&seen, &services);
        let mut text = view::text(&seen, &services, events.columns());
        if seen.status.proxies.is_empty() {
            let alone = match self.target.state_folder()? {
                _ if target.kube().is_some() => "it reaches no proxy that runs".to_owned(),
                Some(folder) => format!("no `cutover up` runs on {}", folder.path().display()),
                None => "no Envoy was named (--admin HOST:PORT)".to_owned(),
            };
            let _ = write!(text, "\nThis is {} alone: {alone}.\n", target.noun());
        }
        let report = Report::new(exit, text, view::json(&seen, &services));
        Ok(report.next(self.next(&seen.status, &services)?))
    }

    async fn look(&self, target: &Target, fleet: &Fleet) -> Result<Seen, Failure> {
        Ok(Seen {
            target: target.clone(),
            status: status(target, self.service.as_deref(), fleet)
                .await
                .map_err(|error| Failure::of_flip(error, target))?,
            fleet: fleet.clone(),
            git: self.git.as_deref().map(Git::read).transpose()?,
        })
    }

    fn next(&self, status: &Status, services: &[&Service]) -> Result<String, Failure> {
        if status.proxies.is_empty() {
            if status.document.plugin().is_some() {
                return Ok("`kubectl get pods` shows whether they start; --admin HOST:PORT names other proxies".to_owned());
            }
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
fn wrong(seen: &Seen, services: &[&Service]) -> Vec<String> {
    let status = &seen.status;
    let mut wrong: Vec<_> = status.reverts.iter().map(reverted).collect();
    wrong.extend(seen.git.iter().flat_map(|git| git.wrong(status)));
    wrong.extend(wrong_at_proxies(status, services));
    wrong
}

/// A switch that somebody took back.
fn reverted(revert: &Revert) -> String {
    let Revert {
        service, from, to, ..
    } = revert;
    let by = revert.by.as_ref();
    let by = by.map_or_else(String::new, |by| format!(" by {by}"));
    let number = |state: &State| {
        let generation = state.generation;
        generation.map_or_else(|| "none".to_owned(), |generation| generation.to_string())
    };
    let keep = if revert.is_kept {
        format!(
            "the proxies keep {}, because generations only grow",
            from.active
        )
    } else {
        "proxies that had it keep it, because generations only grow".to_owned()
    };
    format!(
        "`{service}` was reverted{by}: generation went from {} ({}) to {} ({}); {keep}",
        number(from),
        from.active,
        number(to),
        to.active
    )
}

fn wrong_at_proxies(status: &Status, services: &[&Service]) -> Vec<String> {
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
    let missing = missing.filter(|one| !one.is_staged);
    dead.chain(missing.map(|one| one.why)).collect()
}

fn judge(seen: &Seen, services: &[&Service]) -> Exit {
    let status = &seen.status;
    if status.proxies.iter().any(|proxy| proxy.answer.is_err()) {
        return Exit::Environment;
    }
    if wrong(seen, services).is_empty() {
        Exit::Good
    } else {
        Exit::Failed
    }
}
