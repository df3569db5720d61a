//! `cutover status`.

use super::lint::as_json;
use crate::{
    args,
    failure::{Exit, Failure},
    output::Report,
    table::table,
};
use clap::Args;
use cutover_control::{ProxyStatus, Status, status};
use cutover_core::{Color, Generation, Service};
use serde_json::{Value, json};
use std::fmt::Write as _;

const EXAMPLE: &str = "\
Example:
  cutover status --target file:envoy/cutover.json --admin 127.0.0.1:9901
  cutover status -o json | jq '.envoys[].services[].agreement'

Columns: STALE and CONFLICT count pushes that an Envoy ignored, being older than what it had or of
the same generation with another content; REFUSED counts files that it could not use.

Exit codes: 0 every Envoy agrees with the file, 1 one does not, 2 bad use or configuration, 3 an Envoy
could not be asked";

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
}

impl Look {
    pub(crate) async fn run(self) -> Result<Report, Failure> {
        let target = self.target.file()?;
        let admins = self.envoys.addresses(&self.target)?;
        let status = status(&target, self.service.as_deref(), &admins).await?;
        let services: Vec<_> = (status.plan.services().iter().map(AsRef::as_ref))
            .filter(|service| {
                self.service
                    .as_deref()
                    .is_none_or(|name| name == service.name())
            })
            .collect();
        let file = target.path().display().to_string();
        let exit = judge(&status, &services);
        Ok(Report::new(
            exit,
            as_text(&file, &status, &services),
            json!({
                "target": format!("file:{file}"),
                "version": status.version,
                "services": services.iter().map(|service| as_json(service)).collect::<Vec<_>>(),
                "envoys": status.proxies.iter().map(|p| proxy_json(p, &services)).collect::<Vec<_>>(),
            }),
        ))
    }
}

fn judge(status: &Status, services: &[&Service]) -> Exit {
    let mut exit = Exit::Good;
    for proxy in &status.proxies {
        if proxy.answer.is_err() {
            return Exit::Environment;
        }
        let agrees = |service: &&Service| {
            let shows = proxy.shows(service.name(), service.switch());
            shows.is_some_and(|shows| shows.agreement.is_good())
        };
        if !services.iter().all(agrees) {
            exit = Exit::Failed;
        }
    }
    exit
}

fn as_text(file: &str, status: &Status, services: &[&Service]) -> String {
    let head = |cells: &[&str]| {
        cells
            .iter()
            .map(|cell| (*cell).to_owned())
            .collect::<Vec<_>>()
    };
    let mut rows = vec![head(&[
        "SERVICE",
        "ACTIVE",
        "GENERATION",
        "WRITTEN",
        "BEFORE",
    ])];
    for service in services {
        let switch = service.switch();
        rows.push(vec![
            service.name().to_owned(),
            switch.active.to_string(),
            generation_cell(Some(switch.generation.map_or(0, Generation::get))),
            switch
                .generation
                .map_or_else(|| "-".to_owned(), |g| time_of(g.get())),
            switch.previous.map_or_else(
                || "-".to_owned(),
                |previous| format!("{} {}", previous.active, previous.generation),
            ),
        ]);
    }
    let mut text = format!("{file}\n{}", table(&rows));
    if status.proxies.is_empty() {
        return text + "\nNo Envoy was named (--admin HOST:PORT): this is the file alone.\n";
    }
    let mut rows = vec![head(&[
        "ENVOY",
        "VERSION",
        "SERVICE",
        "ACTIVE",
        "GENERATION",
        "STALE",
        "CONFLICT",
        "REFUSED",
        "FILE",
    ])];
    let mut silent = String::new();
    for proxy in &status.proxies {
        let (version, counts) = match &proxy.answer {
            Ok(answer) => answer,
            Err(error) => {
                let _ = writeln!(silent, "{error}");
                continue;
            }
        };
        for service in services {
            let Some(shows) = proxy.shows(service.name(), service.switch()) else {
                continue;
            };
            rows.push(vec![
                proxy.admin.to_string(),
                version.clone(),
                service.name().to_owned(),
                shows.seen.active.map_or("-", Color::as_str).to_owned(),
                generation_cell(shows.seen.generation),
                shows.seen.stale.to_string(),
                shows.seen.conflict.to_string(),
                counts.update_rejected.to_string(),
                shows.agreement.as_str().to_owned(),
            ]);
        }
    }
    if rows.len() > 1 {
        let _ = write!(text, "\n{}", table(&rows));
    }
    if !silent.is_empty() {
        let _ = write!(text, "\n{silent}");
    }
    text
}

fn generation_cell(generation: Option<u64>) -> String {
    match generation {
        None => "-".to_owned(),
        Some(0) => "per worker".to_owned(),
        Some(generation) => generation.to_string(),
    }
}

/// A generation as the time at which it was written, if it can be one.
fn time_of(generation: u64) -> String {
    const FIRST: u64 = 1_500_000_000_000;
    let millisecond = i64::try_from(generation)
        .ok()
        .filter(|_| generation >= FIRST);
    let time = millisecond.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(
        || "-".to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}

fn proxy_json(proxy: &ProxyStatus, services: &[&Service]) -> Value {
    let (version, counts) = match &proxy.answer {
        Ok(answer) => answer,
        Err(error) => {
            return json!({ "admin": proxy.admin.to_string(), "error": error.to_string() });
        }
    };
    let services: Vec<_> = (services.iter())
        .filter_map(|service| {
            let shows = proxy.shows(service.name(), service.switch())?;
            let seen = shows.seen;
            Some(json!({
                "service": service.name(),
                "active": seen.active,
                "generation": seen.generation,
                "stale": seen.stale,
                "conflict": seen.conflict,
                "override_used": seen.override_used,
                "override_refused": seen.override_refused,
                "agreement": shows.agreement,
            }))
        })
        .collect();
    json!({
        "admin": proxy.admin.to_string(),
        "version": version,
        "config_refused": counts.config_refused,
        "update_rejected": counts.update_rejected,
        "services": services,
    })
}
