//! The model: where it begins, what may happen, and what must hold.

use crate::world::{Message, Move, OLD, Proxy, Push, Which, World, switch, unix_ms};
use cutover_core::fleet::{Clocks, Due, Hold, OnLag, Outcome, Protocol, Terms};
use cutover_core::{Activation, Color, Generation};
use stateright::{Model, Property};

/// Ticks: the instant, half the window, how long before the window the operator decides, and the end.
const AT: u32 = 4;
const HOLD: u32 = 1;
const MARGIN: u32 = 1;
const END: u32 = AT + HOLD + 1;
const OPENS: u32 = AT - HOLD;
const GATE: u32 = OPENS - MARGIN;

/// The generation of the switch.
const NEW: u64 = 2;

/// A fleet whose proxies all knew of the switch in time, and that nobody cancels, never mixes colors, whatever becomes of
/// the operator.
pub const PREPARED: &str = "a fleet that is prepared never decides blue after green";
/// An operator that is alive and looks in time prevents a mix, where proxies and network do what is asked of them.
pub const SAFE: &str = "colors mix only after a failure that the protocol does not cover";
/// What the operator says is so.
pub const TOLD: &str = "who is told of no trouble had none";
/// Who switched in spite of a cancel is among those that are named.
pub const NAMED: &str = "whoever decided green before a cancel is named";
/// To be reached: the protocol's own way to fail.
pub const ALONE: &str = "a proxy that missed the cancel switches alone, and is named";
const ACTIVATED: &str = "the fleet switches, and nobody is late";
const CANCELLED: &str = "the switch is cancelled, and nobody has decided green";

/// What is done wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A proxy decides new at T on its clock, and holds nothing.
    NoHold,
    /// A proxy decides old until T, and holds after it only.
    HoldLateSideOnly,
    /// A proxy holds before T only, and decides new from there on.
    ResumesAtT,
    /// A proxy goes by its wall clock, which can be set.
    FollowsClock,
    /// The operator takes it that all have staged.
    StageNotAwaited,
    /// The operator decides when the instant is over.
    CancelAfterT,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    proxies: usize,
    faults: u8,
    off_by: i32,
    broken: Option<Fault>,
}

impl Fleet {
    /// So many proxies, with clocks that are off by as much as the hold allows.
    pub fn of(proxies: usize) -> Self {
        Self {
            proxies,
            faults: 1,
            off_by: HOLD.cast_signed(),
            broken: None,
        }
    }

    /// At most so many of: a message lost, a proxy that crashes, a clock that is set, the tool killed.
    #[must_use]
    pub fn with_faults(self, faults: u8) -> Self {
        Self { faults, ..self }
    }

    /// Clocks that are off by so many ticks.
    #[must_use]
    pub fn with_clocks_off_by(self, off_by: i32) -> Self {
        Self { off_by, ..self }
    }

    /// With something done wrong on purpose.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        let broken = Some(fault);
        Self { broken, ..self }
    }

    /// Whether a property is one that some state shall have.
    pub fn is_to_be_reached(self, property: &str) -> bool {
        [ALONE, ACTIVATED, CANCELLED].contains(&property)
    }

    fn follows_wall(self) -> bool {
        self.broken == Some(Fault::FollowsClock)
    }

    /// The operator's terms.
    fn terms(self) -> Terms {
        let at = match self.broken {
            Some(Fault::CancelAfterT) => AT + HOLD + MARGIN + 1,
            _ => AT,
        };
        let ticks = |ticks: u32| unix_ms(ticks) - unix_ms(0);
        Terms {
            due: Due {
                at_ms: unix_ms(at),
                hold_ms: ticks(HOLD),
            },
            hold: Hold::Given,
            margin: ticks(MARGIN) * 1_000,
            patience: ticks(END) * 1_000,
            on_lag: OnLag::Cancel,
            clocks: Clocks::PassedOver,
        }
    }

    /// When a proxy takes the switch to activate: broken proxies have another window.
    fn activation(self) -> Activation {
        let (at, hold) = (unix_ms(AT), unix_ms(HOLD) - unix_ms(0));
        let (at, hold) = match self.broken {
            Some(Fault::NoHold) => (at, 0),
            Some(Fault::HoldLateSideOnly) => (at + hold / 2, hold / 2),
            Some(Fault::ResumesAtT) => (at - hold / 2, hold / 2),
            _ => (at, hold),
        };
        Activation::new(at, u32::try_from(hold).unwrap()).unwrap()
    }

    fn arrive(self, world: &mut World, name: u8, which: Which) {
        let now = world.now;
        let generation = match which {
            Which::Stage => NEW,
            Which::Cancel => Self::cancel(world),
        };
        let pushed = match which {
            Which::Stage => switch(generation, Color::Green, Some(self.activation())),
            Which::Cancel => switch(generation, Color::Blue, None),
        };
        world.proxies[usize::from(name)].take(now, &pushed);
    }

    /// The generation of the cancel: that of the operator, once it has cancelled.
    fn cancel(world: &World) -> u64 {
        let of = |operator: &Protocol<u8>| operator.generation().get();
        world.operator.as_ref().map_or(u64::MAX >> 11, of)
    }

    /// Time goes on by a tick.
    fn tick(self, world: &mut World) {
        world.now += 1;
        let now = world.now;
        for proxy in world.proxies.iter_mut().filter(|proxy| proxy.is_up) {
            proxy.commit(now, self.follows_wall());
        }
        if now == OPENS {
            let is_cancelled = world.proxies.iter().any(|p| p.cancel != Message::Unsent);
            let misses = |proxy: &Proxy| proxy.cancel != Message::Arrived;
            let unheard = is_cancelled && world.proxies.iter().any(misses);
            // Nobody had looked, or what was decided is still in the operator's hands.
            let stalled = !world.looked_in_time || world.to_push.is_some();
            world.excused |= unheard || stalled;
        }
    }
}

impl Model for Fleet {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        // Every clock is as far off as it may be, one way or the other; which proxy is which does not matter. That all are
        // off the same way is looked at with two.
        let world = |behind: usize| World {
            now: 0,
            proxies: (0..self.proxies)
                .map(|name| {
                    Proxy::new(if name < behind {
                        -self.off_by
                    } else {
                        self.off_by
                    })
                })
                .collect(),
            operator: Some(Protocol::new(self.terms(), Generation::new(NEW).unwrap())),
            to_push: None,
            told: None,
            faults_left: self.faults,
            green: 0,
            mixed: false,
            unprepared: false,
            excused: false,
            regressed: false,
            looked_in_time: false,
        };
        (usize::from(self.proxies > 2)..=self.proxies - usize::from(self.proxies > 2))
            .map(world)
            .collect()
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        if world.told.is_some() {
            return;
        }
        // Time begins when the switch is pushed: how long before that the operator thinks is nothing to anybody.
        if world.now < END && world.proxies[0].stage != Message::Unsent {
            moves.push(Move::Tick);
        }
        let may_fail = world.faults_left > 0;
        if world.to_push.is_some() {
            moves.push(Move::Push);
        } else if world.operator.is_some() {
            moves.push(Move::Look { silent: None });
        }
        if may_fail && world.operator.is_some() {
            moves.push(Move::KillTool);
        }
        for (name, proxy) in (0..).zip(&world.proxies) {
            if !proxy.is_up {
                for is_behind in [false, true] {
                    moves.push(Move::Start {
                        proxy: name,
                        is_behind,
                    });
                }
                continue;
            }
            for (which, message) in [(Which::Stage, proxy.stage), (Which::Cancel, proxy.cancel)] {
                match message {
                    Message::UnderWay => {
                        moves.push(Move::Arrive(name, which));
                        if may_fail {
                            moves.push(Move::Lose(name, which));
                        }
                    }
                    Message::Arrived => moves.push(Move::Repeat(name, which)),
                    Message::Unsent | Message::Lost => {}
                }
            }
            if may_fail {
                moves.push(Move::Crash(name));
                if world.to_push.is_none() && world.operator.is_some() {
                    moves.push(Move::Look { silent: Some(name) });
                }
                let is_staged = proxy
                    .register
                    .is_some_and(|register| register.staged.is_some());
                if is_staged && proxy.set == 0 {
                    moves.push(Move::SetBack(name));
                }
            }
        }
    }

    fn next_state(&self, last: &World, happens: Move) -> Option<World> {
        let mut world = last.clone();
        let fails = matches!(
            happens,
            Move::Lose(..)
                | Move::Crash(_)
                | Move::SetBack(_)
                | Move::KillTool
                | Move::Look { silent: Some(_) }
        );
        world.faults_left -= u8::from(fails);
        match happens {
            Move::Tick => self.tick(&mut world),
            Move::Look { silent } => {
                let mut views = world.views(silent);
                if self.broken == Some(Fault::StageNotAwaited) && world.now < OPENS {
                    for view in views.values_mut().flatten() {
                        view.staged = Generation::new(NEW).ok();
                    }
                }
                world.looked_in_time |= (GATE..OPENS).contains(&world.now);
                world.look(&views);
            }
            Move::Push => match world.to_push.take()? {
                Push::Stage(_) => {
                    for proxy in &mut world.proxies {
                        proxy.stage = Message::UnderWay;
                    }
                }
                Push::Cancel(_) => {
                    for proxy in &mut world.proxies {
                        proxy.cancel = Message::UnderWay;
                    }
                }
            },
            Move::Arrive(name, which) => {
                *world.proxies[usize::from(name)].message(which) = Message::Arrived;
                self.arrive(&mut world, name, which);
            }
            Move::Repeat(name, which) => self.arrive(&mut world, name, which),
            Move::Lose(name, which) => {
                *world.proxies[usize::from(name)].message(which) = Message::Lost;
            }
            Move::Crash(name) => {
                let proxy = &mut world.proxies[usize::from(name)];
                proxy.is_up = false;
                proxy.register = None;
                proxy.late = false;
                proxy.set = 0;
            }
            Move::Start {
                proxy: name,
                is_behind,
            } => {
                let now = world.now;
                let proxy = &mut world.proxies[usize::from(name)];
                proxy.is_up = true;
                // What rules on disk or in the control plane: the newest that was pushed, or what was there at first.
                let was_pushed = |message| message != Message::Unsent;
                match (is_behind, was_pushed(proxy.cancel), was_pushed(proxy.stage)) {
                    (false, true, _) => {
                        proxy.cancel = Message::Arrived;
                        self.arrive(&mut world, name, Which::Cancel);
                    }
                    (false, false, true) => {
                        proxy.stage = Message::Arrived;
                        self.arrive(&mut world, name, Which::Stage);
                    }
                    _ => {
                        proxy.take(now, &switch(OLD, Color::Blue, None));
                        for which in [Which::Stage, Which::Cancel] {
                            let message = proxy.message(which);
                            if *message == Message::Arrived {
                                *message = Message::UnderWay;
                                world.regressed = true;
                            }
                        }
                    }
                }
            }
            Move::SetBack(name) => {
                let proxy = &mut world.proxies[usize::from(name)];
                proxy.set = -(2 * HOLD).cast_signed();
            }
            Move::KillTool => {
                world.operator = None;
                world.to_push = None;
                world.excused = true;
            }
        }
        world.unprepared |= world.now >= OPENS && !world.proxies.iter().all(Proxy::is_prepared);
        world.serve(self.follows_wall());
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(PREPARED, |_, world: &World| {
                let is_cancelled = world.proxies.iter().any(|p| p.cancel != Message::Unsent);
                !world.mixed || world.unprepared || is_cancelled
            }),
            Property::always(SAFE, |_, world: &World| {
                !world.mixed || world.excused || world.regressed
            }),
            Property::always(TOLD, |_, world: &World| match &world.told {
                _ if world.regressed => true,
                Some(Outcome::Activated { late, unseen, .. }) => {
                    !world.mixed || !late.is_empty() || !unseen.is_empty()
                }
                Some(Outcome::Cancelled { in_doubt, .. }) => !world.mixed || !in_doubt.is_empty(),
                _ => true,
            }),
            Property::always(NAMED, |_, world: &World| match &world.told {
                _ if world.regressed => true,
                Some(Outcome::Cancelled { in_doubt, .. }) => (0..8)
                    .filter(|name| world.green & (1 << name) != 0)
                    .all(|name| in_doubt.contains(&name)),
                _ => true,
            }),
        ];
        if self.broken.is_none() && self.off_by == HOLD.cast_signed() {
            properties.push(Property::sometimes(ACTIVATED, |_, world: &World| {
                matches!(&world.told, Some(Outcome::Activated { late, unseen, .. })
                    if late.is_empty() && unseen.is_empty())
            }));
            properties.push(Property::sometimes(CANCELLED, |_, world: &World| {
                world.green == 0 && matches!(world.told, Some(Outcome::Cancelled { .. }))
            }));
            properties.push(Property::sometimes(ALONE, |_, world: &World| {
                let named = |outcome: &Outcome<u8>| match outcome {
                    Outcome::Cancelled { in_doubt, .. } => !in_doubt.is_empty(),
                    _ => false,
                };
                world.mixed && world.told.as_ref().is_some_and(named)
            }));
        }
        properties
    }
}
