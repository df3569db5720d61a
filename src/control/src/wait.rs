//! Waiting until every proxy shows a generation, without writing anything.

use crate::{
    Fleet, Interrupt, Proxy, Target, TargetError, UnknownService, service_of, unix_ms,
    watch::{self, Goal, Outcome, Shown, Steps, Unshown, Watched, Why},
};
use cutover_core::{Color, Generation, InvalidConfig};
use std::time::{Duration, Instant};

/// What to wait for.
#[derive(Clone, Debug)]
pub struct WaitRequest {
    /// The service; may be left out when there is only one.
    pub service: Option<String>,
    /// The generation; that of the file when it is left out.
    pub generation: Option<u64>,
    /// The Envoys that must show it.
    pub fleet: Fleet,
    /// How long they may take, from the instant on where the switch has one. A silent one is asked again
    /// until then.
    pub deadline: Duration,
    /// Stops it.
    pub interrupt: Interrupt,
    /// Told of each Envoy that shows it.
    pub steps: Steps,
}

/// Where a generation has landed.
#[derive(Clone, Debug)]
pub struct Landing {
    /// The service.
    pub service: String,
    /// The generation.
    pub generation: u64,
    /// Its color, where the file knows it.
    pub active: Option<Color>,
    /// The Envoys that show it.
    pub shown: Vec<Shown>,
    /// Those that do not.
    pub missing: Vec<Unshown>,
    /// Those that left the fleet before they showed it.
    pub gone: Vec<Proxy>,
    /// True when it was told to stop before all of them did.
    pub interrupted: bool,
    /// How long it took.
    pub took: Duration,
}

/// There is nothing to wait for.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The file cannot be read.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The filter would refuse the configuration.
    #[error("the filter would refuse the configuration: {0}")]
    Config(#[from] InvalidConfig),
    /// No such service, or several.
    #[error(transparent)]
    Service(#[from] UnknownService),
    /// Each worker switches for itself, and when all have cannot be seen.
    #[error("service `{0}` has no generation, so that nobody could see when it has landed")]
    NoGeneration(String),
}

impl Landing {
    /// True when an Envoy shows a newer generation: waiting on is of no use.
    pub fn is_superseded(&self) -> bool {
        let superseded = |one: &Unshown| matches!(one.why, Why::Superseded { .. });
        self.missing.iter().any(superseded)
    }
}

/// Waits until every Envoy shows the generation, one of them shows a newer one, or the deadline.
pub async fn wait(target: &Target, request: &WaitRequest) -> Result<Landing, WaitError> {
    let document = target.read().await?;
    let plan = document.plan()?;
    let service = service_of(&plan, request.service.as_deref())?;
    let switch = service.switch();
    let in_file = switch.generation.map(Generation::get);
    let Some(generation) = request.generation.or(in_file) else {
        return Err(WaitError::NoGeneration(service.name().to_owned()));
    };
    let goal = Goal {
        service: service.name().to_owned(),
        generation,
        active: (in_file == Some(generation)).then_some(switch.active),
    };
    let watched = Watched {
        fleet: request.fleet.clone(),
        names: document.names().to_vec(),
        known: vec![],
    };
    let began = Instant::now();
    // The deadline counts from when it can be shown at all.
    let due = switch.activation.filter(|_| in_file == Some(generation));
    let over = due.map_or(0, |due| due.at() + u64::from(due.hold()));
    let wait = Duration::from_millis(over.saturating_sub(unix_ms()));
    let until = began + wait + request.deadline;
    let outcome = watch::all(watched, &goal, until, &request.interrupt, &request.steps).await;
    let Outcome {
        shown,
        missing,
        gone,
    } = outcome;
    Ok(Landing {
        service: goal.service,
        generation,
        active: goal.active,
        interrupted: request.interrupt.is_raised() && !missing.is_empty(),
        shown,
        missing,
        gone,
        took: began.elapsed(),
    })
}
