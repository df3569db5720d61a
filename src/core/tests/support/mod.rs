//! A request as a test writes it, and a proxy with one shared register.

#![expect(clippy::unwrap_used, reason = "a test's helper")]

use cutover_core::{Clock, Merge, Ordered, Outcome, Plan, Register, Request, decide, merge};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

pub(crate) const KEY: &[u8] = b"0123456789abcdef";
pub(crate) const NOW: u64 = 1_763_722_800;

/// A request and the shared data of its proxy.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) headers: HashMap<&'static str, Vec<u8>>,
    pub(crate) shared: HashMap<String, Vec<u8>>,
    /// The headers that were asked for.
    pub(crate) read: RefCell<Vec<String>>,
    /// The proxy's wall clock is so many nanoseconds off.
    pub(crate) wall_is_off_by: Cell<i64>,
    /// The time since `NOW`, in nanoseconds.
    pub(crate) passed: Cell<i64>,
    /// How often a clock was read.
    pub(crate) clock_reads: Cell<u32>,
}

impl Clock for Fake {
    fn wall(&self) -> Option<i64> {
        let now = i64::try_from(NOW).unwrap() * 1_000_000_000;
        self.clock_reads.set(self.clock_reads.get() + 1);
        Some(now + self.passed.get() + self.wall_is_off_by.get())
    }

    fn monotonic(&self) -> Option<i64> {
        self.clock_reads.set(self.clock_reads.get() + 1);
        Some(77 + self.passed.get())
    }
}

impl Request for Fake {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.read.borrow_mut().push(name.to_owned());
        self.headers.get(name).cloned()
    }

    fn shared(&self, key: &str) -> Option<Vec<u8>> {
        self.shared.get(key).cloned()
    }
}

impl Fake {
    pub(crate) fn new<const N: usize>(headers: [(&'static str, &[u8]); N]) -> Self {
        let headers = headers.map(|(name, value)| (name, value.to_vec())).into();
        Self {
            headers,
            ..Self::default()
        }
    }

    /// Commits a plan's switches, as the filter does when it is configured.
    pub(crate) fn configure(&mut self, plan: &Plan) {
        for service in plan.services() {
            let Some(pushed) = Ordered::of(service.switch()) else {
                continue;
            };
            let stored = self.shared.get(service.register_key());
            let stored = stored.and_then(|bytes| Register::decode(bytes));
            if let Merge::Write { register, .. } = merge(stored.as_ref(), &pushed, self) {
                let key = service.register_key().to_owned();
                self.shared.insert(key, register.encode());
            }
        }
    }
}

/// A plan as the filter has it: bound, with the key `k1`.
#[track_caller]
pub(crate) fn plan(json: &str) -> Plan {
    let key = |id: &str| (id == "k1").then(|| KEY.to_vec());
    Plan::parse(json.as_bytes())
        .and_then(|plan| plan.bind("test", key))
        .unwrap()
}

/// What `decide` says, in one line.
pub(crate) fn decided(plan: &Plan, request: &Fake) -> String {
    match decide(plan, request) {
        Outcome::Route(decision) => match decision.refused {
            Some(refusal) => format!("{} ({refusal})", decision.header()),
            None => decision.header(),
        },
        Outcome::Answer(answer) => format!("{} {}", answer.status(), answer.body().trim_end()),
        Outcome::Hold(held) => format!("hold {:?}", held.remaining),
        Outcome::Unclaimed => "unclaimed".to_owned(),
    }
}
