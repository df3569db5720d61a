//! The decision: a request in, a color and the reason out.

use crate::overrides::Claim;
use crate::{Clock, Color, Generation, Plan, Refusal, Register, RouteBy, Ruling, Service};
use std::fmt::Write as _;
use std::time::Duration;

/// What a decision may ask of a request and of the proxy that has it.
pub trait Request: Clock {
    /// The first value of a request header, as it came.
    fn header(&self, name: &str) -> Option<Vec<u8>>;

    /// A value that all workers of the proxy share.
    fn shared(&self, key: &str) -> Option<Vec<u8>>;
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'p> {
    /// It goes to the decided color.
    Route(Decision<'p>),
    /// It is answered here.
    Answer(Answer<'p>),
    /// Its color cannot be told yet: it waits, and is decided again.
    Hold(Held<'p>),
    /// No service answers to its host: it goes where it would have gone, without the headers that
    /// only the filter may set.
    Unclaimed,
}

/// A request's color, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'p> {
    /// The service that the host belongs to.
    pub service: &'p Service,
    /// The color that serves the request.
    pub color: Color,
    /// The generation that was read; none when the configuration has none.
    pub generation: Option<Generation>,
    /// Why this color.
    pub reason: Reason,
    /// An override that was asked for and refused.
    pub refused: Option<Refusal>,
    /// Another switch is staged, or has come to rule and is not committed yet.
    pub is_staged: bool,
}

/// A request that waits for the instant of a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held<'p> {
    /// The service that the host belongs to.
    pub service: &'p Service,
    /// How long, if nothing is pushed meanwhile.
    pub remaining: Duration,
}

/// Why a color was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is the active one.
    Active,
    /// An override asked for it.
    Override,
    /// The active one is closed.
    Closed,
}

/// An answer that the filter gives itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'p> {
    /// 503: the override asks for a color that is closed.
    Closed(&'p Service, Color),
    /// 403: the override was refused, and the service forbids such requests.
    Forbidden(&'p Service, Refusal),
    /// 503: it would have to wait, and as many wait as may.
    HeldOver(&'p Service),
}

impl Answer<'_> {
    /// The service that answers.
    pub fn service(&self) -> &Service {
        match self {
            Self::Closed(service, _) | Self::Forbidden(service, _) | Self::HeldOver(service) => {
                service
            }
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u32 {
        match self {
            Self::Closed(..) | Self::HeldOver(_) => 503,
            Self::Forbidden(..) => 403,
        }
    }

    /// The body: one line that says why.
    pub fn body(&self) -> String {
        match self {
            Self::Closed(service, color) => {
                format!(
                    "cutover: {color} is closed for service {}\n",
                    service.name()
                )
            }
            Self::Forbidden(service, refusal) => {
                format!(
                    "cutover: override refused for service {}: {refusal}\n",
                    service.name()
                )
            }
            Self::HeldOver(service) => {
                format!(
                    "cutover: too many requests are held for service {}\n",
                    service.name()
                )
            }
        }
    }
}

impl Reason {
    /// Its word in [`headers::DECISION`](crate::headers::DECISION).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Override => "override",
            Self::Closed => "closed",
        }
    }
}

impl Decision<'_> {
    /// The value of [`headers::DECISION`](crate::headers::DECISION), in the form of a structured
    /// field item with parameters (RFC 9651, section 3.3).
    pub fn header(&self) -> String {
        let mut value = String::with_capacity(48 + self.service.name().len());
        value.push_str(self.color.as_str());
        let _infallible = write!(value, ";g={}", self.generation.map_or(0, Generation::get));
        value.push_str(";by=");
        value.push_str(self.reason.as_str());
        value.push_str(";svc=");
        value.push_str(self.service.name());
        value
    }

    /// The header that routes the request, and its value.
    pub fn route(&self) -> (RouteBy, &str) {
        (self.service.route_by(), self.service.route(self.color))
    }
}

/// Decides a request, once. Precedence: closed color, override, hold, active color.
pub fn decide<'p>(plan: &'p Plan, request: &impl Request) -> Outcome<'p> {
    let Some(service) = plan.service_for(request) else {
        return Outcome::Unclaimed;
    };
    let ruling = ruling(service, request);
    let claim = service
        .overrides()
        .map_or(Claim::None, |o| o.claim(service.name(), request));
    let mut decision = Decision {
        service,
        color: ruling.active,
        generation: ruling.generation,
        reason: Reason::Active,
        refused: None,
        is_staged: ruling.is_staged,
    };
    match claim {
        Claim::Granted(color) if service.is_closed(color) => {
            return Outcome::Answer(Answer::Closed(service, color));
        }
        Claim::Granted(color) => {
            decision.color = color;
            decision.reason = Reason::Override;
            return Outcome::Route(decision);
        }
        Claim::Refused(refusal) if service.overrides().is_some_and(|o| o.forbid) => {
            return Outcome::Answer(Answer::Forbidden(service, refusal));
        }
        Claim::Refused(refusal) => decision.refused = Some(refusal),
        Claim::None => {}
    }
    if let Some(remaining) = ruling.hold {
        return Outcome::Hold(Held { service, remaining });
    }
    // A configuration never closes its own active color, but the register may hold a newer switch
    // than this configuration: no traffic to a closed color, and no outage either.
    if service.is_closed(decision.color) {
        decision.color = decision.color.other();
        decision.reason = Reason::Closed;
    }
    Outcome::Route(decision)
}

/// True while requests of a service wait, whose register has this key.
pub fn is_held(register_key: &str, request: &impl Request) -> bool {
    let register = request.shared(register_key);
    register
        .and_then(|bytes| Register::decode(&bytes))
        .is_some_and(|register| matches!(register.ruling(request), Ruling::Hold(_)))
}

/// What rules for a request.
struct Rule {
    generation: Option<Generation>,
    active: Color,
    /// So long nobody can say whether that still rules.
    hold: Option<Duration>,
    is_staged: bool,
}

/// The switch that rules now: the register's, not the one of the configuration that this worker
/// happens to have. Without a generation there is no register.
fn ruling(service: &Service, request: &impl Request) -> Rule {
    let switch = service.switch();
    let configured = Rule {
        generation: switch.generation,
        active: switch.active,
        hold: None,
        is_staged: false,
    };
    if switch.generation.is_none() || cfg!(feature = "broken-per-worker") {
        return configured;
    }
    let register = request.shared(service.register_key());
    let Some(register) = register.and_then(|bytes| Register::decode(&bytes)) else {
        return configured;
    };
    let (generation, active, hold) = match register.ruling(request) {
        Ruling::Switch(generation, active) => (generation, active, None),
        Ruling::Hold(remaining) => {
            let committed = register.committed;
            (committed.generation, committed.active, Some(remaining))
        }
    };
    Rule {
        generation: Some(generation),
        active,
        hold,
        is_staged: register.staged.is_some(),
    }
}
