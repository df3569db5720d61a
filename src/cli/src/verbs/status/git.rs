//! What Git has beside what the cluster has.

use crate::{failure::Failure, manifest, source};
use cutover_control::{Document, GitDrift, State, Status};
use serde_json::{Value, json};
use std::path::Path;

/// A manifest as it lies in Git.
pub(super) struct Git {
    name: String,
    document: Document,
}

impl Git {
    /// Reads it.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let (name, bytes) = source::bytes(path)?;
        let document = manifest::plugin(&name, &bytes)?.ok_or_else(|| {
            Failure::usage(format!("{name} is no manifest"))
                .hint("name one of a WasmPlugin or TrafficExtension")
        })?;
        Ok(Self { name, document })
    }

    /// What differs, as sentences.
    pub(super) fn wrong(&self, status: &Status) -> Vec<String> {
        let live = &status.document;
        let Some(drift) = GitDrift::of(&self.document, live) else {
            return vec![];
        };
        let switches = drift.switches.iter().map(|(service, git, there)| {
            format!(
                "Git ({}) has `{service}` {git}; {} has {there}: {}",
                self.name,
                live.noun(),
                if_applied(git, there)
            )
        });
        let mut wrong: Vec<_> = switches.collect();
        if !drift.paths.is_empty() {
            wrong.push(format!(
                "Git ({}) differs from {} outside the switch: {}",
                self.name,
                live.noun(),
                drift.paths.join(", ")
            ));
        }
        wrong
    }

    /// The same for programs.
    pub(super) fn json(&self, status: &Status) -> Value {
        let drift = GitDrift::of(&self.document, &status.document).unwrap_or_default();
        let switches = drift.switches.iter().map(
            |(service, git, there)| json!({ "service": service, "git": git, "cluster": there }),
        );
        json!({
            "file": self.name,
            "switches": switches.collect::<Vec<_>>(),
            "paths": drift.paths,
        })
    }
}

/// What an apply of the file would do to proxies: generations only grow there.
fn if_applied(git: &State, there: &State) -> &'static str {
    if git.generation > there.generation {
        "applied, it would switch"
    } else {
        "applied, proxies would ignore it, for its generation is not newer"
    }
}
