//! One proxy: a main thread and workers, each with a VM of its own, as Envoy runs them, in virtual time.
//!
//! Events happen one after the other, by their instant and then in the order in which they came to be. Proxies do not
//! influence one another, so that each is simulated by itself from its first event to its last, and then forgotten: memory does not
//! grow with the fleet.

mod event;
mod thread;
mod threads;
mod trouble;

use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
use std::rc::Rc;

use self::event::{Due, Event};
use self::thread::{Held, Thread};
use crate::answer::{Answer, Outcome, Shown};
use crate::host::{Module, Outside};
use crate::plan::{Fault, ProxyPlan, Push};
use crate::random::Random;

/// The plugin's name in every simulated proxy.
pub(crate) const PLUGIN: &str = "sim";

/// The service's name in every simulated configuration.
pub const SERVICE: &str = "default";

/// How long a client waits at most, ns: a stream that nothing will ever wake is given up then.
pub(crate) const PATIENCE: u64 = 1_000_000_000;

/// What all proxies of a run have in common.
pub struct Stage<'a> {
    /// The filter.
    pub module: &'a Module,
    /// What is pushed, the install first.
    pub pushes: &'a [Push],
    /// When the operator looks at every proxy, ascending.
    pub looks: &'a [u64],
    /// When the run ends.
    pub until: u64,
    /// The environment of the VMs.
    pub environment: &'a [(String, String)],
    /// Whether the tale of each proxy is told.
    pub tell: bool,
}

/// What came of one proxy in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// What came of its requests, by the order in which they were asked.
    pub answers: Vec<Answer>,
    /// What it showed at each look; none while it was away.
    pub looks: Vec<Option<Shown>>,
    /// When it was away, or one of its VMs had trapped and requests could hang.
    pub killed: Vec<(u64, u64)>,
    /// What it showed whenever that changed, if its tale is told.
    pub tale: Vec<(u64, String)>,
    /// What it showed in the end.
    pub last: Shown,
}

/// A proxy that is being simulated.
pub(crate) struct Proxy<'a> {
    stage: &'a Stage<'a>,
    plan: &'a ProxyPlan,
    configurations: Vec<Rc<[u8]>>,
    outside: Outside,
    /// The workers, and last the main thread.
    threads: Vec<Thread>,
    /// What the canary said of each configuration, by number of the push: Envoy asks it once.
    tried: BTreeMap<usize, bool>,
    /// The configuration that came last, accepted or not: the same again is not looked at.
    last: Option<usize>,
    queue: BinaryHeap<Due>,
    sequence: u64,
    now: u64,
    /// Since when the process runs; none while it is away.
    up: Option<u64>,
    /// Counts starts of the process: what was posted before is gone.
    life: u32,
    random: Random,
    course: Course,
    told: Shown,
}

/// Simulates one proxy from its start to the end of the run.
pub fn simulate(stage: &Stage<'_>, plan: &ProxyPlan) -> Course {
    let mut proxy = Proxy::new(stage, plan);
    proxy.run();
    proxy.course
}

impl<'a> Proxy<'a> {
    fn new(stage: &'a Stage<'a>, plan: &'a ProxyPlan) -> Self {
        let pushes = stage.pushes.iter();
        let configurations = pushes.map(|push| Rc::from(&*push.configuration));
        let mut proxy = Self {
            stage,
            plan,
            configurations: configurations.collect(),
            outside: Outside::default(),
            threads: Vec::new(),
            tried: BTreeMap::new(),
            last: None,
            queue: BinaryHeap::new(),
            sequence: 0,
            now: 0,
            up: None,
            life: 0,
            random: Random::of(plan.seed, 0),
            course: Course::default(),
            told: Shown::default(),
        };
        proxy.start();
        proxy.lay_out();
        proxy
    }

    /// Puts all into the queue that is known beforehand.
    fn lay_out(&mut self) {
        for (number, push) in self.stage.pushes.iter().enumerate() {
            for at in self.plan.arrivals(number, push) {
                self.later(at, Event::Arrival(number));
            }
        }
        for (number, at) in self.stage.looks.iter().enumerate() {
            self.later(*at, Event::Look(number));
        }
        self.course.looks = vec![None; self.stage.looks.len()];
        for (number, ask) in self.plan.asks.iter().enumerate() {
            self.later(ask.at, Event::Ask(number));
            self.course.answers.push(Answer {
                start: ask.at,
                end: ask.at,
                outcome: Outcome::Left,
            });
        }
        for fault in &self.plan.faults {
            match *fault {
                Fault::Restart { at, down } => {
                    self.later(at, Event::Down);
                    self.later(at.saturating_add(down), Event::Up);
                }
                Fault::Trap { at, worker } => self.later(at, Event::Trap(worker.into())),
                // Looked up when something is due.
                Fault::Stall { .. } => {}
            }
        }
    }

    fn run(&mut self) {
        while let Some(mut due) = self.queue.pop() {
            let waits = due.event.thread(self.plan);
            if let Some(until) = waits.and_then(|thread| self.plan.stalled(thread, due.at)) {
                due.at = until;
                self.queue.push(due);
                continue;
            }
            if due.at > self.stage.until {
                break;
            }
            self.now = due.at;
            self.outside.clocks.set(self.plan.clock.at(self.now));
            self.happen(due.event);
            if self.stage.tell {
                self.tell();
            }
        }
        // Who still waits when the run ends waits for ever.
        self.now = self.stage.until;
        self.hang_up();
        self.course.last = self.shown();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival(push) => {
                let pushed = self.stage.pushes.get(push).map_or(0, |push| push.at);
                // What was on its way to a process that is no more is lost; the next one asks anew.
                if self.up.is_some_and(|up| pushed >= up) {
                    self.arrive(push);
                }
            }
            Event::Ask(number) => self.ask(number),
            Event::Look(number) => {
                let shown = self.up.map(|_| self.shown());
                if let Some(look) = self.course.looks.get_mut(number) {
                    *look = shown;
                }
            }
            Event::Down => self.kill(),
            Event::Up => {
                self.start();
                let newest = self
                    .stage
                    .pushes
                    .iter()
                    .rposition(|push| push.at <= self.now);
                if let Some(newest) = newest {
                    self.arrive(newest);
                }
            }
            Event::Trap(thread) => self.trap(thread),
            Event::Configure { thread, push, life } => {
                if life == self.life {
                    self.configure(thread, push);
                }
            }
            Event::Release { thread, root, life } => {
                if life == self.life {
                    self.release(thread, root);
                }
            }
            Event::Tick {
                thread,
                root,
                serial,
                life,
            } => {
                if life == self.life {
                    self.tick(thread, root, serial);
                }
            }
            Event::Leave {
                thread,
                stream,
                ask,
                life,
            } => {
                if life == self.life {
                    self.leave(thread, stream, ask);
                }
            }
        }
    }

    /// The process starts: nothing is left of the one before.
    fn start(&mut self) {
        self.life += 1;
        self.up = Some(self.now);
        self.outside = Outside {
            plugin: PLUGIN.into(),
            environment: self.stage.environment.into(),
            ..Outside::default()
        };
        self.outside.clocks.set(self.plan.clock.at(self.now));
        let threads = usize::from(self.plan.workers.max(1)) + 1;
        self.threads = (0..threads).map(|_| Thread::default()).collect();
        self.tried.clear();
        self.last = None;
    }

    fn kill(&mut self) {
        for thread in &mut self.threads {
            for Held { ask, .. } in std::mem::take(&mut thread.held).into_values() {
                let why = "the proxy was killed".into();
                let outcome = Outcome::Failed { status: None, why };
                set(&mut self.course, ask, self.now, outcome);
            }
        }
        self.threads.clear();
        self.up = None;
        self.life += 1;
        let restart = self.plan.faults.iter().find_map(|fault| match fault {
            Fault::Restart { at, down } if *at == self.now => Some(at.saturating_add(*down)),
            _ => None,
        });
        let until = restart.unwrap_or(self.now);
        self.course.killed.push((self.now, until));
    }

    /// Ends all streams that still wait.
    fn hang_up(&mut self) {
        for thread in &mut self.threads {
            for held in std::mem::take(&mut thread.held).into_values() {
                set(&mut self.course, held.ask, self.now, Outcome::Left);
            }
        }
    }

    fn shown(&self) -> Shown {
        let stats = self.outside.stats.borrow();
        let stat = |what| {
            let name = format!("cutover.plugin.{PLUGIN}.service.{SERVICE}.{what}");
            stats.shown(&name).unwrap_or_default()
        };
        let count = |what| u32::try_from(stat(what)).unwrap_or(u32::MAX);
        Shown {
            generation: stat("generation"),
            green: stat("active") == 2,
            staged: stat("staged"),
            clock: stat("clock"),
            late: count("late"),
            held: count("held"),
            held_over: count("held_over"),
            clock_steps: count("clock_steps"),
        }
    }

    fn tell(&mut self) {
        let shown = Shown {
            clock: 0,
            held: 0,
            ..self.shown()
        };
        if shown == self.told {
            return;
        }
        let color = if shown.green { "green" } else { "blue" };
        let mut line = format!("shows generation {}, {color}", shown.generation);
        if shown.staged > 0 {
            let _infallible = write!(line, ", and generation {} staged", shown.staged);
        }
        if shown.late > self.told.late {
            line += ", late";
        }
        if shown.clock_steps > self.told.clock_steps {
            line += ", and has seen its clock step";
        }
        self.course.tale.push((self.now, line));
        self.told = shown;
    }

    fn later(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        let sequence = self.sequence;
        self.queue.push(Due {
            at,
            sequence,
            event,
        });
    }

    /// How late a thread comes to something that was posted to it, or a timer: mostly a fraction of a millisecond, ns.
    fn lateness(&mut self) -> u64 {
        if self.random.chance(1, 64) {
            self.random.below(3_000_000)
        } else {
            self.random.below(200_000)
        }
    }
}

/// Notes what came of a request.
fn set(course: &mut Course, ask: usize, now: u64, outcome: Outcome) {
    if let Some(answer) = course.answers.get_mut(ask) {
        answer.end = now.max(answer.start);
        answer.outcome = outcome;
    }
}
