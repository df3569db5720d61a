//! The same fleet, load and clocks, flipped in each way.

use std::path::Path;
use std::thread;

use crate::clock::Clock;
use crate::delay::Delay;
use crate::host::Module;
use crate::operator::{Flip, Variant, Way};
use crate::plan::{Ask, ProxyPlan};
use crate::random::Random;
use crate::run::{Outturn, Run, RunError};

/// A fleet and its load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// How many proxies.
    pub proxies: usize,
    /// Worker threads of each.
    pub workers: u8,
    /// Where all randomness is from.
    pub seed: u64,
    /// Requests in all.
    pub requests: u64,
    /// How far a clock is off at most, ns.
    pub clock_error: u64,
    /// By how much clocks run too fast or too slow at most, parts per billion.
    pub drift: u64,
    /// How long pushes take.
    pub delay: Delay,
    /// From the push to the instant at which the switch activates, ms.
    pub lead_ms: u64,
    /// For how long requests are held before and after it, ms.
    pub hold_ms: u64,
    /// How long before that all must have staged the switch, ms.
    pub margin_ms: u64,
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            proxies: 1_000,
            workers: 2,
            seed: 7,
            requests: 100_000,
            clock_error: 10_000_000,
            drift: 50_000,
            delay: Delay::Istiod,
            lead_ms: 2_000,
            hold_ms: 20,
            margin_ms: 500,
        }
    }
}

/// When what happens in a trial, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The push.
    pub push: u64,
    /// The instant.
    pub due: u64,
    /// The end.
    pub until: u64,
    /// Between two requests at one proxy, on average.
    pub spacing: u64,
}

const MS: u64 = 1_000_000;

/// What seeds are used for, beside the proxies' own.
const PUSHES: u64 = u64::MAX;

impl Trial {
    /// Requests at each proxy.
    pub fn each(&self) -> u64 {
        let proxies = u64::try_from(self.proxies).unwrap_or(u64::MAX).max(1);
        self.requests.div_ceil(proxies)
    }

    /// When what happens: the load begins four gaps before the push, and goes on for four after all is over, so that
    /// the checker can say that it would have seen a window as long as two gaps.
    pub fn times(&self) -> Times {
        let settling = 700 + self.hold_ms;
        let core = 50 + self.lead_ms + settling;
        let each = self.each();
        // total = core + 10 gaps, and a gap is total / each.
        let gap = core.div_ceil(each.saturating_sub(10).max(1)).max(1);
        let push = 50 + 5 * gap;
        let due = push + self.lead_ms;
        Times {
            push: push * MS,
            due: due * MS,
            until: (due + settling + 5 * gap) * MS,
            spacing: (due + settling + 5 * gap) * MS / each.max(1),
        }
    }

    /// The largest window that the load would show, ns: requests come at one time in each gap.
    pub fn window(&self) -> u64 {
        self.times().spacing.saturating_mul(2)
    }

    /// The flip in one of the ways.
    pub fn flip(&self, way: Way) -> Flip {
        let times = self.times();
        Flip {
            way,
            at: times.push,
            due: times.due,
            hold_ms: if way == Way::Held { self.hold_ms } else { 0 },
            margin_ms: self.margin_ms,
            checks_clocks: way == Way::Held,
            proceeds: false,
            variant: Variant::AsBuilt,
        }
    }

    /// Simulates the flip in one of the ways, and writes its history where that is asked for. The command is for the history.
    ///
    /// # Errors
    /// A history that cannot be written.
    pub fn run(
        &self,
        module: &Module,
        way: Way,
        command: &str,
        history: Option<&Path>,
    ) -> Result<Outturn, RunError> {
        let plan = |proxy| self.plan(proxy);
        let run = Run {
            module,
            proxies: self.proxies,
            plan: &plan,
            flip: self.flip(way),
            until: self.times().until,
            window: self.window(),
            seed: self.seed,
            workers: self.workers,
            command,
            threads: thread::available_parallelism().map_or(1, usize::from),
            tell: false,
        };
        crate::run(&run, history)
    }

    /// What happens to one proxy.
    pub fn plan(&self, proxy: usize) -> ProxyPlan {
        let index = u64::try_from(proxy).unwrap_or(u64::MAX);
        let mut random = Random::of(self.seed, index);
        let delays = self.delay.of_push(&mut Random::of(self.seed, PUSHES));
        let clock = Clock {
            offset: random.around_zero(self.clock_error),
            drift: random.around_zero(self.drift),
            steps: Vec::new(),
        };
        let deliveries = vec![vec![0], vec![delays.draw(&mut random)]];
        let spacing = self.times().spacing;
        let asks = (0..self.each()).map(|number| Ask {
            at: number
                .saturating_mul(spacing)
                .saturating_add(random.below(spacing))
                .max(5 * MS),
            worker: u8::try_from(random.below(self.workers.max(1).into())).unwrap_or_default(),
            patience: 0,
            headers: None,
        });
        ProxyPlan {
            clock,
            workers: self.workers,
            deliveries,
            asks: asks.collect(),
            faults: Vec::new(),
            seed: random.number(),
        }
    }
}
