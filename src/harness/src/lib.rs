//! Starts Envoy and backends, makes load and weather, flips, records a history.

mod backend;
mod clock;
mod grpc;
mod load;
mod recorder;
mod testimony;

pub use backend::Backend;
pub use clock::Clock;
pub use load::{Arrival, Load, Rate, Shares};
pub use recorder::Tally;
pub use testimony::{BACKEND_COLOR, BACKEND_DECISION, DECISION};
