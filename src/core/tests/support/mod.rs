//! A request as a test writes it, and a proxy with one shared register.

#![expect(clippy::unwrap_used, reason = "a test's helper")]

use cutover_core::{Merge, Outcome, Plan, Request, decide, merge};
use std::cell::RefCell;
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
}

impl Request for Fake {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.read.borrow_mut().push(name.to_owned());
        self.headers.get(name).cloned()
    }

    fn shared(&self, key: &str) -> Option<Vec<u8>> {
        self.shared.get(key).cloned()
    }

    fn unix_seconds(&self) -> u64 {
        NOW
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
            let Some(generation) = service.switch().generation else {
                continue;
            };
            let stored = self.shared.get(service.register_key()).map(Vec::as_slice);
            if let Merge::Commit(bytes) = merge(stored, generation, service.switch()) {
                self.shared.insert(service.register_key().to_owned(), bytes);
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
        Outcome::Unclaimed => "unclaimed".to_owned(),
    }
}
