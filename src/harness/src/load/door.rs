//! Where a client knocks, what it asks for, and how its answers are read.

use std::net::SocketAddr;

use hyper::http::uri::{Authority, PathAndQuery};
use hyper::{HeaderMap, StatusCode};

use super::attempt::Trouble;
use crate::testimony::Seen;

/// The host that every client of a bed asks for.
pub(super) const HOST_NAME: &str = "cutover.test";

/// An address and what to ask for there.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    /// What requests name as their host.
    pub(crate) host: Authority,
    pub(crate) path: PathAndQuery,
    pub(crate) reading: Reading,
    /// A connection of its own for each request of HTTP/1.1.
    pub(crate) anew: bool,
}

/// How answers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Our own backends answer: 200, their color, and what they were told.
    Bed,
    /// Others' applications answer, by any status below 400; the decision is what counts.
    Decision,
    /// Answers name a color and nothing else.
    Color,
}

impl Door {
    /// The door of a proxy that was started for the run.
    pub(crate) fn of_bed(address: SocketAddr) -> Self {
        Self {
            address,
            host: Authority::from_static(HOST_NAME),
            path: PathAndQuery::from_static("/"),
            reading: Reading::Bed,
            anew: false,
        }
    }

    /// Whether answers are to tell the decision.
    pub(crate) fn tells_decisions(&self) -> bool {
        self.reading != Reading::Color
    }

    /// Reads the headers of an answer to a plain request.
    pub(crate) fn read(&self, status: StatusCode, headers: &HeaderMap) -> Result<Seen, Trouble> {
        let failed = |words: String| Trouble::Failed(Some(status.as_u16()), words);
        let seen = match self.reading {
            Reading::Bed if status == StatusCode::OK => Seen::from_headers(headers),
            Reading::Decision if status.as_u16() < 400 => Seen::of_a_fleet(headers),
            Reading::Color if status.as_u16() < 400 => Seen::color_alone(headers),
            _ => return Err(failed(format!("status {status}"))),
        };
        seen.ok_or_else(|| {
            failed(match self.reading {
                Reading::Decision => "an answer without a decision".to_owned(),
                Reading::Bed | Reading::Color => "an answer that names no backend".to_owned(),
            })
        })
    }
}
