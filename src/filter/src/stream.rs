//! One request: read by `decide`, sent on by headers.

use crate::{metrics, root::metric};
use cutover_abi as host;
use cutover_core::{Answer, Decision, Outcome, Plan, Reason, Request, RouteBy, decide, headers};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A client that hits a closed color is told to come back after this many seconds, and up to as many
/// more, drawn at random, so that not all come back at once.
const RETRY_AFTER: u32 = 5;

pub(crate) struct Stream {
    plugin: Rc<str>,
    plan: Rc<Plan>,
    /// The decision, when the response is to show it.
    shown: Option<String>,
}

impl Stream {
    pub(crate) fn new(plugin: Rc<str>, plan: Rc<Plan>) -> Self {
        Self {
            plugin,
            plan,
            shown: None,
        }
    }

    /// Tells the router, upstreams and whoever else asked. What a client sent in these headers is
    /// overwritten or removed.
    fn route(&mut self, decision: &Decision<'_>) {
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
        let count = |what| metrics::count(metric(&self.plugin, decision.service.name(), what));
        if decision.reason == Reason::Override {
            count("override_used");
        }
        if decision.refused.is_some() {
            count("override_refused");
        }
        if self.plan.expose().filter_state {
            host::set_filter_state("cutover", &header);
        }
        self.shown = self.plan.expose().response_header.then_some(header);
    }

    fn answer(&self, answer: &Answer<'_>) {
        if matches!(answer, Answer::Forbidden(..)) {
            metrics::count(metric(
                &self.plugin,
                answer.service().name(),
                "override_refused",
            ));
        }
        let retry_after = (RETRY_AFTER + jitter(RETRY_AFTER)).to_string();
        let mut fields = vec![("content-type", "text/plain")];
        if matches!(answer, Answer::Closed(..)) {
            fields.push(("retry-after", &retry_after));
        }
        host::respond(answer.status(), "cutover", &fields, &answer.body());
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let plan = Rc::clone(&self.plan);
        match decide(&plan, &Current) {
            Outcome::Route(decision) => self.route(&decision),
            Outcome::Answer(answer) => {
                self.answer(&answer);
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

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        #[cfg(feature = "broken-decides-twice")]
        if let Outcome::Route(decision) = decide(&Rc::clone(&self.plan), &Current) {
            self.shown = self
                .plan
                .expose()
                .response_header
                .then(|| decision.header());
        }
        if let Some(decision) = self.shown.take() {
            host::set_response_header(headers::DECISION, &decision);
        }
        Action::Continue
    }
}

/// The request that the host is calling for.
struct Current;

impl Request for Current {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        let value = host::request_header(name);
        #[cfg(feature = "broken-panics-on-utf8")]
        #[expect(clippy::unwrap_used, reason = "this build is broken on purpose")]
        String::from_utf8(value.clone().unwrap_or_default()).unwrap();
        value
    }

    fn shared(&self, key: &str) -> Option<Vec<u8>> {
        host::shared(key).map(|(value, _)| value)
    }

    fn unix_seconds(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
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
