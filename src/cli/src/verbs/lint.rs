//! `cutover lint`: what the filter would say, before it says it.

use crate::{failure::Failure, output::Report};
use clap::Args;
use cutover_control::{Document, FileTarget};
use cutover_core::{Plan, Service};
use serde_json::{Value, json};
use std::{fmt::Write as _, io::Read as _, path::PathBuf};

const EXAMPLE: &str = "\
Example:
  cutover lint envoy/cutover.json
  echo '{\"active\": \"blue\", \"blue\": \"app-v1\", \"green\": \"app-v2\"}' | cutover lint -

PATH is an ECDS file or a plugin configuration alone. Whether the keys of an override are set in
Envoy's environment cannot be seen from here.

Exit codes: 0 good, 2 the filter would refuse it";

/// Check a configuration with the filter's own parser
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Lint {
    /// The file; `-` reads standard input
    path: PathBuf,
}

impl Lint {
    pub(crate) fn run(&self) -> Result<Report, Failure> {
        let from_stdin = self.path.as_os_str() == "-";
        let bytes = if from_stdin {
            let mut bytes = Vec::new();
            std::io::stdin()
                .lock()
                .read_to_end(&mut bytes)
                .map_err(|error| {
                    Failure::environment(format!("standard input cannot be read: {error}"))
                })?;
            bytes
        } else {
            FileTarget::new(&self.path).read_bytes().map_err(|error| {
                Failure::usage(error.to_string())
                    .hint("name an ECDS file or a plugin configuration")
            })?
        };
        let name = if from_stdin {
            "standard input".to_owned()
        } else {
            self.path.display().to_string()
        };
        let refused = |message: String, details: Value| {
            Failure::usage(format!("{name}: {message}"))
                .hint("the filter would refuse it, and keep what it has")
                .details(details)
        };
        let is_ecds = serde_json::from_slice::<Value>(&bytes).is_ok_and(|root| {
            root.get("resources").is_some() || root.get("version_info").is_some()
        });
        let configuration = if is_ecds {
            let document = Document::parse(&bytes)
                .map_err(|invalid| refused(invalid.to_string(), json!({})))?;
            document.configuration().to_vec()
        } else {
            bytes
        };
        let plan = Plan::parse(&configuration).map_err(|invalid| {
            let details = json!({
                "path": invalid.path(), "value": invalid.value(), "problem": invalid.problem(),
            });
            refused(invalid.to_string(), details)
        })?;
        let mut text = format!("{name}: good\n");
        for service in plan.services() {
            let _ = writeln!(text, "  {}", in_words(service));
        }
        let services: Vec<_> = plan
            .services()
            .iter()
            .map(|service| as_json(service))
            .collect();
        Ok(Report::good(
            text,
            json!({ "file": name, "ecds": is_ecds, "services": services }),
        )
        .next(if is_ecds {
            "`cutover status` shows whether the Envoys agree with it"
        } else {
            "`cutover explain` shows where a request would go"
        }))
    }
}

fn in_words(service: &Service) -> String {
    let switch = service.switch();
    let generation = match switch.generation {
        Some(generation) => format!("generation {generation}"),
        None => "no generation: each worker switches for itself".to_owned(),
    };
    let overrides = match service.overrides() {
        None => String::new(),
        Some(rule) => match rule.key_ids() {
            None => ", anyone may override".to_owned(),
            Some(keys) => format!(", override signed by {}", keys.join(" or ")),
        },
    };
    format!(
        "{}: {} active, {generation}{overrides}",
        service.name(),
        switch.active
    )
}

/// A service as programs read it.
pub(super) fn as_json(service: &Service) -> Value {
    let switch = service.switch();
    let previous = switch
        .previous
        .map(|previous| json!({ "generation": previous.generation, "active": previous.active }));
    json!({
        "service": service.name(),
        "active": switch.active,
        "generation": switch.generation,
        "previous": previous,
    })
}
