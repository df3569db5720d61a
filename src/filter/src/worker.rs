//! What all contexts of a plugin in one VM have in common: what it knows of the switches, and the
//! requests that wait for one.

use crate::host::Host;
use crate::stream::Flow;
use cutover_abi as host;
use cutover_core::{Plan, Service, Vm, Waiting, is_held};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

thread_local! {
    /// By the plugin's name. New configurations have new root contexts, and the old ones end with their
    /// last stream: what is known and held must outlive both.
    static WORKERS: RefCell<BTreeMap<String, Rc<Worker>>> = RefCell::default();
}

pub(crate) struct Worker {
    pub(crate) plugin: String,
    vm: RefCell<Vm>,
    /// Requests that wait, by the context of their stream.
    held: RefCell<Waiting<Rc<Flow>>>,
}

impl Worker {
    /// The one of a plugin in this VM.
    pub(crate) fn of(plugin: &str) -> Rc<Self> {
        let new = || {
            Rc::new(Self {
                plugin: plugin.to_owned(),
                vm: RefCell::new(Vm::new(plugin)),
                held: RefCell::default(),
            })
        };
        WORKERS.with_borrow_mut(|workers| {
            Rc::clone(workers.entry(plugin.to_owned()).or_insert_with(new))
        })
    }

    /// Takes a new configuration. Returns true when ticks have to come.
    pub(crate) fn configure(&self, plan: &mut Plan) -> bool {
        let mut vm = self.vm.borrow_mut();
        vm.configure(&Host, plan);
        vm.has_staged() || !self.held.borrow().is_empty()
    }

    /// Notes that a request saw something staged.
    pub(crate) fn notice(&self, service: &Service) {
        self.vm.borrow_mut().notice(service);
    }

    /// Keeps a request until its color can be told; false when as many wait as may.
    pub(crate) fn hold(&self, flow: Rc<Flow>, service: &Service) -> bool {
        let (key, id, most) = (service.register_key(), flow.id, flow.plan.max_held());
        self.held.borrow_mut().add(key, id, flow, most)
    }

    /// Forgets a request that has ended, if it still waited.
    pub(crate) fn forget(&self, id: u32) {
        self.held.borrow_mut().forget(id);
    }

    /// Commits what has come to rule, and lets requests go on whose color can be told. Returns when to
    /// be called again, if at all. Afterwards the effective context may be that of a request.
    pub(crate) fn tick(&self) -> Option<Duration> {
        let next = self.vm.borrow_mut().tick(&Host);
        let released = self.held.borrow_mut().release(|key| is_held(key, &Host));
        for (id, flow) in released {
            // One that is gone needs nothing more.
            if host::set_effective_context(id) {
                flow.resume();
            }
        }
        // Whatever else was staged meanwhile: nothing is held without a timer.
        let waits = !self.held.borrow().is_empty();
        next.or(waits.then_some(Duration::from_millis(1)))
    }
}

/// The timer of a root context.
#[derive(Default)]
pub(crate) struct Timer {
    /// In milliseconds; 0 while there is none.
    period: Cell<u32>,
}

impl Timer {
    /// Has the root of the current context called after this time, at the latest.
    pub(crate) fn within(&self, time: Duration) {
        let period = milliseconds(time);
        if self.period.get() == 0 || period < self.period.get() {
            self.set(period);
        }
    }

    /// Has the root of the current context called after this time, or no more.
    pub(crate) fn next(&self, time: Option<Duration>) {
        self.set(time.map_or(0, milliseconds));
    }

    fn set(&self, period: u32) {
        if self.period.replace(period) != period {
            host::set_tick_period(period);
        }
    }
}

/// Rounded up, so that it is not called a moment too early only to be called again.
fn milliseconds(time: Duration) -> u32 {
    let whole = time.as_nanos().div_ceil(1_000_000).max(1);
    u32::try_from(whole).unwrap_or(u32::MAX)
}
