//! Requests that are shown one by one: those that broke a rule, those that got no answer.

use std::collections::BTreeSet;

use cutover_checker::{Certificate, Rule, Verdict};
use cutover_history::{Operation, Outcome, Request};
use serde::Serialize;

use crate::convictions::Rules;
use crate::sample::Sample;
use crate::scene::{code, micros};

/// The most marks of each kind.
pub(crate) const STALE: usize = 10_000;
pub(crate) const FAILED: usize = 4_000;
pub(crate) const OTHER: usize = 2_000;

/// Start, duration (us), proxy, code, line.
type Mark = (u64, u64, u32, u32, u32);

/// Keeps marks, those of the witness in any case.
pub(crate) struct Marks {
    witness: BTreeSet<u32>,
    stale: Sample<Mark>,
    failed: Sample<Mark>,
    other: Sample<Mark>,
}

/// How many of a kind are drawn, of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Share {
    pub(crate) drawn: u64,
    pub(crate) all: u64,
}

/// Marks as the page gets them: in order of their starts, each start counted from the one before.
#[derive(Serialize)]
pub(crate) struct Drawn {
    pub(crate) stale: Share,
    pub(crate) failed: Share,
    pub(crate) other: Share,
    list: Vec<Mark>,
}

impl Marks {
    pub(crate) fn new(certificate: &Certificate) -> Self {
        let witness = match &certificate.verdict {
            Verdict::Violated(witness) => witness.evidence.as_slice(),
            Verdict::Holds | Verdict::Inconclusive(_) => &[],
        };
        let witness = witness
            .iter()
            .filter(|evidence| matches!(evidence.operation, Operation::Request(_)))
            .filter_map(|evidence| u32::try_from(evidence.line).ok());
        Self {
            witness: witness.collect(),
            stale: Sample::new(STALE),
            failed: Sample::new(FAILED),
            other: Sample::new(OTHER),
        }
    }

    pub(crate) fn add(&mut self, line: u32, rules: Rules, request: &Request) {
        let in_error = !matches!(request.outcome, Outcome::Answered { .. });
        let sample = if rules.has(Rule::Stale) {
            &mut self.stale
        } else if rules.has_other() {
            &mut self.other
        } else if in_error {
            &mut self.failed
        } else {
            return;
        };
        let mark = (
            micros(request.start),
            micros(request.end - request.start),
            request.proxy,
            code(rules, request),
            line,
        );
        sample.add(line, self.witness.contains(&line), mark);
    }

    pub(crate) fn finish(self) -> Drawn {
        let mut list = Vec::new();
        let mut share = |sample: Sample<Mark>| {
            let all = sample.seen;
            let items = sample.into_items();
            let drawn = u64::try_from(items.len()).unwrap_or(u64::MAX);
            list.extend(items);
            Share { drawn, all }
        };
        let [stale, failed, other] = [self.stale, self.failed, self.other].map(&mut share);
        list.sort_unstable();
        let mut before = 0;
        for mark in &mut list {
            (mark.0, before) = (mark.0 - before, mark.0);
        }
        Drawn {
            stale,
            failed,
            other,
            list,
        }
    }
}
