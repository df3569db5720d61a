//! The tool on plugins of a real API server, with real proxies: `k8s:NAMESPACE/NAME`.

mod git;
mod instant;
mod owners;
mod rights;
mod stage;
mod switches;
