//! Starts Envoy and backends, makes load and weather, flips, records a history.
//!
//! [`run`] makes a whole run of a [`Plan`]: two backends that answer with their color and repeat what
//! the filter told them; Envoys, each with a configuration file of its own; clients of six kinds,
//! open-loop; flips by the code of `cutover flip` ([`cutover_control::flip`]); and weather between
//! them. Everything that was asked, answered and pushed goes to the history, and nothing is judged
//! here.
//!
//! [`Fleet`] puts a load on proxies that somebody else runs, and records what others do to them.
//! [`LocalFleet`] is such proxies: Envoys with one file for all of them, skewed pushes and wrong clocks.

mod backend;
mod clock;
mod drive;
mod envoy;
mod fleet;
mod grpc;
mod load;
mod local;
mod plan;
mod recorder;
mod run;
mod site;
mod summary;
mod testimony;
mod weather;

pub use backend::Backend;
pub use clock::Clock;
pub use envoy::{Envoy, EnvoyError, launcher::spawn};
pub use fleet::{
    Answers, Fleet, FleetError, FleetPlan, FleetSummary, InvalidPlace, Lagging, NotedFlip, Place,
    Shows,
};
pub use load::{Arrival, Load, Rate, Shares};
pub use local::{LocalError, LocalFleet, LocalPlan, Waited, Waits, WrongClock};
pub use plan::Plan;
pub use recorder::Tally;
pub use run::{RunError, run};
pub use site::{Shown, SiteError};
pub use summary::{Counts, MemorySample, Phase, Progress, Snapshot, Summary};
pub use testimony::{BACKEND_COLOR, BACKEND_DECISION, DECISION};
pub use tokio_util::sync::CancellationToken;
