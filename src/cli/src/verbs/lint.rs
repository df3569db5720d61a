//! `cutover lint`: what the filter would say, before it says it.

use crate::{
    failure::Failure,
    output::Report,
    source::{self, Form, Source},
};
use clap::Args;
use cutover_control::{InWords, ModuleId};
use cutover_core::{Activation, Service};
use serde_json::{Value, json};
use std::{fmt::Write as _, path::PathBuf};

const EXAMPLE: &str = "\
Example:
  cutover lint envoy/cutover.json
  echo '{\"active\": \"blue\", \"blue\": \"v1\", \"green\": \"v2\"}' | cutover lint -

PATH is an ECDS file, a manifest (WasmPlugin or TrafficExtension) or a plugin configuration alone; of a module (.wasm) it tells which build it \
is. Whether the keys of an override are set in Envoy's environment cannot be seen from here.

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
        let (name, bytes) = source::bytes(&self.path)?;
        if bytes.starts_with(b"\0asm") {
            return module(&name, &bytes);
        }
        let Source {
            name, plan, form, ..
        } = source::parse(name, &bytes)?;
        let mut text = format!("{name}: good\n");
        for service in plan.services() {
            let _ = writeln!(text, "  {}", in_words(service));
        }
        let services: Vec<_> = plan
            .services()
            .iter()
            .map(|service| as_json(service))
            .collect();
        let mut json = json!({ "file": name, "ecds": form == Form::Ecds, "services": services });
        if let Value::Object(json) = &mut json
            && form == Form::Manifest
        {
            json.insert("manifest".to_owned(), true.into());
        }
        Ok(Report::good(text, json).next(match form {
            Form::Ecds => "`cutover status` shows whether the Envoys agree with it",
            Form::Manifest => {
                "`cutover status --target k8s:NAMESPACE/NAME --git FILE` shows what differs from it"
            }
            Form::Plugin => "`cutover explain` shows where a request would go",
        }))
    }
}

fn module(name: &str, bytes: &[u8]) -> Result<Report, Failure> {
    let id = ModuleId::of_wasm(bytes).ok_or_else(|| {
        Failure::usage(format!(
            "{name} is a WebAssembly module, but does not tell which build of the filter it is"
        ))
        .hint("scripts/build makes target/cutover.wasm")
    })?;
    let report = Report::good(
        format!("{name}: module {id}"),
        json!({ "file": name, "module": id }),
    );
    Ok(report.next("`cutover status` shows which module each Envoy runs"))
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
    let due = switch.activation.map_or_else(String::new, |due| {
        format!(", from {} on, hold {} ms", InWords(due.at()), due.hold())
    });
    format!(
        "{}: {} active, {generation}{due}{overrides}",
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
        "activate_at": switch.activation.map(Activation::at),
        "hold": switch.activation.map(Activation::hold),
        "previous": previous,
    })
}
