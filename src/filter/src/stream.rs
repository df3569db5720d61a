//! One request: read by `decide`, sent on by headers, or held for a while.

use crate::host::Host;
use crate::metrics;
use crate::worker::{Timer, Worker};
use cutover_abi as host;
use cutover_core::{Answer, Decision, Outcome, Plan, Reason, RouteBy, decide, headers, metric};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// A client that hits a closed color is told to come back after this many seconds, and up to as many
/// more, drawn at random, so that not all come back at once.
const RETRY_AFTER: u32 = 5;

/// A request that saw something staged has its worker's timer run at least so often.
const TICK: Duration = Duration::from_millis(20);

/// What the host knows as a stream.
pub(crate) struct Stream(Rc<Flow>);

/// A request, which a timer may find again by its context.
pub(crate) struct Flow {
    pub(crate) id: u32,
    worker: Rc<Worker>,
    /// That of the root context.
    timer: Rc<Timer>,
    pub(crate) plan: Rc<Plan>,
    /// The decision, when the response is to show it.
    shown: RefCell<Option<String>>,
}

impl Stream {
    pub(crate) fn new(id: u32, worker: Rc<Worker>, timer: Rc<Timer>, plan: Rc<Plan>) -> Self {
        Self(Rc::new(Flow {
            id,
            worker,
            timer,
            plan,
            shown: RefCell::default(),
        }))
    }
}

impl Flow {
    /// Decides, and tells the host: what is left to do is whether the request goes on.
    fn decide(self: &Rc<Self>) -> Action {
        match decide(&self.plan, &Host) {
            Outcome::Route(decision) => {
                if decision.is_staged {
                    self.worker.notice(decision.service);
                    self.timer.within(TICK);
                }
                self.route(&decision);
            }
            Outcome::Answer(answer) => return self.answer(&answer),
            Outcome::Hold(held) => {
                if !self.worker.hold(Rc::clone(self), held.service) {
                    return self.answer(&Answer::HeldOver(held.service));
                }
                self.count(held.service.name(), "held");
                self.worker.notice(held.service);
                self.timer.within(held.remaining.min(TICK));
                return Action::Pause;
            }
            Outcome::Unclaimed => {
                for name in [headers::CLUSTER, headers::COLOR, headers::DECISION] {
                    host::remove_request_header(name);
                }
            }
        }
        Action::Continue
    }

    /// Decides what was held, again.
    pub(crate) fn resume(self: &Rc<Self>) {
        if self.decide() == Action::Continue {
            host::resume_request();
        }
    }

    /// Tells the router, upstreams and whoever else asked. What a client sent in these headers is
    /// overwritten or removed.
    fn route(&self, decision: &Decision<'_>) {
        let (by, value) = decision.route();
        let (set, unset) = match by {
            RouteBy::Cluster => (headers::CLUSTER, headers::COLOR),
            RouteBy::Header => (headers::COLOR, headers::CLUSTER),
        };
        if !(cfg!(feature = "broken-trusts-client") && host::request_header(set).is_some()) {
            host::set_request_header(set, value);
        }
        host::remove_request_header(unset);
        let header = decision.header();
        host::set_request_header(headers::DECISION, &header);
        if decision.reason == Reason::Override {
            self.count(decision.service.name(), "override_used");
        }
        if decision.refused.is_some() {
            self.count(decision.service.name(), "override_refused");
        }
        if self.plan.expose().filter_state {
            host::set_filter_state("cutover", &header);
        }
        let shown = self.plan.expose().response_header.then_some(header);
        self.shown.replace(shown);
    }

    fn answer(&self, answer: &Answer<'_>) -> Action {
        let retry_after = match answer {
            Answer::Closed(..) => Some(RETRY_AFTER + jitter(RETRY_AFTER)),
            Answer::HeldOver(_) => Some(1),
            Answer::Forbidden(..) => None,
        };
        match answer {
            Answer::Forbidden(service, _) => self.count(service.name(), "override_refused"),
            Answer::HeldOver(service) => self.count(service.name(), "held_over"),
            Answer::Closed(..) => {}
        }
        let retry_after = retry_after.map(|seconds| seconds.to_string());
        let mut fields = vec![("content-type", "text/plain")];
        fields.extend(
            retry_after
                .as_deref()
                .map(|seconds| ("retry-after", seconds)),
        );
        host::respond(answer.status(), "cutover", &fields, &answer.body());
        Action::Pause
    }

    fn count(&self, service: &str, what: &str) {
        metrics::count(metric(&self.worker.plugin, service, what));
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.0.decide()
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        #[cfg(feature = "broken-decides-twice")]
        if let Outcome::Route(decision) = decide(&self.0.plan, &Host) {
            let shown = self.0.plan.expose().response_header;
            self.0.shown.replace(shown.then(|| decision.header()));
        }
        if let Some(decision) = self.0.shown.take() {
            host::set_response_header(headers::DECISION, &decision);
        }
        Action::Continue
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.worker.forget(self.0.id);
    }
}

/// A number from 0 to `most`; 0 when the proxy has no randomness to give.
fn jitter(most: u32) -> u32 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u32::from_le_bytes(bytes) % (most + 1),
        Err(_) => 0,
    }
}
