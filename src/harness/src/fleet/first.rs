//! The first question to a proxy: whether it can be asked at all, and what it runs.

use std::time::{Duration, Instant};

use cutover_history::{Color, Decision, Kind, Outcome};

use super::{FleetError, Place};
use crate::load::{Door, Reply, Trouble, ask};
use crate::testimony::BACKEND_COLOR;

/// How often a proxy that does not answer yet is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// What a proxy's first answer shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    /// The decision, where answers tell it.
    pub(super) decision: Option<Decision>,
    /// The color that served, or that was decided where that is not told.
    pub(super) color: Color,
    /// Whether the answer says who served it.
    pub(super) tells_served: bool,
}

/// Asks until there is an answer, for so long; says then why there is none.
pub(super) async fn answer(
    place: &Place,
    door: &Door,
    kind: Kind,
    timeout: Duration,
    patience: Duration,
) -> Result<First, FleetError> {
    let start = Instant::now();
    loop {
        let refused = match first(place, door, kind, timeout).await {
            Ok(first) => return Ok(first),
            Err(refused) => refused,
        };
        if start.elapsed() >= patience {
            return Err(refused);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks once.
pub(super) async fn first(
    place: &Place,
    door: &Door,
    kind: Kind,
    timeout: Duration,
) -> Result<First, FleetError> {
    let silent = |why: String| FleetError::Silent {
        proxy: place.name().to_owned(),
        why,
    };
    let Reply { status, headers } = match ask(door, kind, timeout).await {
        Ok(reply) => reply,
        Err(Trouble::Failed(_, why)) => return Err(silent(why)),
        Err(Trouble::TimedOut) => {
            return Err(silent(format!("no answer in {} s", timeout.as_secs_f32())));
        }
    };
    let proxy = || place.name().to_owned();
    if status.as_u16() >= 400 {
        return Err(FleetError::Status {
            proxy: proxy(),
            status: status.as_u16(),
            host: place.host().to_owned(),
        });
    }
    let unsaid = FleetError::Unsaid {
        proxy: proxy(),
        status: status.as_u16(),
    };
    let colorless = FleetError::Colorless { proxy: proxy() };
    let Ok(seen) = door.read(status, &headers) else {
        return Err(if door.tells_decisions() {
            unsaid
        } else {
            colorless
        });
    };
    let (outcome, _) = seen.into_parts();
    let Outcome::Answered { served, decision } = outcome else {
        return Err(unsaid);
    };
    if door.tells_decisions() && decision.is_none() {
        return Err(unsaid);
    }
    Ok(First {
        decision,
        color: served,
        tells_served: headers.contains_key(BACKEND_COLOR),
    })
}
