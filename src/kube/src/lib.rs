//! All that Cutover says to a Kubernetes API server: which plugin, who owns its switch, a new switch by
//! server-side apply, the proxies that it reaches, events and the journal.
//!
//! It knows neither flips nor Envoy: what a switch says, and what a proxy shows, is known by its users.

mod access;
mod apply;
mod call;
mod event;
mod fields;
mod find;
mod fleet;
mod journal;
mod manifest;
mod name;
mod owners;
mod plugin;
mod sight;
mod tail;
mod task;

pub use access::{Access, ConnectError};
pub use apply::{Apply, ApplyError, ContestedField, Denier, SwitchChange};
pub use call::{Cluster, ClusterError};
pub use event::{EventKind, EventNote};
pub use fields::{FieldPath, FieldSet};
pub use find::FindError;
pub use fleet::{Fleet, Phase, PodProxy, TunnelFault};
pub use journal::JournalError;
pub use name::{InvalidObjectName, Kind, ObjectName};
pub use owners::{Manager, Operation, Tool};
pub use plugin::{InvalidPlugin, Plugin, Reach, TargetRef};
pub use sight::{PluginWatch, Sighting};

/// The field manager in whose name switches are applied.
pub const FIELD_MANAGER: &str = "cutover";

/// The namespace whose plugins reach the proxies of all namespaces.
pub const ROOT_NAMESPACE: &str = "istio-system";
