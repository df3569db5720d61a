//! What Cutover decides, without a proxy: configuration in, decision out.
//!
//! The same code runs in the filter, in the command-line tool and in the tests. It knows no host
//! call, no clock and no file; what it needs of a request it asks of a [`Request`].

mod color;
mod config;
mod decide;
pub mod fleet;
mod generation;
pub mod headers;
mod hosts;
mod identity;
mod ignored;
mod overrides;
mod plan;
mod register;
pub mod token;

pub use color::{Color, UnknownColor};
pub use config::InvalidConfig;
#[cfg(feature = "schema")]
pub use config::schema;
pub use decide::{Answer, Decision, Outcome, Reason, Request, decide};
pub use generation::{Generation, InvalidGeneration};
pub use identity::identity;
pub use ignored::{Pushes, Ruled};
pub use overrides::{Override, Refusal};
pub use plan::{Expose, Plan, Previous, RouteBy, Service, Switch};
pub use register::{Merge, Register, merge};
