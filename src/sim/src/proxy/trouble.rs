//! What goes wrong in a thread: requests that fail, VMs that trap.

use super::{PATIENCE, Proxy, set};
use crate::answer::Outcome;

/// How long a VM that was started again after a trap is not started again once more, ns.
const BACKOFF: u64 = 1_000_000_000;

impl Proxy<'_> {
    pub(super) fn fail(&mut self, ask: usize, status: Option<u16>, why: &str) {
        let why = why.into();
        set(
            &mut self.course,
            ask,
            self.now,
            Outcome::Failed { status, why },
        );
    }

    /// A thread's VM is of no use any more. Streams that wait in it have no further event: their clients give up.
    pub(super) fn trap(&mut self, thread: usize) {
        let Some(state) = self.threads.get_mut(thread) else {
            return;
        };
        if state.vm.take().is_none() {
            return;
        }
        state.roots.clear();
        state.current = None;
        let given_up = self.now.saturating_add(PATIENCE);
        for held in std::mem::take(&mut state.held).into_values() {
            set(&mut self.course, held.ask, given_up, Outcome::Left);
        }
        self.course.killed.push((self.now, given_up));
        if self.stage.tell {
            self.course.tale.push((
                self.now,
                format!("loses the VM of worker {thread} to a trap"),
            ));
        }
    }

    /// `FAIL_RELOAD`: the next stream starts the VM again, with the configuration that the worker had, unless that was done just now.
    pub(super) fn reload(&mut self, thread: usize) -> bool {
        let Some(state) = self.threads.get_mut(thread) else {
            return false;
        };
        let soon = |last: u64| self.now.saturating_sub(last) < BACKOFF;
        let Some(push) = state.push.filter(|_| !state.reloaded.is_some_and(soon)) else {
            return false;
        };
        state.reloaded = Some(self.now);
        let root = self.new_root(thread, push);
        if let Some(state) = self.threads.get_mut(thread) {
            state.current = root;
        }
        root.is_some()
    }
}
