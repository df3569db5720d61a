//! A flip: one atomic write, and then nothing but watching until every proxy shows it.

mod change;
mod error;
mod instant;
mod order;
mod outlook;
mod write;

pub use error::FlipError;
pub use instant::{
    Ending, InMilliseconds, InstantRequest, InvalidInstant, Lagging, Measured, ResumeRequest,
    Resumption, Schedule, Scheduled, USUAL_HOLD_MS, USUAL_LEAD, When, flip_at, resume,
    usual_margin,
};
pub use outlook::{Aim, Outlook, PlanRequest, Sight, plan, together};

pub use change::unix_ms;
pub(crate) use write::taken;

use crate::{
    Fleet, Interrupt, Proxy, State, Target,
    watch::{Shown, Steps},
};
use cutover_core::{Color, Switch};
use order::Order;
use std::time::{Duration, Instant};

/// What to flip, and whom to ask whether it is done.
#[derive(Clone, Debug)]
pub struct FlipRequest {
    /// The service; may be left out when there is only one.
    pub service: Option<String>,
    /// The color that shall be active.
    pub to: Color,
    /// Refuses unless this is the generation of the file, and no proxy shows a newer one.
    pub expect_generation: Option<u64>,
    /// Refuses unless the file still says this: what a person saw when they agreed.
    pub agreed: Option<State>,
    /// The generation to write, so that several files get the same one; else the next.
    pub generation: Option<u64>,
    /// The Envoys that must show the flip.
    pub fleet: Fleet,
    /// How long they may take.
    pub deadline: Duration,
    /// Passes over the gates: health, drift, another flip that still waits.
    pub force: bool,
    /// In a cluster: takes fields of the switch that others own.
    pub take_fields: bool,
    /// Why, for the journal.
    pub reason: Option<String>,
    /// Stops it.
    pub interrupt: Interrupt,
    /// Told of what happens on the way.
    pub steps: Steps,
}

/// A way back: like [`FlipRequest`], to the color before.
#[derive(Clone, Debug)]
pub struct RollbackRequest {
    /// The service; may be left out when there is only one.
    pub service: Option<String>,
    /// Refuses unless this is the generation of the file, and no proxy shows a newer one.
    pub expect_generation: Option<u64>,
    /// The Envoys that must show the flip.
    pub fleet: Fleet,
    /// How long they may take.
    pub deadline: Duration,
    /// Why, for the journal.
    pub reason: Option<String>,
    /// Stops it.
    pub interrupt: Interrupt,
    /// Told of what happens on the way.
    pub steps: Steps,
}

/// The switch that a flip wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The service.
    pub service: String,
    /// What the file said before.
    pub before: Switch,
    /// Generation of the switch.
    pub generation: u64,
    /// Its active color.
    pub active: Color,
    /// Just before the file was replaced.
    pub invoked: Instant,
    /// When the file had been replaced and synced.
    pub written: Instant,
    /// What went wrong beside it: a clock that is behind, a journal that cannot be written.
    pub warnings: Vec<String>,
    /// The Envoys that left the fleet before they showed it.
    pub gone: Vec<Proxy>,
}

/// A flip that every Envoy shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flipped {
    /// What was written. When `pushed` is false, what was there already.
    pub written: Written,
    /// False when nothing had to be written: file and proxies had it already.
    pub pushed: bool,
    /// When each Envoy was seen to show it.
    pub shown: Vec<Shown>,
}

/// Switches a service to a color, and returns once every Envoy that was named shows it.
///
/// Where file and Envoys show the color already, nothing is written. Where an Envoy does not (it
/// missed or refused the last push), the same color is pushed again under a new generation, and the
/// way back stays what it was. An Envoy that cannot be asked beforehand stops the flip, as do the
/// gates.
pub async fn flip(target: &Target, request: &FlipRequest) -> Result<Flipped, FlipError> {
    let order = Order {
        aim: Aim::To(request.to),
        service: request.service.as_deref(),
        expect: request.expect_generation,
        agreed: request.agreed,
        generation: request.generation,
        fleet: &request.fleet,
        deadline: request.deadline,
        force: request.force,
        take_fields: request.take_fields,
        reason: request.reason.as_deref(),
        interrupt: &request.interrupt,
        steps: &request.steps,
    };
    order.carry_out(target).await
}

/// Switches a service to the color before: that of `previous`, or the other one where the file has
/// no `previous`. It is written even when no Envoy can be asked: a way back is never gated.
pub async fn rollback(target: &Target, request: &RollbackRequest) -> Result<Flipped, FlipError> {
    let order = Order {
        aim: Aim::Back,
        service: request.service.as_deref(),
        expect: request.expect_generation,
        agreed: None,
        generation: None,
        fleet: &request.fleet,
        deadline: request.deadline,
        force: true,
        take_fields: true,
        reason: request.reason.as_deref(),
        interrupt: &request.interrupt,
        steps: &request.steps,
    };
    order.carry_out(target).await
}

impl Written {
    fn came_of(&mut self, put: write::Put) {
        (self.invoked, self.written) = (put.invoked, put.written);
        self.warnings.extend(put.warnings);
    }

    fn took(&self) -> Duration {
        self.invoked.elapsed()
    }
}
