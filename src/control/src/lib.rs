//! Where a configuration lives, and how it is switched: the target, Envoy's admin interface, flips,
//! and the files that Envoy starts with.

mod admin;
mod clock;
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
mod standing;
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
pub use clock::InWords;
pub use document::{Document, InvalidDocument, Names, UnknownService, service_of};
pub use drift::{Running, drift, other_switches};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use fleet::{Fleet, Members};
pub use flip::{
    Aim, Ending, FlipError, FlipRequest, Flipped, InMilliseconds, InstantRequest, InvalidInstant,
    Lagging, Measured, Outlook, PlanRequest, ResumeRequest, Resumption, RollbackRequest, Schedule,
    Scheduled, Sight, USUAL_HOLD_MS, USUAL_LEAD, When, Written, flip, flip_at, plan, resume,
    rollback, together, unix_ms, usual_margin,
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
pub use standing::{Operator, Standing};
pub use state::{
    Found, Living, Origin, RestoreError, Restored, StateError, StateFolder, StateLock,
};
pub use status::{Agreement, Answer, ProxyStatus, Shows, Status, status};
pub use target::{FileTarget, KubeTarget, Locked, Target, TargetError};
pub use until::{Missing, Until};
pub use wait::{Landing, WaitError, WaitRequest, wait};
pub use watch::{Shown, Step, Steps, Unshown, Why};
