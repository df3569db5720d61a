//! The world at one moment: true time, each proxy, what is under way to it, and the operator.

use cutover_core::fleet::{Action, Outcome, Protocol, View};
use cutover_core::{Activation, Clock, Color, Generation, Merge, Ordered, Register, Ruling, merge};
use std::collections::BTreeMap;

/// The switch that all proxies have before, the one to green, and the cancel.
pub(crate) const OLD: u64 = 1;

/// All that may be otherwise from one moment to the next.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that may become true"
)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// True time, in ticks; the operator's clock is right by definition.
    pub now: u32,
    /// The fleet.
    pub proxies: Vec<Proxy>,
    /// None when it was killed.
    pub operator: Option<Protocol<u8>>,
    /// What it has decided to push, and has not pushed yet.
    pub to_push: Option<Push>,
    /// What it says at the end.
    pub told: Option<Outcome<u8>>,
    /// How many faults may still happen.
    pub faults_left: u8,
    /// The proxies that have decided green, as bits.
    pub green: u8,
    /// Blue was decided somewhere when green had been decided somewhere.
    pub mixed: bool,
    /// A proxy served without knowing of the switch when its window had opened.
    pub unprepared: bool,
    /// A failure that the protocol does not promise to survive has happened.
    pub excused: bool,
    /// A proxy that started was given an older configuration than it had had.
    pub regressed: bool,
    /// The operator looked between the gate and the opening of the window.
    pub looked_in_time: bool,
}

/// What an operator pushes, under its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Push {
    /// The switch to green, staged.
    Stage(u64),
    /// Blue again.
    Cancel(u64),
}

/// One proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// By how many ticks its wall clock was ahead when it was started.
    pub ahead: i32,
    /// By how many ticks it was set since.
    pub set: i32,
    /// Whether it runs.
    pub is_up: bool,
    /// What it knows, as its filter has it.
    pub register: Option<Register>,
    /// It has counted a push that came late.
    pub late: bool,
    /// The switch, on its way to it.
    pub stage: Message,
    /// The cancel, on its way to it.
    pub cancel: Message,
}

/// A push on its way to one proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// Not pushed yet.
    Unsent,
    /// It arrives whenever it likes.
    UnderWay,
    /// It did arrive.
    Arrived,
    /// It never does.
    Lost,
}

/// One of the two pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// The switch.
    Stage,
    /// Its cancel.
    Cancel,
}

/// What may happen next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// Time goes on.
    Tick,
    /// The operator looks at all proxies, one of which may not answer, and decides.
    Look {
        /// The one that does not.
        silent: Option<u8>,
    },
    /// What it has decided to push is written, and on its way.
    Push,
    /// A push reaches a proxy.
    Arrive(u8, Which),
    /// Once more, what has arrived before.
    Repeat(u8, Which),
    /// A push never does.
    Lose(u8, Which),
    /// A proxy ends, and forgets all.
    Crash(u8),
    /// It starts again, with the newest configuration or, behind its time, with the first one.
    Start {
        /// Which.
        proxy: u8,
        /// It is given the first configuration.
        is_behind: bool,
    },
    /// Its wall clock is set back.
    SetBack(u8),
    /// The operator ends, and nobody takes its place.
    KillTool,
}

/// The clocks of one proxy, in nanoseconds.
struct Clocks {
    wall: i64,
    monotonic: i64,
}

impl Clock for Clocks {
    fn wall(&self) -> Option<i64> {
        Some(self.wall)
    }

    fn monotonic(&self) -> Option<i64> {
        Some(self.monotonic)
    }
}

/// Length of a tick, and Unix time at the first one, in milliseconds.
pub(crate) const TICK_MS: u64 = 10;
pub(crate) const BEGIN_MS: u64 = 1_795_294_800_000;

/// The time of a tick as Unix milliseconds.
pub(crate) fn unix_ms(tick: u32) -> u64 {
    BEGIN_MS + u64::from(tick) * TICK_MS
}

/// A time of so many ticks in nanoseconds.
fn nanoseconds(ticks: i32) -> i64 {
    i64::from(ticks) * i64::try_from(TICK_MS).unwrap() * 1_000_000
}

/// A switch to a color that rules at once, or at an instant.
pub(crate) fn switch(generation: u64, active: Color, activation: Option<Activation>) -> Ordered {
    let old = Ordered {
        generation: Generation::new(OLD).unwrap(),
        active: Color::Blue,
        previous: None,
        activation: None,
    };
    Ordered {
        generation: Generation::new(generation).unwrap(),
        active,
        previous: activation.map(|_| cutover_core::Previous {
            generation: old.generation,
            active: old.active,
        }),
        activation,
    }
}

impl Proxy {
    pub(crate) fn new(ahead: i32) -> Self {
        Self {
            ahead,
            set: 0,
            is_up: true,
            register: Some(Register {
                committed: switch(OLD, Color::Blue, None),
                staged: None,
            }),
            late: false,
            stage: Message::Unsent,
            cancel: Message::Unsent,
        }
    }

    /// Its clocks; those of a filter that follows the wall clock are one.
    fn clocks(&self, now: u32, follows_wall: bool) -> Clocks {
        let now = i32::try_from(now).unwrap();
        let begin = i64::try_from(BEGIN_MS).unwrap() * 1_000_000;
        let wall = begin + nanoseconds(now + self.ahead + self.set);
        let staged = self.register.and_then(|register| register.staged);
        let monotonic = match staged.filter(|_| follows_wall) {
            Some(staged) => wall - staged.offset,
            None => nanoseconds(now),
        };
        Clocks { wall, monotonic }
    }

    /// What it decides; none while it is down, or holds requests.
    pub(crate) fn rules(&self, now: u32, follows_wall: bool) -> Option<(Generation, Color)> {
        let register = self.register.filter(|_| self.is_up)?;
        match register.ruling(&self.clocks(now, follows_wall)) {
            Ruling::Switch(generation, color) => Some((generation, color)),
            Ruling::Hold(_) => None,
        }
    }

    /// What its timer does.
    pub(crate) fn commit(&mut self, now: u32, follows_wall: bool) {
        let clocks = self.clocks(now, follows_wall);
        let committed = self.register.and_then(|register| register.commit(&clocks));
        self.register = committed.or(self.register);
    }

    /// Takes a push.
    pub(crate) fn take(&mut self, now: u32, pushed: &Ordered) {
        let clocks = self.clocks(now, false);
        if let Merge::Write { register, late } = merge(self.register.as_ref(), pushed, &clocks) {
            self.register = Some(register);
            self.late |= late;
        }
    }

    pub(crate) fn message(&mut self, which: Which) -> &mut Message {
        match which {
            Which::Stage => &mut self.stage,
            Which::Cancel => &mut self.cancel,
        }
    }

    /// What it shows, and what it does not show while it is down.
    pub(crate) fn view(&self) -> Option<View> {
        let register = self.register.filter(|_| self.is_up)?;
        Some(View {
            generation: Some(register.committed.generation),
            staged: register.staged.map(|staged| staged.switch.generation),
            clock: None,
            late: self.late,
        })
    }

    /// Whether it knows of a switch after the first one.
    pub(crate) fn is_prepared(&self) -> bool {
        let known = |register: Register| register.newest().generation.get() > OLD;
        !self.is_up || self.register.is_some_and(known)
    }
}

impl World {
    /// What the operator sees of all proxies.
    pub(crate) fn views(&self, silent: Option<u8>) -> BTreeMap<u8, Option<View>> {
        let views = (0..).zip(&self.proxies).map(|(name, proxy)| {
            let view = proxy.view().filter(|_| silent != Some(name));
            (name, view)
        });
        views.collect()
    }

    /// The operator's next step; what it pushes it has yet to push.
    pub(crate) fn look(&mut self, views: &BTreeMap<u8, Option<View>>) {
        let now = unix_ms(self.now) * 1_000;
        let Some(operator) = &mut self.operator else {
            return;
        };
        match operator.step(now, views).unwrap() {
            Action::Stage { generation, .. } => self.to_push = Some(Push::Stage(generation.get())),
            Action::Cancel { generation } => self.to_push = Some(Push::Cancel(generation.get())),
            Action::Wait { .. } => {}
            Action::Done(outcome) => self.told = Some(outcome),
        }
    }

    /// Each proxy that is up decides a request at this moment, those that say green first.
    pub(crate) fn serve(&mut self, follows_wall: bool) {
        let now = self.now;
        let decided = |proxy: &Proxy, wanted: Color| {
            let rules = proxy.rules(now, follows_wall);
            rules.is_some_and(|(_, color)| color == wanted)
        };
        for (name, proxy) in self.proxies.iter().enumerate() {
            if decided(proxy, Color::Green) {
                self.green |= 1 << name;
            }
        }
        let is_blue = self.proxies.iter().any(|proxy| decided(proxy, Color::Blue));
        self.mixed |= self.green != 0 && is_blue;
    }
}
