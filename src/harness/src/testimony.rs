//! What an answer, or one message of it, says about who served it and what had been decided.

use cutover_history::{Color, Decision, Outcome};
use hyper::HeaderMap;

/// The request header by which the filter tells its decision to upstreams.
pub const DECISION: &str = "x-cutover-decision";
/// The response header by which a backend tells its color.
pub const BACKEND_COLOR: &str = "x-backend-color";
/// The response header by which a backend repeats the decision that it was told.
pub const BACKEND_DECISION: &str = "x-backend-decision";

/// What one message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Testimony {
    /// The color of the backend that speaks.
    pub(crate) served: Color,
    /// The decision that it was told.
    pub(crate) decision: Option<Decision>,
}

impl Testimony {
    /// Reads response headers; none when no backend speaks in them.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        Some(Self {
            served: color(headers.get(BACKEND_COLOR)?.as_bytes())?,
            decision: headers
                .get(BACKEND_DECISION)
                .and_then(|value| decision(value.as_bytes())),
        })
    }

    /// Reads `COLOR` or `COLOR DECISION`, the text of an event or a WebSocket message.
    pub(crate) fn from_text(text: &[u8]) -> Option<Self> {
        let mut words = text.splitn(2, |byte| *byte == b' ');
        Some(Self {
            served: color(words.next()?)?,
            decision: words.next().and_then(decision),
        })
    }
}

/// All that one request has shown so far: its first testimony and everything contrary to it.
#[derive(Debug)]
pub(crate) struct Seen {
    first: Testimony,
    contrary: Vec<Decision>,
}

impl Seen {
    /// Starts from response headers: the backend's word, and the filter's own where it is exposed.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut seen = Self {
            first: Testimony::from_headers(headers)?,
            contrary: Vec::new(),
        };
        for exposed in headers.get_all(DECISION) {
            if let Some(decision) = decision(exposed.as_bytes())
                && seen.first.decision.as_ref() != Some(&decision)
            {
                seen.add_contrary(decision);
            }
        }
        Some(seen)
    }

    /// Reads the response headers of a fleet that was there before: the decision as the application
    /// repeats it or as the filter exposes it, and who served where that is said. None without a
    /// decision and without a color.
    pub(crate) fn of_a_fleet(headers: &HeaderMap) -> Option<Self> {
        let exposed = headers.get(DECISION);
        let exposed = exposed.and_then(|value| decision(value.as_bytes()));
        match Self::from_headers(headers) {
            Some(mut seen) if seen.first.decision.is_none() && exposed.is_some() => {
                seen.contrary.retain(|other| Some(*other) != exposed);
                seen.first.decision = exposed;
                Some(seen)
            }
            Some(seen) => Some(seen),
            None => exposed.map(|exposed| Self {
                first: Testimony {
                    served: exposed.color,
                    decision: Some(exposed),
                },
                contrary: Vec::new(),
            }),
        }
    }

    /// Reads the color of the application that answered, and nothing else.
    pub(crate) fn color_alone(headers: &HeaderMap) -> Option<Self> {
        let mut seen = Self::from_headers(headers)?;
        seen.first.decision = None;
        seen.contrary.clear();
        Some(seen)
    }

    /// Compares a later message with the first.
    pub(crate) fn also(&mut self, later: &Testimony) {
        if *later == self.first {
            return;
        }
        if let Some(decision) = later.decision
            && later.decision != self.first.decision
        {
            self.add_contrary(decision);
        }
        // The same words from the other color's backend: the stream was moved, not decided again.
        if later.served != self.first.served {
            let said = later.decision.as_ref().or(self.first.decision.as_ref());
            self.add_contrary(Decision {
                generation: said.map_or(0, |decision| decision.generation),
                color: later.served,
                overridden: said.is_some_and(|decision| decision.overridden),
            });
        }
    }

    fn add_contrary(&mut self, decision: Decision) {
        if !self.contrary.contains(&decision) {
            self.contrary.push(decision);
        }
    }

    /// The words of the history for it.
    pub(crate) fn into_parts(self) -> (Outcome, Vec<Decision>) {
        let Testimony { served, decision } = self.first;
        (Outcome::Answered { served, decision }, self.contrary)
    }
}

/// The name of a color.
pub(crate) fn name(color: Color) -> &'static str {
    match color {
        Color::Blue => "blue",
        Color::Green => "green",
    }
}

/// The other color.
pub(crate) fn other(color: Color) -> Color {
    match color {
        Color::Blue => Color::Green,
        Color::Green => Color::Blue,
    }
}

fn color(text: &[u8]) -> Option<Color> {
    match text {
        b"blue" => Some(Color::Blue),
        b"green" => Some(Color::Green),
        _ => None,
    }
}

/// Reads `green;g=1763722800000;by=active;svc=default`; none when the color or the generation is
/// not readable, as in a header that a client made up.
fn decision(text: &[u8]) -> Option<Decision> {
    let text = std::str::from_utf8(text).ok()?;
    let mut parts = text.split(';');
    let color = color(parts.next()?.as_bytes())?;
    let mut generation = None;
    let mut overridden = false;
    for part in parts {
        match part.split_once('=')? {
            ("g", number) => generation = number.parse().ok(),
            ("by", reason) => overridden = reason == "override",
            _ => {}
        }
    }
    Some(Decision {
        generation: generation?,
        color,
        overridden,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(generation: u64, color: Color, overridden: bool) -> Decision {
        Decision {
            generation,
            color,
            overridden,
        }
    }

    #[test]
    fn decision_header_is_read() {
        #[track_caller]
        fn check(text: &str, expect: Option<Decision>) {
            assert_eq!(decision(text.as_bytes()), expect, "{text}");
        }
        check(
            "green;g=7;by=active;svc=default",
            Some(decided(7, Color::Green, false)),
        );
        check(
            "blue;g=0;by=override;svc=shop",
            Some(decided(0, Color::Blue, true)),
        );
        check(
            "blue;g=8;by=closed;svc=shop",
            Some(decided(8, Color::Blue, false)),
        );
        check("blue;g=8", Some(decided(8, Color::Blue, false)));
        check("purple;g=8;by=active", None);
        check("green", None);
        check("green;g=many", None);
        check("", None);
    }

    #[test]
    fn later_message_from_the_other_backend_is_contrary() {
        let mut headers = HeaderMap::new();
        headers.insert(BACKEND_COLOR, "blue".parse().unwrap());
        headers.insert(BACKEND_DECISION, "blue;g=1;by=active".parse().unwrap());
        let mut seen = Seen::from_headers(&headers).unwrap();
        seen.also(&Testimony::from_text(b"blue blue;g=1;by=active").unwrap());
        assert!(seen.contrary.is_empty());
        seen.also(&Testimony::from_text(b"green blue;g=1;by=active").unwrap());
        seen.also(&Testimony::from_text(b"green blue;g=1;by=active").unwrap());
        assert_eq!(seen.contrary, [decided(1, Color::Green, false)]);
        seen.also(&Testimony::from_text(b"blue green;g=2;by=active").unwrap());
        assert_eq!(seen.contrary.last(), Some(&decided(2, Color::Green, false)));
    }

    #[test]
    fn exposed_decision_that_differs_from_the_upstreams_is_contrary() {
        let mut headers = HeaderMap::new();
        headers.insert(BACKEND_COLOR, "blue".parse().unwrap());
        headers.insert(BACKEND_DECISION, "blue;g=1;by=active".parse().unwrap());
        headers.insert(DECISION, "blue;g=1;by=active;svc=default".parse().unwrap());
        assert!(Seen::from_headers(&headers).unwrap().contrary.is_empty());
        headers.insert(DECISION, "green;g=2;by=active;svc=default".parse().unwrap());
        let (_, contrary) = Seen::from_headers(&headers).unwrap().into_parts();
        assert_eq!(contrary, [decided(2, Color::Green, false)]);
    }

    #[test]
    fn a_fleet_may_tell_its_decision_in_either_header() {
        let read = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            Seen::of_a_fleet(&headers).map(Seen::into_parts)
        };
        let told = |served, decision| (Outcome::Answered { served, decision }, Vec::new());
        let green = Some(decided(7, Color::Green, false));
        let (exposed, repeated) = ((DECISION, "green;g=7"), (BACKEND_DECISION, "green;g=7"));
        let served = (BACKEND_COLOR, "blue");
        assert_eq!(read(&[exposed]), Some(told(Color::Green, green)));
        assert_eq!(read(&[exposed, served]), Some(told(Color::Blue, green)));
        assert_eq!(read(&[repeated, served]), Some(told(Color::Blue, green)));
        // Told twice, and otherwise.
        let (_, contrary) = read(&[(DECISION, "blue;g=8"), repeated, served]).unwrap();
        assert_eq!(contrary, [decided(8, Color::Blue, false)]);
        // Not told at all is for the checker to judge; neither is nothing to judge.
        assert_eq!(read(&[served]), Some(told(Color::Blue, None)));
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn answer_without_a_backend_says_nothing() {
        assert!(Seen::from_headers(&HeaderMap::new()).is_none());
    }
}
