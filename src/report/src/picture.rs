//! The witness, drawn: its operations over one axis of time.

use std::fmt::Write as _;

use cutover_checker::{Evidence, Witness};
use cutover_history::{Color, Operation, Outcome};

use crate::page::escape;
use crate::words::{cut, milliseconds};

/// Height of one operation, its label above its bar, px.
const ROW: usize = 62;
/// Percent of the width that the axis takes; the rest is for labels at its ends.
const WIDE: f64 = 84.0;
/// Beyond this ratio of the whole to its smallest part, the axis is not to scale.
const MOST_RATIO: u64 = 40;

/// Draws a witness.
pub(crate) fn witness(witness: &Witness) -> String {
    let axis = Axis::of(witness);
    let height = ROW * witness.evidence.len() + 8;
    let mut rows = String::new();
    let mut text = String::new();
    for (index, evidence) in witness.evidence.iter().enumerate() {
        let top = ROW * index;
        let label = escape(&cut(&evidence.label(), 200));
        let (from, until) = evidence.interval();
        let (left, right) = (axis.at(from), until.map_or(100.0, |until| axis.at(until)));
        let width = (right - left).max(0.4);
        let _ = write!(
            rows,
            "<text x=\"0\" y=\"{}\">{label}</text>\
             <rect class=\"{}\" x=\"{left:.2}%\" y=\"{}\" width=\"{width:.2}%\" height=\"14\" rx=\"2\"/>\
             <text class=\"small\" x=\"{left:.2}%\" y=\"{}\">{}</text>",
            top + 16,
            class(evidence),
            top + 24,
            top + 52,
            axis.name(from),
        );
        if let Some(until) = until.filter(|until| *until > from) {
            let _ = write!(
                rows,
                "<text class=\"small end\" x=\"{right:.2}%\" y=\"{}\" text-anchor=\"{}\">{}</text>",
                top + 52,
                if right - left > 30.0 { "end" } else { "start" },
                if right - left > 30.0 {
                    axis.name(until)
                } else {
                    format!("– {}", axis.name(until))
                },
            );
        }
        let _ = write!(text, "{label}; ");
    }
    // A bar whose two labels would lie over one another has them one after the other.
    let scale = if axis.to_scale { "" } else { ", not to scale" };
    let first = milliseconds(i64::try_from(axis.first()).unwrap_or(i64::MAX));
    format!(
        "<section id=\"witness\"><h2>What proves it</h2>\n<figure>\
         <svg role=\"img\" aria-label=\"{text}\" width=\"100%\" height=\"{height}\">{rows}</svg>\n\
         <figcaption>The operations that no order of generations explains: {}. Instants count from {first} ms of \
         the run{scale}. <code>sed -n {}p</code> on the history prints them.</figcaption></figure></section>",
        escape(&witness.sentence),
        lines(witness),
    )
}

fn lines(witness: &Witness) -> String {
    let mut lines: Vec<u64> = witness
        .evidence
        .iter()
        .map(|evidence| evidence.line)
        .collect();
    lines.sort_unstable();
    let lines: Vec<String> = lines.iter().map(u64::to_string).collect();
    lines.join("p\\;")
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
        let mut instants: Vec<u64> = witness
            .evidence
            .iter()
            .flat_map(|evidence| {
                let (from, until) = evidence.interval();
                [Some(from), until]
            })
            .flatten()
            .collect();
        instants.sort_unstable();
        instants.dedup();
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
