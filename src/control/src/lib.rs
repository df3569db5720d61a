//! Where a configuration lives, and how it is switched: the target, Envoy's admin interface, flips,
//! and the files that Envoy starts with.

mod admin;
mod document;
mod endpoint;
mod target;

pub mod bootstrap;
pub mod resource;

pub use admin::{Admin, AdminError, Seen, Stats};
pub use bootstrap::{AccessLog, Bootstrap};
pub use document::{Document, InvalidDocument, Names, UnknownService, service_of};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use resource::ResourceOptions;
pub use target::{FileTarget, Locked, TargetError};
