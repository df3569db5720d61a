//! Starts Envoy and backends, makes load and weather, flips, records a history.

mod backend;
mod clock;
mod envoy;
mod grpc;
mod load;
mod plan;
mod recorder;
mod run;
mod site;
mod summary;
mod testimony;
mod weather;

pub use backend::Backend;
pub use clock::Clock;
pub use envoy::{Envoy, EnvoyError, FromClients};
pub use load::{Arrival, Load, Rate, Shares};
pub use plan::Plan;
pub use recorder::Tally;
pub use run::{RunError, run};
pub use site::{Shown, SiteError};
pub use summary::{Counts, MemorySample, Phase, Progress, Snapshot, Summary};
pub use testimony::{BACKEND_COLOR, BACKEND_DECISION, DECISION};
pub use tokio_util::sync::CancellationToken;
