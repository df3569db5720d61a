#![doc = include_str!("../../../docs/simulator.md")]

mod answer;
mod clock;
mod configuration;
mod delay;
mod fleet;
mod host;
mod operator;
mod plan;
mod proxy;
mod random;
mod record;
mod run;
mod trial;

pub use answer::{Answer, Decision, Outcome, Shown};
pub use clock::{Clock, EPOCH, Reading, Step};
pub use configuration::Switch;
pub use delay::{Delay, Delays, InvalidDelay};
pub use host::{InvalidModule, Module};
pub use operator::{Deeds, Flip, INSTALL, Variant, Way};
pub use plan::{Ask, Fault, Header, ProxyPlan, Push};
pub use proxy::{Course, SERVICE, Stage, simulate};
pub use random::Random;
pub use run::{Outturn, Run, RunError, run};
pub use trial::{Times, Trial};
mod search;
pub use search::{Assumption, Failing, Findings, Schedule, Search};
