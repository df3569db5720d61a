//! All that is on the page's pictures, gathered request by request.

use cutover_checker::Certificate;
use cutover_history::{Color, Kind, Operation, Outcome, Request};
use serde::Serialize;

use crate::Span;
use crate::columns::{self, Columns, Grid};
use crate::convictions::Rules;
use crate::laid::{self, Laid};
use crate::marks::{self, Marks};
use crate::rows::{self, Rows};
use crate::windows::{self, Windows};
use crate::words;

/// The most lines of flips over the whole run.
const LINES: usize = 2_000;

/// Gathers what is drawn.
pub(crate) struct Scene<'a> {
    certificate: &'a Certificate,
    columns: Columns,
    rows: Rows,
    marks: Marks,
    windows: Windows,
    laid: Option<Laid>,
}

/// What the page's scripts get, as JSON. Instants and durations are in us, counted from the start of the run, the
/// grids' in ns.
#[derive(Serialize)]
pub(crate) struct Drawn {
    proxies: Vec<String>,
    /// Of the proxies named above: there may be more of them.
    proxies_seen: usize,
    columns: columns::Drawn,
    rows: rows::Drawn,
    pub(crate) marks: marks::Drawn,
    pub(crate) windows: windows::Drawn,
    laid: Option<laid::Drawn>,
    /// Each flip's first push: when, and to what color (1 is green).
    lines: Vec<(u64, u8)>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(certificate: &'a Certificate, span: Span) -> Self {
        let requests = certificate.history.contents.requests;
        Self {
            certificate,
            columns: Columns::new(Grid::for_requests(span, requests)),
            rows: Rows::new(certificate, span),
            marks: Marks::new(certificate),
            windows: Windows::new(certificate),
            laid: Laid::new(certificate, span),
        }
    }

    pub(crate) fn add(&mut self, line: u32, rules: Rules, operation: &Operation) {
        match operation {
            Operation::Request(request) => {
                self.columns.add(rules, request);
                self.rows.add(rules, request);
                self.marks.add(line, rules, request);
                self.windows.add(line, rules, request);
                if let Some(laid) = &mut self.laid {
                    laid.add(request);
                }
            }
            Operation::Weather(weather) => self.rows.add_weather(weather),
            Operation::Push(_) => {}
        }
    }

    pub(crate) fn finish(self) -> Drawn {
        let proxies = &self.certificate.header.proxies;
        let named = proxies.iter().take(rows::MOST.max(windows::MOST));
        Drawn {
            proxies: named.map(|proxy| words::cut(&proxy.name, 64)).collect(),
            proxies_seen: proxies.len(),
            columns: self.columns.finish(),
            rows: self.rows.finish(),
            marks: self.marks.finish(),
            windows: self.windows.finish(self.certificate),
            laid: self.laid.map(Laid::finish),
            lines: lines(self.certificate),
        }
    }
}

/// The first push of each generation; evenly fewer when there are too many.
fn lines(certificate: &Certificate) -> Vec<(u64, u8)> {
    let flips = &certificate.figures.flips;
    let mut lines: Vec<(u64, u64, u8)> = flips
        .iter()
        .map(|flip| {
            let green = u8::from(flip.color == Color::Green);
            (flip.generation, micros(flip.invoked), green)
        })
        .collect();
    lines.sort_unstable();
    lines.dedup_by_key(|(generation, _, _)| *generation);
    let step = lines.len().div_ceil(LINES).max(1);
    let lines = lines.iter().step_by(step);
    lines.map(|(_, at, green)| (*at, *green)).collect()
}

/// Nanoseconds as microseconds.
pub(crate) fn micros(ns: u64) -> u64 {
    ns / 1_000
}

/// Time from when a request was wanted to its answer, as the checker measures it: not of uploads, which take as
/// long as their clients like.
pub(crate) fn latency(request: &Request) -> Option<u64> {
    let answered = matches!(request.outcome, Outcome::Answered { .. });
    (answered && request.kind != Kind::Upload).then(|| request.end - request.intended)
}

/// What became of a request, as a number: 0 blue, 1 green, 2 failed, 3 timed out; 4 more when an override
/// chose; 16 times the rules that it broke, as bits.
pub(crate) fn code(rules: Rules, request: &Request) -> u32 {
    let outcome = match &request.outcome {
        Outcome::Answered { served, decision } => {
            u32::from(*served == Color::Green)
                + 4 * u32::from(decision.is_some_and(|by| by.overridden))
        }
        Outcome::Failed { .. } => 2,
        Outcome::TimedOut => 3,
    };
    outcome + 16 * u32::from(rules.0)
}
