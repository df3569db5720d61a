//! What came of a request, and what a proxy shows.

use std::fmt::Write as _;

use cutover_history::Color;

use crate::configuration::name;

/// What came of a request; instants in ns of true time from the start of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When it was asked.
    pub start: u64,
    /// When it went to an upstream, was answered, failed or was given up. Upstreams answer at once: what is judged is the instant of the decision.
    pub end: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It went to an upstream.
    Routed {
        /// The color of the route that it took.
        served: Option<Color>,
        /// What the filter told the upstream: the header `x-cutover-decision`.
        decision: Option<Decision>,
    },
    /// It was answered with an error, by the filter or in its place, or the connection broke.
    Failed {
        /// The HTTP status, if there was one.
        status: Option<u16>,
        /// Why.
        why: Box<str>,
    },
    /// Its client left, or waited for ever.
    Left,
}

/// What the filter decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The color.
    pub color: Color,
    /// The generation.
    pub generation: u64,
    /// The reason.
    pub reason: Box<str>,
}

impl Answer {
    /// What came of it, in words.
    pub(crate) fn in_words(&self) -> String {
        let mut words = match &self.outcome {
            Outcome::Routed {
                decision: Some(decision),
                ..
            } => format!(
                "a request is decided {} by generation {}",
                name(decision.color),
                decision.generation
            ),
            Outcome::Routed { decision: None, .. } => {
                "a request goes on without a decision".to_owned()
            }
            Outcome::Failed { why, .. } => format!("a request fails: {why}"),
            Outcome::Left => "a client gives up".to_owned(),
        };
        let waited = self.end.saturating_sub(self.start) / 1_000;
        if waited > 0 {
            let _infallible = write!(words, ", after {}.{:03} ms", waited / 1_000, waited % 1_000);
        }
        words
    }
}

impl Decision {
    /// Reads the header `x-cutover-decision`, such as `green;g=2;by=active;svc=default`.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let text = str::from_utf8(header).ok()?;
        let mut parts = text.split(';');
        let color = color(parts.next()?)?;
        let (mut generation, mut reason) = (None, None);
        for part in parts {
            match part.split_once('=')? {
                ("g", number) => generation = number.parse().ok(),
                ("by", word) => reason = Some(word),
                _ => {}
            }
        }
        Some(Self {
            color,
            generation: generation?,
            reason: reason?.into(),
        })
    }
}

/// A color by its name.
pub(crate) fn color(name: &str) -> Option<Color> {
    match name {
        "blue" => Some(Color::Blue),
        "green" => Some(Color::Green),
        _ => None,
    }
}

/// What a proxy's stats show of the service: small, for a large fleet shows ten million of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The generation that rules.
    pub generation: u64,
    /// Whether green is active.
    pub green: bool,
    /// The generation that is staged; 0 when none is.
    pub staged: u64,
    /// The switch clock, Unix µs; 0 when nothing is staged.
    pub clock: u64,
    /// Switches that came too late.
    pub late: u32,
    /// Requests that were held.
    pub held: u32,
    /// Requests that were refused, because too many were held.
    pub held_over: u32,
    /// Steps of the wall clock that were noticed.
    pub clock_steps: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_read_from_its_header() {
        let decision = Decision {
            color: Color::Green,
            generation: 2,
            reason: "active".into(),
        };
        let read = Decision::parse(b"green;g=2;by=active;svc=default");
        assert_eq!(read, Some(decision));
        for wrong in [
            "",
            "red;g=1;by=active",
            "blue;g=x;by=active",
            "blue;by=active",
        ] {
            assert_eq!(Decision::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
