//! A search for schedules under which the fleet's switch goes wrong.
//!
//! Each seed gives a small fleet, its clocks, faults and requests. Within the assumptions of the guarantee none may be violated.
//! One that is gets shrunk, and told as a story.

mod schedule;
mod shrink;
mod story;

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use cutover_checker::Verdict;

pub use self::schedule::{Assumption, Schedule};
use crate::fleet;
use crate::host::Module;
use crate::operator::Variant;
use crate::run::{Outturn, RunError};

/// What is searched.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// The filter.
    pub module: &'a Module,
    /// What the operator does wrong.
    pub variant: Variant,
    /// Threads; nothing else depends on them.
    pub threads: usize,
    /// Only schedules within the assumptions.
    pub within: bool,
}

/// What a search has come to.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Schedules that were tried within the assumptions.
    pub within: u64,
    /// Of those with a broken assumption: how many were tried, and how many of them were violated.
    pub beyond: BTreeMap<Assumption, (u64, u64)>,
    /// The first schedule within the assumptions that was violated.
    pub failing: Option<Failing>,
}

/// A schedule that is violated, though it breaks no assumption.
#[derive(Clone, Debug)]
pub struct Failing {
    /// Its seed.
    pub seed: u64,
    /// The smallest one that was found to fail like it.
    pub schedule: Schedule,
    /// How many schedules were tried to find that.
    pub tried: u64,
    /// What happens in it, in order of true time.
    pub story: String,
}

impl Search<'_> {
    /// Tries the schedules of some seeds, until one fails that must not.
    ///
    /// # Errors
    /// A run that came to no end.
    pub fn seeds(&self, seeds: Range<u64>) -> Result<Findings, RunError> {
        let mut findings = Findings::default();
        let mut failed = None;
        let count = usize::try_from(seeds.end.saturating_sub(seeds.start)).unwrap_or(usize::MAX);
        let seed = |index: usize| {
            seeds
                .start
                .saturating_add(u64::try_from(index).unwrap_or(u64::MAX))
        };
        let tried = |index: usize| {
            let schedule = Schedule::of(seed(index), self.variant, self.within);
            let violated = schedule
                .run(self.module, false)
                .map(|outturn| is_violated(&outturn));
            (schedule, violated)
        };
        fleet::each(0..count, self.threads, &tried, &mut |index,
                                                          (
            schedule,
            violated,
        )| {
            let violated = match violated {
                Ok(violated) => violated,
                Err(error) => {
                    failed = Some(Err(error));
                    return ControlFlow::Break(());
                }
            };
            if let Some(assumption) = schedule.breaks {
                let (tried, bad) = findings.beyond.entry(assumption).or_default();
                *tried += 1;
                *bad += u64::from(violated);
                return ControlFlow::Continue(());
            }
            findings.within += 1;
            if violated {
                failed = Some(Ok((seed(index), schedule)));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        if let Some(failed) = failed {
            let (seed, schedule) = failed?;
            findings.failing = Some(self.told(seed, schedule)?);
        }
        Ok(findings)
    }

    fn told(&self, seed: u64, schedule: Schedule) -> Result<Failing, RunError> {
        let (schedule, tried) = shrink::shrink(self.module, schedule)?;
        let outturn = schedule.run(self.module, true)?;
        let story = story::story(&schedule, &outturn);
        Ok(Failing {
            seed,
            schedule,
            tried,
            story,
        })
    }
}

fn is_violated(outturn: &Outturn) -> bool {
    matches!(outturn.judgement.verdict, Verdict::Violated(_))
}
