//! What no run can have recorded.

use crate::{Header, Operation, Outcome};

/// The largest generation, 2^53 - 1: JSON numbers pass through doubles in control planes.
pub const MAX_GENERATION: u64 = (1 << 53) - 1;

/// The most proxies that a header can name.
pub const MAX_PROXIES: usize = 1 << 20;

/// Says why a header or an operation cannot have been recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// The header names no proxy, or more than [`MAX_PROXIES`].
    #[error("the header names {0} proxies, where 1 to {MAX_PROXIES} are possible")]
    Proxies(usize),
    /// An operation names a proxy that the header does not have.
    #[error("proxy {index} is not one of the {known} in the header, counted from 0")]
    NoSuchProxy {
        /// The index in the operation.
        index: u32,
        /// How many the header names.
        known: usize,
    },
    /// Instants run backward.
    #[error("`{earlier}` is {from}, later than `{later}`, {until}")]
    Backward {
        /// Name of the instant that has to come first.
        earlier: &'static str,
        /// Its value, ns.
        from: u64,
        /// Name of the instant that has to come second.
        later: &'static str,
        /// Its value, ns.
        until: u64,
    },
    /// A generation above [`MAX_GENERATION`].
    #[error("generation {0} is above {MAX_GENERATION}, the largest")]
    Generation(u64),
}

impl Header {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// No proxies, or too many.
    pub fn validate(&self) -> Result<(), Impossible> {
        match self.proxies.len() {
            1..=MAX_PROXIES => Ok(()),
            count => Err(Impossible::Proxies(count)),
        }
    }
}

impl Operation {
    /// The proxy that it names, by index.
    pub fn proxy(&self) -> u32 {
        match self {
            Self::Request(request) => request.proxy,
            Self::Push(push) => push.proxy,
            Self::Weather(weather) => weather.proxy,
        }
    }

    /// Checks what the types cannot say: the proxy exists, instants run forward, generations are in
    /// range.
    ///
    /// # Errors
    /// The first thing that is impossible.
    pub fn validate(&self, header: &Header) -> Result<(), Impossible> {
        let (index, known) = (self.proxy(), header.proxies.len());
        if usize::try_from(index).map_or(true, |index| index >= known) {
            return Err(Impossible::NoSuchProxy { index, known });
        }
        match self {
            Self::Request(request) => {
                forward("intended", request.intended, "start", request.start)?;
                forward("start", request.start, "end", request.end)?;
                if let Outcome::Answered {
                    decision: Some(decision),
                    ..
                } = &request.outcome
                {
                    generation(decision.generation)?;
                }
                request
                    .contrary
                    .iter()
                    .try_for_each(|decision| generation(decision.generation))
            }
            Self::Push(push) => {
                if let Some(acknowledged) = push.acknowledged {
                    forward("invoked", push.invoked, "acknowledged", acknowledged)?;
                }
                generation(push.generation)
            }
            Self::Weather(weather) => forward("from", weather.from, "until", weather.until),
        }
    }
}

fn forward(
    earlier: &'static str,
    from: u64,
    later: &'static str,
    until: u64,
) -> Result<(), Impossible> {
    if from <= until {
        return Ok(());
    }
    Err(Impossible::Backward {
        earlier,
        from,
        later,
        until,
    })
}

fn generation(generation: u64) -> Result<(), Impossible> {
    if generation <= MAX_GENERATION {
        return Ok(());
    }
    Err(Impossible::Generation(generation))
}
