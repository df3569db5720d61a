//! What Cutover decides, without a proxy: configuration in, decision out.
//!
//! The same code runs in the filter, in the command-line tool and in the tests. It knows no host
//! call, no clock and no file; what it needs of a request it asks of a [`Request`].

mod activation;
mod clock;
mod color;
mod config;
mod decide;
pub mod fleet;
mod generation;
pub mod headers;
mod hosts;
mod identity;
mod ignored;
mod merge;
mod overrides;
mod plan;
mod proxy;
mod register;
mod shown;
mod steps;
pub mod token;
mod vm;
mod waiting;

pub use activation::{Activation, Phase};
pub use clock::{Clock, Reading, switch_clock};
pub use color::{Color, UnknownColor};
pub use config::InvalidConfig;
#[cfg(feature = "schema")]
pub use config::schema;
pub use decide::{Answer, Decision, Held, Outcome, Reason, Request, decide, is_held};
pub use generation::{Generation, InvalidGeneration};
pub use identity::identity;
pub use ignored::{Pushes, Ruled};
pub use merge::{Merge, merge};
pub use overrides::{Override, Refusal};
pub use plan::{Expose, Plan, Previous, RouteBy, Service, Switch};
pub use proxy::{Level, Proxy, Set, metric};
pub use register::{Ordered, Register, Ruling, Staged};
pub use vm::Vm;
pub use waiting::Waiting;
