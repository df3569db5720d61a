//! The decision: a request in, a color and the reason out.

use crate::{Color, Generation, Plan, Refusal, Register, RouteBy, Service, overrides::Claim};
use std::fmt::Write as _;

/// What a decision may ask of a request and of the proxy that has it.
pub trait Request {
    /// The first value of a request header, as it came.
    fn header(&self, name: &str) -> Option<Vec<u8>>;

    /// A value that all workers of the proxy share.
    fn shared(&self, key: &str) -> Option<Vec<u8>>;

    /// Wall-clock time in Unix seconds.
    fn unix_seconds(&self) -> u64;
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'p> {
    /// It goes to the decided color.
    Route(Decision<'p>),
    /// It is answered here.
    Answer(Answer<'p>),
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
}

impl Answer<'_> {
    /// The service that answers.
    pub fn service(&self) -> &Service {
        match self {
            Self::Closed(service, _) | Self::Forbidden(service, _) => service,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u32 {
        match self {
            Self::Closed(..) => 503,
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

/// Decides a request, once. Precedence: closed color, override, active color.
pub fn decide<'p>(plan: &'p Plan, request: &impl Request) -> Outcome<'p> {
    let Some(service) = plan.service_for(request) else {
        return Outcome::Unclaimed;
    };
    let (generation, active) = committed(service, request);
    let claim = service
        .overrides()
        .map_or(Claim::None, |o| o.claim(service.name(), request));
    let mut decision = Decision {
        service,
        color: active,
        generation,
        reason: Reason::Active,
        refused: None,
    };
    match claim {
        Claim::Granted(color) if service.is_closed(color) => {
            return Outcome::Answer(Answer::Closed(service, color));
        }
        Claim::Granted(color) => {
            decision.color = color;
            decision.reason = Reason::Override;
        }
        Claim::Refused(refusal) if service.overrides().is_some_and(|o| o.forbid) => {
            return Outcome::Answer(Answer::Forbidden(service, refusal));
        }
        Claim::Refused(refusal) => decision.refused = Some(refusal),
        Claim::None => {}
    }
    // A configuration never closes its own active color, but the register may hold a newer switch
    // than this configuration: no traffic to a closed color, and no outage either.
    if service.is_closed(decision.color) {
        decision.color = decision.color.other();
        decision.reason = Reason::Closed;
    }
    Outcome::Route(decision)
}

/// The switch that rules now: the register's, not the one of the configuration that this worker
/// happens to have. Without a generation there is no register.
fn committed(service: &Service, request: &impl Request) -> (Option<Generation>, Color) {
    let switch = service.switch();
    let Some(generation) = switch.generation else {
        return (None, switch.active);
    };
    if cfg!(feature = "broken-per-worker") {
        return (Some(generation), switch.active);
    }
    let register = request.shared(service.register_key());
    register
        .and_then(|bytes| Register::decode(&bytes))
        .map_or((Some(generation), switch.active), |register| {
            (Some(register.generation), register.active)
        })
}
