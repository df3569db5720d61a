//! What of a pod matters: has it a proxy, and does that run?

use crate::tail::Item;
use serde::Deserialize;
use std::fmt;

/// The name of the proxy's container, in sidecars, gateways and waypoints.
const PROXY: &str = "istio-proxy";

/// A pod, as far as it is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    resource_version: String,
    deletion_timestamp: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    containers: Vec<Container>,
    init_containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    name: String,
    restart_policy: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: String,
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    restart_count: u32,
    state: State,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    running: Option<serde::de::IgnoredAny>,
    terminated: Option<serde::de::IgnoredAny>,
}

/// What a pod's proxy is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It has not run yet: it takes the configuration when it does.
    Starting,
    /// It runs.
    Running,
    /// It has run, and does not now: Kubernetes starts it again.
    Down,
    /// The pod is being deleted; its proxy may still serve.
    Stopping,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Down => "down",
            Self::Stopping => "stopping",
        })
    }
}

impl Item for Pod {
    fn version(&self) -> &str {
        &self.metadata.resource_version
    }
}

impl Pod {
    /// What its proxy is doing; none for a pod without one, and for one that has ended for good.
    pub(super) fn phase(&self) -> Option<Phase> {
        if !self.has_proxy() || matches!(self.status.phase.as_str(), "Succeeded" | "Failed") {
            return None;
        }
        if self.metadata.deletion_timestamp.is_some() {
            return Some(Phase::Stopping);
        }
        let status = &self.status;
        let proxy = status
            .container_statuses
            .iter()
            .chain(&status.init_container_statuses)
            .find(|container| container.name == PROXY);
        Some(match proxy {
            Some(proxy) if proxy.state.running.is_some() => Phase::Running,
            Some(proxy) if proxy.restart_count > 0 || proxy.state.terminated.is_some() => {
                Phase::Down
            }
            _ => Phase::Starting,
        })
    }

    /// As a container, or as a native sidecar: an init container that is kept running.
    fn has_proxy(&self) -> bool {
        let sidecar = |container: &Container| {
            container.name == PROXY && container.restart_policy.as_deref() == Some("Always")
        };
        self.spec.containers.iter().any(|one| one.name == PROXY)
            || self.spec.init_containers.iter().any(sidecar)
    }
}

#[cfg(test)]
#[path = "pod_tests.rs"]
mod tests;
