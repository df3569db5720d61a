//! The simulated host against the real one: the same configurations, requests and pushes give the same decisions.

use std::sync::Arc;

use cutover_sim::{Ask, Decision, EPOCH, Module, Outcome, ProxyPlan, Push, simulate};
use serde_json::{Value, json};

use crate::client::Get;
use crate::stage::{Start, and, switch};
use crate::staged::{now, staged};

/// What is done, one thing after the other.
enum Do {
    /// Pushes what this makes of the time, Unix ms.
    Push(fn(u64) -> Value),
    /// Asks, with these headers.
    Ask(&'static [(&'static str, &'static str)]),
    /// Waits until so many ms before the instant of the switch that was staged last.
    WaitUntilBefore(u64),
}

/// The key of tokens, in the environment of the VMs.
const KEY: (&str, &str) = ("CUTOVER_KEY_k1", "0123456789abcdef");

/// Half of the window of the switch that comes to rule, and how long it is staged before that, ms.
const HOLD: u64 = 400;
const LEAD: u64 = 6_000;
const HOUR: u64 = 3_600_000;

fn previewed(active: &str, generation: u64) -> Value {
    let preview = json!({ "header": "x-preview", "unsigned": true });
    and(switch(active, generation), json!({ "override": preview }))
}

/// Previews need a token, and who has none is turned away.
fn signed(active: &str, generation: u64) -> Value {
    let preview = json!({ "header": "x-preview", "keys": ["k1"], "refused": "forbid" });
    and(switch(active, generation), json!({ "override": preview }))
}

fn closed(active: &str, generation: u64, closed: &str) -> Value {
    and(previewed(active, generation), json!({ "closed": [closed] }))
}

const ASK: Do = Do::Ask(&[]);

/// The first of these is what both start with.
const STORY: &[Do] = &[
    Do::Push(|_| switch("blue", 10)),
    ASK,
    Do::Ask(&[
        ("x-cutover-cluster", "green"),
        ("x-cutover-decision", "green;g=99"),
    ]),
    Do::Push(|_| switch("green", 20)),
    ASK,
    Do::Push(|_| switch("blue", 15)),
    ASK,
    Do::Push(|_| switch("blue", 20)),
    ASK,
    Do::Push(|_| switch("purple", 21)),
    ASK,
    Do::Push(|_| closed("green", 30, "blue")),
    ASK,
    Do::Ask(&[("x-preview", "blue")]),
    Do::Ask(&[("x-preview", "green")]),
    Do::Ask(&[("x-preview", "purple")]),
    Do::Push(|_| signed("green", 31)),
    Do::Ask(&[("x-preview", "blue")]),
    Do::Ask(&[("x-preview", "purple")]),
    // Staged for long: what was before rules, also where the proxy had not heard of it.
    Do::Push(|now| staged("blue", 50, 31, now + HOUR, 20)),
    ASK,
    Do::Push(|now| staged("blue", 60, 55, now + HOUR, 20)),
    ASK,
    // Cancelled, late, and replaced before its time.
    Do::Push(|_| switch("green", 70)),
    ASK,
    Do::Push(|now| staged("blue", 80, 70, now - HOUR, 20)),
    ASK,
    Do::Push(|now| staged("green", 90, 80, now + HOUR, 20)),
    Do::Push(|now| staged("green", 100, 80, now + LEAD, HOLD)),
    ASK,
    Do::WaitUntilBefore(HOLD / 2),
    ASK,
    ASK,
];

/// What came of a request: the status, and of what reached an upstream the color that answered and the decision.
type Came = (u16, Option<(String, String)>);

async fn in_envoy() -> Vec<Came> {
    let mut steps = STORY.iter();
    let Some(Do::Push(first)) = steps.next() else {
        return Vec::new();
    };
    let start = Start {
        keys: vec![KEY],
        ..Start::default()
    };
    let stage = start.with(first(now())).await;
    let (mut came, mut due) = (Vec::new(), 0);
    for step in steps {
        match step {
            Do::Push(configuration) => {
                let configuration = configuration(now());
                due = configuration["activate_at"].as_u64().unwrap_or(due);
                stage.push(configuration).await;
            }
            Do::WaitUntilBefore(ms) => {
                let at = due - ms;
                stage.until("it is time", async || now() >= at).await;
            }
            Do::Ask(headers) => {
                let mut get = Get::new();
                for (name, value) in *headers {
                    get = get.header(name, value);
                }
                let answer = get.ask(&stage).await;
                let decided = answer.told("x-cutover-decision").map(|decision| {
                    let decision = Decision::parse(decision.as_bytes()).unwrap();
                    (answer.by(), format!("{decision:?}"))
                });
                came.push((answer.status, decided));
            }
        }
    }
    came
}

fn in_the_simulator() -> Vec<Came> {
    const STEP: u64 = 50;
    let (mut pushes, mut asks, mut at, mut due) = (Vec::new(), Vec::new(), 0, 0);
    let now = |at: u64| EPOCH / 1_000_000 + at;
    for step in STORY {
        match step {
            Do::Push(configuration) => {
                let configuration = configuration(now(at));
                due = configuration["activate_at"].as_u64().unwrap_or(due);
                let configuration = configuration.to_string().into_bytes();
                pushes.push(Push {
                    at: at * 1_000_000,
                    configuration: configuration.into(),
                });
            }
            Do::WaitUntilBefore(ms) => at = due - ms - now(0),
            Do::Ask(headers) => {
                let headers: Arc<[_]> = headers
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                    .collect();
                asks.push(Ask {
                    at: at * 1_000_000,
                    worker: u8::try_from(asks.len() % 2).unwrap(),
                    patience: 0,
                    headers: Some(headers),
                });
            }
        }
        at += STEP;
    }
    let module = Module::new(&std::fs::read(cutover_tests::module()).unwrap()).unwrap();
    let plan = ProxyPlan {
        workers: 2,
        deliveries: vec![vec![0]],
        asks,
        ..ProxyPlan::default()
    };
    let stage = cutover_sim::Stage {
        module: &module,
        pushes: &pushes,
        looks: &[],
        until: (at + LEAD + 2 * HOLD) * 1_000_000,
        environment: &[(KEY.0.to_owned(), KEY.1.to_owned())],
        tell: false,
    };
    let answers = simulate(&stage, &plan).answers.into_iter();
    let came = answers.map(|answer| match answer.outcome {
        Outcome::Routed { served, decision } => {
            let served = format!("{:?}", served.unwrap()).to_lowercase();
            (200, Some((served, format!("{:?}", decision.unwrap()))))
        }
        Outcome::Failed { status, .. } => (status.unwrap_or(0), None),
        Outcome::Left => (0, None),
    });
    came.collect()
}

#[tokio::test]
async fn the_simulated_host_decides_as_envoy_does() {
    let (real, simulated) = (in_envoy().await, in_the_simulator());
    let asks = STORY.iter().filter(|step| matches!(step, Do::Ask(_)));
    assert_eq!(real.len(), asks.count());
    assert_eq!(simulated, real);
    // Each kind of answer was among them.
    for status in [200, 403, 503] {
        assert!(real.iter().any(|(is, _)| *is == status), "{real:?}");
    }
}
