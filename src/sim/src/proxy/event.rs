//! What happens next.

use std::cmp::Ordering;

use crate::plan::ProxyPlan;

/// Something that happens at one proxy. Pushes and requests are told by their number, threads by theirs; what a process
/// posted to itself is gone with its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A push comes from the control plane.
    Arrival(usize),
    /// A request's headers are complete.
    Ask(usize),
    /// The operator looks.
    Look(usize),
    /// The process is killed.
    Down,
    /// It is back.
    Up,
    /// A thread's VM traps.
    Trap(usize),
    /// A thread runs a new configuration.
    Configure {
        thread: usize,
        push: usize,
        life: u32,
    },
    /// A thread hears that a configuration has been replaced everywhere.
    Release { thread: usize, root: u32, life: u32 },
    /// A root context's timer goes off, if nobody set it anew.
    Tick {
        thread: usize,
        root: u32,
        serial: u32,
        life: u32,
    },
    /// A client leaves, if its stream still waits.
    Leave {
        thread: usize,
        stream: u32,
        ask: usize,
        life: u32,
    },
}

impl Event {
    /// The thread that has to do it.
    pub(crate) fn thread(&self, plan: &ProxyPlan) -> Option<usize> {
        match *self {
            Self::Ask(number) => plan.asks.get(number).map(|ask| usize::from(ask.worker)),
            Self::Configure { thread, .. }
            | Self::Release { thread, .. }
            | Self::Tick { thread, .. }
            | Self::Leave { thread, .. } => Some(thread),
            _ => None,
        }
    }
}

/// An event and when it is due; the greatest is the one that comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) at: u64,
    pub(crate) sequence: u64,
    pub(crate) event: Event,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
