//! What a load on a fleet is to be.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use cutover_history::{Color, Contents, Kind};

use super::Place;
use crate::load::Reading;
use crate::summary::Counts;

/// What a load on a fleet is to be; [`FleetPlan::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct FleetPlan {
    /// The proxies. They must answer when the load begins.
    pub places: Vec<Place>,
    /// Where the history goes; an older file there is replaced.
    pub history: PathBuf,
    /// The command that makes the run, for the history's header.
    pub command: String,
    /// The service that is switched, for the header. `default` by default.
    pub service: String,
    /// How many flips there are to be, for the header: fewer mean that the run was cut short.
    pub flips: Option<u32>,
    /// Envoy's version, for the header; empty where nobody knows it.
    pub envoy: String,
    /// SHA-256 of the module, for the header; empty where nobody knows it.
    pub module_sha256: String,
    /// What answers tell. Decisions by default.
    pub answers: Answers,
    /// HTTP/2 without TLS, instead of HTTP/1.1.
    pub http2: bool,
    /// Requests a second to each proxy, at equal gaps. 200 by default.
    pub per_second: f64,
    /// Clients of each proxy that share its rate, each with one connection. 1 by default: HTTP/1.1
    /// then has one request in flight at each proxy.
    pub clients: u32,
    /// When a client gives up waiting for response headers. 5 s by default.
    pub timeout: Duration,
    /// How long a proxy may take until its first answer. 2 s by default.
    pub patience: Duration,
    /// The largest mixed window that the run claims it would have seen. 100 ms by default.
    pub window: Duration,
}

/// What the answers of a fleet tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// What was decided: by the filter's response header (`expose.response_header`), or repeated by
    /// the application.
    Decisions,
    /// The color of the application that answered, and nothing else. Generations are concluded, which
    /// takes flips that alternate, each made after all proxies had settled at the color before.
    Colors,
}

impl Answers {
    pub(super) fn reading(self) -> Reading {
        match self {
            Self::Decisions => Reading::Decision,
            Self::Colors => Reading::Color,
        }
    }
}

impl FleetPlan {
    /// A load with the defaults: one client with a kept connection to each proxy, 200 requests a
    /// second each.
    pub fn new(places: Vec<Place>, history: impl Into<PathBuf>) -> Self {
        Self {
            places,
            history: history.into(),
            command: String::new(),
            service: "default".to_owned(),
            flips: None,
            envoy: String::new(),
            module_sha256: String::new(),
            answers: Answers::Decisions,
            http2: false,
            per_second: 200.0,
            clients: 1,
            timeout: Duration::from_secs(5),
            patience: Duration::from_secs(2),
            window: Duration::from_millis(100),
        }
    }

    /// How long the load goes on before the first flip and after the last: two windows are looked at.
    pub fn margin(&self) -> Duration {
        Duration::from_millis(500).max(self.window * 3)
    }

    pub(super) fn kind(&self) -> Kind {
        if self.http2 { Kind::H2 } else { Kind::H1 }
    }
}

/// A flip that somebody made while the load went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotedFlip {
    /// The generation that was written.
    pub generation: u64,
    /// Its color.
    pub color: Color,
    /// Before it was written, by whomever.
    pub invoked: Instant,
    /// When somebody said that all proxies have it; none when nobody did.
    pub acknowledged: Option<Instant>,
}

/// What a proxy shows in its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shows {
    /// The proxy.
    pub proxy: String,
    /// The newest generation that it has answered with; none where answers tell colors alone.
    pub generation: Option<u64>,
    /// The color that served last; none before its first answer.
    pub color: Option<Color>,
}

/// What a load on a fleet came to. The verdict is not in it: that is for a checker of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetSummary {
    /// Where the history is.
    pub history: PathBuf,
    /// What the history holds, with its digest.
    pub contents: Contents,
    /// Requests by kind.
    pub counts: Vec<(Kind, Counts)>,
    /// Flips that were noted.
    pub flips: u32,
    /// Proxies that were to join and never answered.
    pub never_came: Vec<String>,
    /// How long the load lasted.
    pub lasted: Duration,
}
