//! Starts Envoy and backends, makes load and weather, flips, records a history.

mod backend;
mod clock;
mod envoy;
mod grpc;
mod load;
mod plan;
mod recorder;
mod site;
mod testimony;
mod weather;

pub use backend::Backend;
pub use clock::Clock;
pub use envoy::{Envoy, EnvoyError};
pub use load::{Arrival, Load, Rate, Shares};
pub use plan::Plan;
pub use recorder::Tally;
pub use site::{Shown, SiteError};
pub use testimony::{BACKEND_COLOR, BACKEND_DECISION, DECISION};
