//! One thread of a proxy, with its VM.

use std::collections::BTreeMap;

use crate::host::Vm;

/// A worker or the main thread.
#[derive(Default)]
pub(crate) struct Thread {
    /// None before the first configuration, and after a trap.
    pub(crate) vm: Option<Vm>,
    /// By their context ids.
    pub(crate) roots: BTreeMap<u32, Root>,
    /// The one that new streams get.
    pub(crate) current: Option<u32>,
    /// The configuration that new streams get, by number of the push.
    pub(crate) push: Option<usize>,
    /// Streams that are paused, by context id.
    pub(crate) held: BTreeMap<u32, Held>,
    /// When the VM was started again last.
    pub(crate) reloaded: Option<u64>,
    /// When the last thing that was posted to it comes.
    pub(crate) posted: u64,
    /// Numbers timers, so that one that was set anew is known.
    pub(crate) serial: u32,
}

/// A root context: one configuration in one VM.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root {
    /// Its configuration, by number of the push.
    pub(crate) push: usize,
    /// Streams that are of it.
    pub(crate) streams: u32,
    /// No new stream is of it, on any thread.
    pub(crate) released: bool,
    /// The period of its timer, ms, and its number; 0 is no timer.
    pub(crate) timer: (u32, u32),
}

/// A stream that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) ask: usize,
    pub(crate) root: u32,
}

impl Thread {
    /// Whether it had a VM and has none now.
    pub(crate) fn has_trapped(&self) -> bool {
        self.vm.is_none() && self.push.is_some()
    }

    /// The root context that still has a configuration, if there is one: Envoy takes it again and does not configure anew.
    pub(crate) fn root_of(&self, push: usize) -> Option<u32> {
        let mut roots = self.roots.iter();
        roots.find(|(_, root)| root.push == push).map(|(id, _)| *id)
    }
}
