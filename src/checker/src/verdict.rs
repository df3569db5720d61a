//! What can be said of a history.

use std::collections::BTreeMap;
use std::fmt;

use cutover_history::Kind;
use serde::{Deserialize, Serialize};

use crate::{FlipSummary, Witness};

/// What a history shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All rules held, and the traffic could have seen a window of the size claimed.
    Holds,
    /// A rule was broken, and here is the proof.
    Violated(Witness),
    /// No rule was broken, but one could have been without being seen: why, and what would tell.
    Inconclusive(Vec<String>),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::Violated(witness) => write!(f, "violated\n{witness}"),
            Self::Inconclusive(reasons) => {
                f.write_str("inconclusive")?;
                reasons
                    .iter()
                    .try_for_each(|reason| write!(f, "\n  {reason}"))
            }
        }
    }
}

/// A rule that a history can break. When several are broken, the first of this order is the one
/// whose witness is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// A read returned a generation that was never pushed.
    Unpushed,
    /// A read returned a generation and ended before that was pushed.
    Early,
    /// A read returned an older generation than one that was seen, or acknowledged, before it could
    /// begin.
    Stale,
    /// A generation decided another color than the one it was first pushed with.
    Recolored,
    /// Another color served a request than was decided for it.
    Misrouted,
    /// A request was decided, or routed, a second time and otherwise.
    Redecided,
    /// A request was answered without having been decided.
    Undecided,
    /// A request failed or timed out, and its proxy was not being killed.
    Failed,
}

impl Rule {
    /// Every rule, in order.
    pub const ALL: [Self; 8] = [
        Self::Unpushed,
        Self::Early,
        Self::Stale,
        Self::Recolored,
        Self::Misrouted,
        Self::Redecided,
        Self::Undecided,
        Self::Failed,
    ];

    /// The rule in one sentence, as what must not have happened.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Unpushed => "a request was decided by a generation that was never pushed",
            Self::Early => "a request had been decided by a generation before that was pushed",
            Self::Stale => {
                "a request was decided by an older generation than one already seen or acknowledged"
            }
            Self::Recolored => {
                "a request got another color than its generation was first pushed with"
            }
            Self::Misrouted => "a request was served by another color than was decided for it",
            Self::Redecided => "a request was decided a second time, and otherwise",
            Self::Undecided => "a request was answered without having been decided",
            Self::Failed => "a request got no answer, and its proxy was not being killed",
        }
    }
}

/// One request that broke a rule. A request that broke several is convicted once for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Conviction {
    /// Its line in the history, counted from 1.
    pub line: u64,
    /// The rule.
    pub rule: Rule,
}

/// A history, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The figures, whatever the verdict.
    pub figures: Figures,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Reads of the register: requests answered and decided by a generation, not by an override.
    pub reads: u64,
    /// How often each broken rule was broken; empty when none was.
    pub violations: BTreeMap<Rule, u64>,
    /// With no violation in `reads` reads, at most this share of all reads violates, in parts per
    /// billion, at 95 % confidence: 3 / `reads`, the rule of three (Hanley and Lippman-Hand, 1983).
    /// None after a violation or without reads.
    pub rate_at_most_ppb: Option<u64>,
    /// The largest [`FlipSummary::resolution_ns`]; none without flips.
    pub resolution_ns: Option<u64>,
    /// Requests by kind.
    pub requests: BTreeMap<Kind, Counts>,
    /// Every flip, in order of its push; with [`cutover_history::Scope::Proxy`] once for each proxy.
    pub flips: Vec<FlipSummary>,
}

impl Figures {
    /// Requests of all kinds together.
    pub fn total(&self) -> Counts {
        self.requests
            .values()
            .fold(Counts::default(), |sum, counts| Counts {
                answered: sum.answered + counts.answered,
                overridden: sum.overridden + counts.overridden,
                failed: sum.failed + counts.failed,
                timed_out: sum.timed_out + counts.timed_out,
                excused: sum.excused + counts.excused,
            })
    }
}

/// What came of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Answered by an upstream.
    pub answered: u64,
    /// Of the answered, those whose color an override chose.
    pub overridden: u64,
    /// Failed.
    pub failed: u64,
    /// Given up by the client.
    pub timed_out: u64,
    /// Of the failed and given up, those that overlap a kill of their proxy.
    pub excused: u64,
}
