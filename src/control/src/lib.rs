//! Where a configuration lives, and how it is switched: the target, Envoy's admin interface, flips,
//! and the files that Envoy starts with.

mod admin;
mod document;
mod drift;
mod endpoint;
mod fleet;
mod flip;
mod gate;
mod git;
mod interrupt;
mod journal;
mod module_id;
mod proxy;
mod revert;
mod splice;
mod status;
mod target;
mod until;
mod wait;
mod watch;

pub mod bootstrap;
pub mod resource;
pub mod state;

pub use cutover_kube::{Access, ApplyError, ClusterError, FindError, ObjectName, Plugin};

pub use admin::{Admin, AdminError, Endpoints, Seen, Stats};
pub use bootstrap::{AccessLog, Bootstrap, FromClients, Health, HealthPath};
pub use document::{Document, InvalidDocument, Names, UnknownService, service_of};
pub use drift::{Running, drift, other_switches};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use fleet::{Fleet, Members};
pub use flip::{
    Aim, FlipError, FlipRequest, Flipped, Outlook, PlanRequest, RollbackRequest, Sight, Written,
    flip, plan, rollback, unix_ms,
};
pub use gate::Refusal;
pub use git::GitDrift;
pub use interrupt::Interrupt;
pub use journal::{
    Absent, Author, Chapter, Entry, Fate, Journal, JournalError, Kind, Recalled, State,
};
pub use module_id::ModuleId;
pub use proxy::Proxy;
pub use resource::ResourceOptions;
pub use revert::Revert;
pub use state::{
    Found, Living, Origin, RestoreError, Restored, StateError, StateFolder, StateLock,
};
pub use status::{Agreement, Answer, ProxyStatus, Shows, Status, status};
pub use target::{FileTarget, KubeTarget, Locked, Target, TargetError};
pub use until::{Missing, Until};
pub use wait::{Landing, WaitError, WaitRequest, wait};
pub use watch::{Shown, Step, Steps, Unshown, Why};
