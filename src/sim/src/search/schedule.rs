//! One schedule: a small fleet, a flip, and all that goes wrong.

use crate::clock::{Clock, Step};
use crate::host::Module;
use crate::operator::{Flip, Variant, Way};
use crate::plan::{Ask, Fault, ProxyPlan};
use crate::random::Random;
use crate::run::{Outturn, Run, RunError, run};

/// What the guarantee assumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assumption {
    /// Every clock is within the hold of true time.
    Clocks,
    /// Every proxy has staged the switch before the instant, or the operator does not go on without it.
    Staged,
    /// A cancel reaches everybody who staged the switch before the window opens.
    Cancelled,
}

/// A small fleet, a flip, and all that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// What happens to each proxy.
    pub plans: Vec<ProxyPlan>,
    /// The flip.
    pub flip: Flip,
    /// When it ends, ns.
    pub until: u64,
    /// The assumption that it breaks.
    pub breaks: Option<Assumption>,
    /// The seed that it was drawn from.
    pub seed: u64,
}

const MS: u64 = 1_000_000;

/// When the operator pushes, ns.
const PUSH: u64 = 30 * MS;

impl Schedule {
    /// The schedule of a seed.
    pub fn of(seed: u64, variant: Variant, within: bool) -> Self {
        let mut random = Random::of(seed, 0);
        let hold_ms = random.between(1, 20);
        let margin_ms = random.between(60, 200);
        let lead_ms = hold_ms + margin_ms + random.between(100, 800);
        let due = PUSH + lead_ms * MS;
        let breaks = match random.below(10) {
            0 if !within => Some(Assumption::Clocks),
            1 if !within => Some(Assumption::Staged),
            2 if !within => Some(Assumption::Cancelled),
            _ => None,
        };
        let mut schedule = Self {
            plans: Vec::new(),
            flip: Flip {
                way: Way::Held,
                at: PUSH,
                due,
                hold_ms,
                margin_ms,
                checks_clocks: false,
                proceeds: breaks == Some(Assumption::Staged),
                variant,
            },
            until: due + (hold_ms + 300) * MS,
            breaks,
            seed,
        };
        let proxies = random.between(2, 5);
        for index in 0..proxies {
            let mut random = Random::of(seed, index + 1);
            schedule.plans.push(schedule.plan(&mut random));
        }
        schedule.trouble(&mut random);
        schedule
    }

    fn hold(&self) -> u64 {
        self.flip.hold_ms * MS
    }

    /// One proxy, all within the assumptions.
    fn plan(&self, random: &mut Random) -> ProxyPlan {
        let (hold, margin) = (self.hold(), self.flip.margin_ms * MS);
        // As far off as is allowed, with some room for the drift; often just that far.
        let most = hold.saturating_sub(200_000);
        let offset = match random.below(4) {
            0 => i64::try_from(most).unwrap_or_default(),
            1 => -i64::try_from(most).unwrap_or_default(),
            _ => random.around_zero(most),
        };
        let gate = self.flip.due - hold - margin;
        let delay = random.below(gate - PUSH - 20 * MS);
        let mut flip = vec![delay];
        if random.chance(1, 3) {
            flip.push(random.below(self.until));
        }
        let cancel = vec![random.below(margin - 20 * MS)];
        let mut plan = ProxyPlan {
            clock: Clock {
                offset,
                drift: random.around_zero(50_000),
                steps: Vec::new(),
            },
            workers: u8::try_from(random.between(1, 3)).unwrap_or(1),
            deliveries: vec![vec![0], flip, cancel],
            asks: Vec::new(),
            faults: Vec::new(),
            seed: random.number(),
        };
        self.faults(&mut plan, PUSH + delay, random);
        self.asks(&mut plan, random);
        plan
    }

    fn faults(&self, plan: &mut ProxyPlan, staged: u64, random: &mut Random) {
        let worker = |random: &mut Random, plan: &ProxyPlan| {
            u8::try_from(random.below(plan.workers.into())).unwrap_or_default()
        };
        if random.chance(1, 2) {
            // A wall clock that steps while the switch is staged moves nothing.
            for _ in 0..random.between(1, 2) {
                let at = staged + 10 * MS + random.below(self.until - staged);
                let by = match random.below(2) {
                    0 => random.around_zero(2_000 * MS),
                    _ => random.around_zero(4 * self.hold()),
                };
                plan.clock.steps.push(Step { at, by });
            }
        } else if random.chance(1, 3) {
            // A process that starts again reads its clock again, so that one that stepped would be off.
            let at = PUSH + random.below(self.until - PUSH);
            let down = random.between(5 * MS, 60 * MS);
            plan.faults.push(Fault::Restart { at, down });
        }
        if random.chance(1, 3) {
            let from = self.flip.due - 2 * self.hold() + random.below(4 * self.hold());
            let until = from + random.below(60 * MS);
            let worker = worker(random, plan);
            plan.faults.push(Fault::Stall {
                from,
                until,
                worker,
            });
        }
        if random.chance(1, 6) {
            let at = PUSH + random.below(self.until - PUSH);
            let worker = worker(random, plan);
            plan.faults.push(Fault::Trap { at, worker });
        }
    }

    fn asks(&self, plan: &mut ProxyPlan, random: &mut Random) {
        let (due, hold) = (self.flip.due, self.hold());
        for _ in 0..random.between(20, 60) {
            let at = match random.below(4) {
                // Where the window opens, where it closes, around it, anywhere.
                0 => due - hold + random.below(hold / 2),
                1 => due + hold - random.below(hold / 2),
                2 => due - 3 * hold + random.below(6 * hold),
                _ => 15 * MS + random.below(self.until - 15 * MS),
            };
            plan.asks.push(Ask {
                at,
                worker: u8::try_from(random.below(plan.workers.into())).unwrap_or_default(),
                patience: 0,
                headers: None,
            });
        }
        plan.asks.sort_by_key(|ask| ask.at);
    }

    /// What concerns the fleet as a whole: a push that is lost or late, and the assumption that is to be broken.
    fn trouble(&mut self, random: &mut Random) {
        let (due, hold, until) = (self.flip.due, self.hold(), self.until);
        let count = u64::try_from(self.plans.len()).unwrap_or(1);
        let one = usize::try_from(random.below(count)).unwrap_or_default();
        let other = (one + 1) % self.plans.len().max(1);
        let lost = random.chance(1, 4)
            || matches!(
                self.breaks,
                Some(Assumption::Staged | Assumption::Cancelled)
            );
        if let Some(flip) = self
            .plans
            .get_mut(one)
            .and_then(|plan| plan.deliveries.get_mut(1))
            && lost
        {
            // It comes when all is over, or never.
            *flip = match random.below(2) {
                0 => Vec::new(),
                _ => vec![due - PUSH + random.below(until - due)],
            };
        }
        match self.breaks {
            Some(Assumption::Clocks) => {
                if let Some(plan) = self.plans.get_mut(one) {
                    let off = hold + hold / 4 + random.below(4 * hold);
                    let off = i64::try_from(off).unwrap_or_default();
                    plan.clock.offset = if random.chance(1, 2) { off } else { -off };
                }
            }
            Some(Assumption::Cancelled) => {
                if let Some(plan) = self.plans.get_mut(other) {
                    plan.deliveries.truncate(2);
                    plan.deliveries.push(Vec::new());
                    plan.faults
                        .retain(|fault| !matches!(fault, Fault::Restart { .. }));
                }
            }
            Some(Assumption::Staged) | None => {}
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// A run that came to no end.
    pub fn run(&self, module: &Module, tell: bool) -> Result<Outturn, RunError> {
        let plan = |proxy: usize| self.plans.get(proxy).cloned().unwrap_or_default();
        let workers = self.plans.iter().map(|plan| plan.workers).max();
        run(
            &Run {
                module,
                proxies: self.plans.len(),
                plan: &plan,
                flip: self.flip,
                until: self.until,
                window: self.until,
                seed: self.seed,
                workers: workers.unwrap_or(1),
                command: "cutover sim --search 1",
                threads: 1,
                tell,
            },
            None,
        )
    }
}
