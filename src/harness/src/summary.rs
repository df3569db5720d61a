//! What a run comes to, and what it tells while it goes on.

use std::path::PathBuf;
use std::time::Duration;

use cutover_history::{Contents, Kind, Operation, Outcome};

use crate::site::Shown;

/// What a run came to. The verdict is not in it: that is for a checker of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Where the history is.
    pub history: PathBuf,
    /// What the history holds, with its digest.
    pub contents: Contents,
    /// Requests by kind; kinds without any are left out.
    pub counts: Vec<(Kind, Counts)>,
    /// Flips that every proxy was seen to show.
    pub flips: u32,
    /// Flips that were written but not shown everywhere in time.
    pub unacknowledged: u32,
    /// Resident memory of each Envoy: at the start, after each flip, at the end.
    pub memory: Vec<MemorySample>,
    /// What the proxies' own counters say at the end, by proxy.
    pub shown: Vec<Shown>,
    /// What did not go as planned without ending the run, in words.
    pub troubles: Vec<String>,
    /// True when the run was ended early from outside.
    pub interrupted: bool,
    /// How long the load lasted.
    pub lasted: Duration,
}

/// Counts of one kind of request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answered by an upstream.
    pub answered: u64,
    /// Failed.
    pub failed: u64,
    /// Given up.
    pub timed_out: u64,
    /// Answered, and decided by an override.
    pub overridden: u64,
    /// Answered, with something contrary to the first answer.
    pub contrary: u64,
}

/// Resident memory of one Envoy at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemorySample {
    /// Flips before it.
    pub flips: u32,
    /// The proxy, by index.
    pub proxy: u32,
    /// Bytes.
    pub bytes: u64,
}

/// Counts operations as they are written.
#[derive(Debug, Default)]
pub(crate) struct Counter([Counts; Kind::ALL.len()]);

impl Counter {
    pub(crate) fn add(&mut self, operation: &Operation) {
        let Operation::Request(request) = operation else {
            return;
        };
        let slots = Kind::ALL.iter().zip(&mut self.0);
        let Some((_, counts)) = slots.into_iter().find(|(kind, _)| **kind == request.kind) else {
            return;
        };
        match &request.outcome {
            Outcome::Answered { decision, .. } => {
                counts.answered += 1;
                counts.overridden += u64::from(
                    decision
                        .as_ref()
                        .is_some_and(|decision| decision.overridden),
                );
                counts.contrary += u64::from(!request.contrary.is_empty());
            }
            Outcome::Failed { .. } => counts.failed += 1,
            Outcome::TimedOut => counts.timed_out += 1,
        }
    }

    pub(crate) fn counts(&self) -> Vec<(Kind, Counts)> {
        let all = Kind::ALL.iter().copied().zip(self.0);
        all.filter(|(_, counts)| *counts != Counts::default())
            .collect()
    }
}

/// Who watches a run. Called from the run's own task: it must not block.
pub trait Progress: Send + Sync {
    /// Something changed, or a tenth of a second has passed.
    fn show(&self, now: &Snapshot);
}

/// Nobody watches.
impl Progress for () {
    fn show(&self, _: &Snapshot) {}
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What it does.
    pub phase: Phase,
    /// Flips that are done.
    pub flips: u32,
    /// Flips that were planned.
    pub of: u32,
    /// Requests recorded; each client records some hundred at a time.
    pub requests: u64,
    /// Requests that failed or timed out.
    pub failed: u64,
}

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Backends and Envoys start.
    Starting,
    /// Load, between flips.
    Load,
    /// Weather, under load.
    Weather,
    /// A flip, under load.
    Flip,
    /// The load ends and the history is finished.
    Finishing,
}
