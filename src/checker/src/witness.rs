//! The operations that prove a violation, and their timeline.

use std::fmt;

use cutover_history::{Color, Operation, Outcome, Push, PushKind, Request};
use serde::{Deserialize, Serialize};

use crate::Rule;
use crate::span::Span;

/// The one to three operations that prove that a rule was broken, in order of time.
///
/// Its `Display` draws them over a common axis of instants, which is in order and not to scale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// The rule.
    pub rule: Rule,
    /// What happened, in one sentence.
    pub sentence: String,
    /// The operations.
    pub evidence: Vec<Evidence>,
}

/// An operation and where to find it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Its line in the history, counted from 1.
    pub line: u64,
    /// The proxy's name.
    pub proxy: String,
    /// The operation.
    pub operation: Operation,
}

impl Evidence {
    /// First and last instant, ns; no last one when it was never acknowledged.
    pub fn interval(&self) -> (u64, Option<u64>) {
        match &self.operation {
            Operation::Request(request) => (request.start, Some(request.end)),
            Operation::Push(push) => (push.invoked, push.acknowledged),
            Operation::Weather(weather) => (weather.from, Some(weather.until)),
        }
    }

    /// First instant, ns.
    pub(crate) fn begins(&self) -> u64 {
        self.interval().0
    }

    /// Line, proxy, and what it was.
    pub fn label(&self) -> String {
        let what = match &self.operation {
            Operation::Request(request) => request_label(request),
            Operation::Push(push) => push_label(push),
            Operation::Weather(_) => "weather".to_owned(),
        };
        format!("line {}  {}  {what}", self.line, self.proxy)
    }
}

fn name(color: Color) -> &'static str {
    match color {
        Color::Blue => "blue",
        Color::Green => "green",
    }
}

fn request_label(request: &Request) -> String {
    match &request.outcome {
        Outcome::Answered {
            served,
            decision: None,
        } => {
            format!("request: undecided, served {}", name(*served))
        }
        Outcome::Answered {
            served,
            decision: Some(decision),
        } => {
            let decided = name(decision.color);
            let by = if decision.overridden {
                " by override"
            } else {
                ""
            };
            let mut label = format!("request: generation {} {decided}{by}", decision.generation);
            if *served != decision.color {
                label.push_str(", served ");
                label.push_str(name(*served));
            }
            for other in &request.contrary {
                label.push_str(", then ");
                label.push_str(&other.generation.to_string());
                label.push(' ');
                label.push_str(name(other.color));
            }
            label
        }
        Outcome::Failed {
            status: Some(status),
            error,
        } => {
            format!("request: failed, {status} {error}")
        }
        Outcome::Failed {
            status: None,
            error,
        } => format!("request: failed, {error}"),
        Outcome::TimedOut => "request: timed out".to_owned(),
    }
}

fn push_label(push: &Push) -> String {
    let kind = match push.kind {
        PushKind::Install => "install",
        PushKind::Flip => "flip",
        PushKind::Stale => "stale push",
        PushKind::Conflict => "conflicting push",
    };
    format!(
        "{kind}: generation {} {}",
        push.generation,
        name(push.color)
    )
}

/// Columns from one instant of the axis to the next.
const STEP: usize = 12;

impl Witness {
    /// When its operations begin and end, in order, each instant once.
    pub fn instants(&self) -> Vec<u64> {
        let intervals = self.evidence.iter().map(Evidence::interval);
        let mut instants: Vec<u64> = intervals
            .flat_map(|(from, until)| [Some(from), until])
            .flatten()
            .collect();
        instants.sort_unstable();
        instants.dedup();
        instants
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sentence)?;
        let instants = self.instants();
        let column = |at: u64| instants.partition_point(|&instant| instant < at) * STEP;
        let labels: Vec<String> = self.evidence.iter().map(Evidence::label).collect();
        let width = labels
            .iter()
            .map(|label| label.chars().count())
            .max()
            .unwrap_or_default();
        for (evidence, label) in self.evidence.iter().zip(&labels) {
            let (from, until) = evidence.interval();
            let from = column(from);
            let bar = match until.map(column) {
                None => format!("|{}...", "-".repeat(STEP - 4)),
                Some(until) if until == from => "|".to_owned(),
                Some(until) => format!("|{}|", "-".repeat(until - from - 1)),
            };
            write!(f, "\n  {label:width$}  {:from$}{bar}", "")?;
        }
        let first = instants.first().copied().unwrap_or_default();
        write!(f, "\n  {:width$}  ", "")?;
        for (index, at) in (1..).zip(&instants) {
            let tick = format!("+{}", Span(at - first));
            let width = if index == instants.len() { 0 } else { STEP };
            write!(f, "{tick:<width$}")?;
        }
        write!(
            f,
            "\n  {:width$}  (from {} of the run; not to scale)",
            "",
            Span(first)
        )
    }
}
