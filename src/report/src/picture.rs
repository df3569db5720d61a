//! The witness, drawn: its operations over one axis of time.

use std::fmt::Write as _;

use cutover_checker::{Evidence, Witness};
use cutover_history::{Color, Operation, Outcome};

use crate::page::escape;
use crate::words::{cut, milliseconds};

/// Height of one operation's bar with the instants below it, px.
const HIGH: usize = 38;
/// Percent of the width that the axis takes.
const WIDE: f64 = 94.0;
/// Beyond this ratio of the whole to its smallest part, the axis is not to scale.
const MOST_RATIO: u64 = 40;

/// Draws a witness.
pub(crate) fn witness(witness: &Witness) -> String {
    let axis = Axis::of(witness);
    // By then the first of them was over, and the others could begin after it.
    let end = witness
        .evidence
        .first()
        .and_then(|first| first.interval().1);
    let guide = end.map_or_else(String::new, |end| {
        format!(
            "<line class=\"guide\" x1=\"{0:.2}%\" x2=\"{0:.2}%\" y1=\"0\" y2=\"{HIGH}\"/>",
            axis.at(end)
        )
    });
    let mut rows = String::new();
    for evidence in &witness.evidence {
        let label = escape(&cut(&evidence.label(), 200));
        let _ = write!(
            rows,
            "<p>{label}</p>\n<svg role=\"img\" aria-label=\"{}\" width=\"100%\" height=\"{HIGH}\">{guide}{}</svg>\n",
            spoken(&axis, evidence),
            bar(&axis, evidence),
        );
    }
    let scale = if axis.to_scale { "" } else { ", not to scale" };
    let first = milliseconds(i64::try_from(axis.first()).unwrap_or(i64::MAX));
    format!(
        "<section id=\"witness\"><h2>What proves it</h2>\n<figure>\n{rows}\
         <figcaption>No order of generations explains these: {}. Instants count from {first} ms of the run{scale}. \
         <code>sed -n &#39;{}p&#39;</code> on the history prints them.</figcaption></figure></section>",
        escape(&witness.sentence),
        lines(witness),
    )
}

fn spoken(axis: &Axis, evidence: &Evidence) -> String {
    let (from, until) = evidence.interval();
    until.map_or_else(
        || format!("from {}", axis.name(from)),
        |until| format!("from {} to {}", axis.name(from), axis.name(until)),
    )
}

fn bar(axis: &Axis, evidence: &Evidence) -> String {
    let (from, until) = evidence.interval();
    let (left, right) = (axis.at(from), until.map_or(100.0, |until| axis.at(until)));
    let width = (right - left).max(0.4);
    let mut bar = format!(
        "<rect class=\"{}\" x=\"{left:.2}%\" y=\"4\" width=\"{width:.2}%\" height=\"14\" rx=\"2\"/>",
        class(evidence)
    );
    let mut text = |at: f64, anchor: &str, what: &str| {
        let _ = write!(
            bar,
            "<text x=\"{at:.2}%\" y=\"33\" text-anchor=\"{anchor}\">{what}</text>"
        );
    };
    match until.filter(|until| *until > from) {
        // Two names need room; where there is none, they are one.
        Some(until) if width < 35.0 => {
            let what = format!("{} to {}", axis.name(from), axis.name(until));
            if left > 60.0 {
                text(right, "end", &what);
            } else {
                text(left, "start", &what);
            }
        }
        Some(until) => {
            text(left, "start", &axis.name(from));
            text(right, "end", &axis.name(until));
        }
        None => text(left, "start", &axis.name(from)),
    }
    bar
}

fn lines(witness: &Witness) -> String {
    let mut lines: Vec<u64> = witness
        .evidence
        .iter()
        .map(|evidence| evidence.line)
        .collect();
    lines.sort_unstable();
    let lines: Vec<String> = lines.iter().map(u64::to_string).collect();
    lines.join("p;")
}

fn class(evidence: &Evidence) -> &'static str {
    match &evidence.operation {
        Operation::Request(request) => match &request.outcome {
            Outcome::Answered { served, .. } => match served {
                Color::Blue => "blue",
                Color::Green => "green",
            },
            Outcome::Failed { .. } | Outcome::TimedOut => "alarm",
        },
        Operation::Push(_) | Operation::Weather(_) => "push",
    }
}

/// Where instants are, in percent.
struct Axis {
    instants: Vec<u64>,
    to_scale: bool,
}

impl Axis {
    fn of(witness: &Witness) -> Self {
        let instants = witness.instants();
        let whole = instants
            .last()
            .zip(instants.first())
            .map_or(0, |(l, f)| l - f);
        let steps = instants
            .windows(2)
            .filter_map(|pair| Some(pair.last()? - pair.first()?));
        let smallest = steps.min().unwrap_or(whole);
        Self {
            to_scale: whole <= smallest.saturating_mul(MOST_RATIO),
            instants,
        }
    }

    fn first(&self) -> u64 {
        self.instants.first().copied().unwrap_or_default()
    }

    #[expect(clippy::cast_precision_loss, reason = "a place on a screen")]
    fn at(&self, instant: u64) -> f64 {
        let share = if self.to_scale {
            let whole = self.instants.last().map_or(0, |last| last - self.first());
            (instant - self.first()) as f64 / whole.max(1) as f64
        } else {
            let before = self.instants.partition_point(|other| *other < instant);
            before as f64 / self.instants.len().saturating_sub(1).max(1) as f64
        };
        share * WIDE
    }

    fn name(&self, instant: u64) -> String {
        let ns = i64::try_from(instant - self.first()).unwrap_or(i64::MAX);
        if ns < 10_000 {
            return format!("{ns} ns");
        }
        format!("{} ms", milliseconds(ns))
    }
}
