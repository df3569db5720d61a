//! From the course of a proxy to the words of a history.

use cutover_history::{
    Decision, FORMAT, Header, Kind, Operation, Outcome, Proxy, Request, Scope, Versions, Weather,
    WeatherKind,
};

use crate::answer::{self, Answer};
use crate::operator::INSTALL;
use crate::proxy::{Course, SERVICE};

/// What a history's header says of a run.
pub(crate) struct Title<'a> {
    pub(crate) seed: u64,
    pub(crate) module_sha256: &'a str,
    pub(crate) proxies: usize,
    pub(crate) workers: u8,
    pub(crate) window: u64,
    pub(crate) command: &'a str,
}

pub(crate) fn header(title: &Title<'_>) -> Header {
    let proxy = |index: usize| Proxy {
        name: format!("proxy-{index}"),
        workers: title.workers.into(),
        listeners: 1,
    };
    Header {
        cutover_history: FORMAT,
        seed: title.seed,
        // Virtual time begins at the same instant always.
        started_at: "2026-11-21T21:00:00Z".to_owned(),
        versions: Versions {
            cutover: env!("CARGO_PKG_VERSION").to_owned(),
            envoy: "simulated".to_owned(),
        },
        module_sha256: title.module_sha256.to_owned(),
        service: SERVICE.to_owned(),
        scope: Scope::Fleet,
        window_ns: title.window,
        flips: None,
        inferred: Vec::new(),
        proxies: (0..title.proxies).map(proxy).collect(),
        command: title.command.to_owned(),
    }
}

/// What is to be told of a proxy besides the pushes. What was decided by a generation that is `kept` counts as decided by the install.
pub(crate) fn operations(
    proxy: usize,
    course: Course,
    kept: &[u64],
) -> impl Iterator<Item = Operation> {
    let proxy = u32::try_from(proxy).unwrap_or(u32::MAX);
    let killed = course.killed.into_iter().map(move |(from, until)| {
        Operation::Weather(Weather {
            kind: WeatherKind::Killed,
            proxy,
            from,
            until,
        })
    });
    let asked = (0_u32..).zip(course.answers);
    killed.chain(
        asked.map(move |(client, answer)| Operation::Request(request(proxy, client, answer, kept))),
    )
}

fn request(proxy: u32, client: u32, answer: Answer, kept: &[u64]) -> Request {
    let outcome = match answer.outcome {
        answer::Outcome::Routed {
            served: Some(served),
            decision,
        } => Outcome::Answered {
            served,
            decision: decision.map(|decision| Decision {
                generation: if kept.contains(&decision.generation) {
                    INSTALL.generation
                } else {
                    decision.generation
                },
                color: decision.color,
                overridden: &*decision.reason == "override",
            }),
        },
        answer::Outcome::Routed { served: None, .. } => Outcome::Failed {
            status: Some(404),
            error: "no route".to_owned(),
        },
        answer::Outcome::Failed { status, why } => Outcome::Failed {
            status,
            error: why.into(),
        },
        answer::Outcome::Left => Outcome::TimedOut,
    };
    Request {
        client,
        proxy,
        kind: Kind::H1,
        intended: answer.start,
        start: answer.start,
        end: answer.end,
        outcome,
        contrary: Vec::new(),
    }
}
