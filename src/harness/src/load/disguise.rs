//! What some clients send besides: headers that they have no right to, overrides, broken bytes.

use cutover_history::Color;
use hyper::HeaderMap;
use hyper::header::{COOKIE, HeaderName, HeaderValue};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::testimony::DECISION;

/// How many requests are sent in a disguise, as shares between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Forged routing, color or decision header: it must change nothing.
    pub forged: f64,
    /// Override to one color: it is answered by that color, and says nothing of the active one.
    pub overridden: f64,
    /// Bytes that are not UTF-8, in the override header, in a cookie, or (escaped) in the path: it
    /// must change nothing.
    pub invalid: f64,
}

impl Default for Shares {
    /// 2 %, 1 % and 1 %.
    fn default() -> Self {
        Self {
            forged: 0.02,
            overridden: 0.01,
            invalid: 0.01,
        }
    }
}

/// The disguise of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Disguise {
    #[default]
    None,
    /// The client claims to have been decided for a color.
    Forged(Color),
    /// The client asks for a color, and may.
    Override(Color),
    InvalidHeader,
    InvalidCookie,
    InvalidPath,
}

const CLUSTER: HeaderName = HeaderName::from_static("x-cutover-cluster");
const COLOR: HeaderName = HeaderName::from_static("x-cutover-color");
const OVERRIDE: HeaderName = HeaderName::from_static("x-cutover-override");

impl Disguise {
    /// Puts it into a request's headers.
    pub(crate) fn dress(self, headers: &mut HeaderMap) {
        match self {
            Self::None | Self::InvalidPath => {}
            Self::Forged(color) => {
                let (name, decision) = match color {
                    Color::Blue => ("blue", "blue;g=9007199254740991;by=active;svc=default"),
                    Color::Green => ("green", "green;g=9007199254740991;by=active;svc=default"),
                };
                headers.insert(CLUSTER, HeaderValue::from_static(name));
                headers.insert(COLOR, HeaderValue::from_static(name));
                headers.insert(DECISION, HeaderValue::from_static(decision));
            }
            Self::Override(color) => {
                headers.insert(
                    OVERRIDE,
                    HeaderValue::from_static(crate::testimony::name(color)),
                );
            }
            Self::InvalidHeader => insert_bytes(headers, OVERRIDE, b"green\xff\xfe\x80"),
            Self::InvalidCookie => {
                insert_bytes(headers, COOKIE, b"a=\xc3\x28; cutover-override=\xff\xfe");
            }
        }
    }

    /// The path to ask for instead of a usual one.
    pub(crate) fn path(self) -> Option<&'static str> {
        // Bare bytes above 0x7f are not allowed in a request target; escaped ones are.
        (self == Self::InvalidPath).then_some("/%ff%fe?%c3%28=%80")
    }
}

fn insert_bytes(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
}

/// The seeded disguises of one client, without end.
#[derive(Debug)]
pub(crate) struct Disguises {
    shares: Shares,
    random: StdRng,
}

impl Disguises {
    pub(crate) fn new(shares: Shares, seed: u64) -> Self {
        Self {
            shares,
            random: StdRng::seed_from_u64(!seed),
        }
    }

    /// Draws the disguise of the next request.
    pub(crate) fn draw(&mut self) -> Disguise {
        let Shares {
            forged,
            overridden,
            invalid,
        } = self.shares;
        let draw = self.random.random::<f64>();
        if draw < forged {
            Disguise::Forged(self.color())
        } else if draw < forged + overridden {
            Disguise::Override(self.color())
        } else if draw < forged + overridden + invalid {
            match self.random.random_range(0..3) {
                0 => Disguise::InvalidHeader,
                1 => Disguise::InvalidCookie,
                _ => Disguise::InvalidPath,
            }
        } else {
            Disguise::None
        }
    }

    fn color(&mut self) -> Color {
        if self.random.random() {
            Color::Green
        } else {
            Color::Blue
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept_and_reproducible() {
        let shares = Shares {
            forged: 0.2,
            overridden: 0.1,
            invalid: 0.3,
        };
        let draw = |seed| {
            let mut disguises = Disguises::new(shares, seed);
            (0..10_000).map(|_| disguises.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let count = |wanted: fn(&Disguise) -> bool| draw(1).iter().filter(|d| wanted(d)).count();
        assert!((1800..2200).contains(&count(|d| matches!(d, Disguise::Forged(_)))));
        assert!((900..1100).contains(&count(|d| matches!(d, Disguise::Override(_)))));
        assert!((900..1100).contains(&count(|d| *d == Disguise::InvalidPath)));
        assert!((3800..4200).contains(&count(|d| *d == Disguise::None)));
    }

    #[test]
    fn invalid_bytes_are_really_sent() {
        for disguise in [Disguise::InvalidHeader, Disguise::InvalidCookie] {
            let mut headers = HeaderMap::new();
            disguise.dress(&mut headers);
            let value = headers.values().next().unwrap();
            assert!(std::str::from_utf8(value.as_bytes()).is_err());
        }
        assert!(Disguise::InvalidPath.path().is_some());
        assert_eq!(Disguise::None.path(), None);
    }
}
