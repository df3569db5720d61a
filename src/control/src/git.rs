//! A manifest as it lies in Git beside what the API server has.

use crate::{Document, State, drift::differences};
use cutover_core::{Color, Generation, Plan};
use serde_json::Value;

/// Where a manifest and the cluster differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitDrift {
    /// The switches that differ: the service, what Git has, what the cluster has. A switch that Git
    /// leaves out is left to Cutover, and differs from none.
    pub switches: Vec<(String, State, State)>,
    /// Paths outside the switches, such as `spec.pluginConfig.expose`.
    pub paths: Vec<String>,
}

impl GitDrift {
    /// Compares them; none where one of them is no plugin.
    pub fn of(git: &Document, live: &Document) -> Option<Self> {
        let (git_object, live_object) = (git.plugin()?.manifest(), live.plugin()?.manifest());
        let mut drift = Self::default();
        let live_plan = live.plan().ok();
        for service in live_plan.iter().flat_map(Plan::services) {
            let there = State::from(service.switch());
            let in_git = switch_in(&git.value(), service.name());
            if let Some(in_git) = in_git.filter(|in_git| *in_git != there) {
                let name = service.name().to_owned();
                drift.switches.push((name, in_git, there));
            }
        }
        let spec = |object: &Value, document: &Document| {
            let mut spec = object.get("spec").cloned().unwrap_or_default();
            let kind = document.plugin().map(|plugin| plugin.kind);
            let config = match kind {
                Some(cutover_kube::Kind::TrafficExtension) => {
                    spec.pointer_mut("/wasm/pluginConfig")
                }
                _ => spec.pointer_mut("/pluginConfig"),
            };
            if let Some(config) = config {
                *config = crate::drift::without_switches(config.take());
            }
            spec
        };
        drift.paths = differences("spec", &spec(&git_object, git), &spec(&live_object, live));
        if git_object.get("kind") != live_object.get("kind") {
            drift.paths.push("kind".to_owned());
        }
        Some(drift)
    }

    /// True when they say the same.
    pub fn is_none(&self) -> bool {
        self.switches.is_empty() && self.paths.is_empty()
    }
}

/// The switch of a service as a configuration has it, which need not be a whole one.
fn switch_in(configuration: &Value, service: &str) -> Option<State> {
    let place = match configuration.get("services") {
        Some(services) => services.get(service)?,
        None => configuration,
    };
    let active: Color = place.get("active")?.as_str()?.parse().ok()?;
    let generation = place.get("generation").and_then(Value::as_u64);
    let generation = generation.and_then(|generation| Generation::new(generation).ok());
    Some(State { generation, active })
}
