//! Small histories, written in few words.

use std::collections::BTreeMap;

use cutover_checker::{Conviction, Judge, Judgement, Rule, Verdict, judge};
use cutover_history::{
    Color, Decision, Header, Kind, Operation, Outcome, Proxy, Push, PushKind, Request, Scope,
    Versions, Weather, WeatherKind,
};

/// Two proxies, a window of 10 ns.
pub(crate) fn header(scope: Scope) -> Header {
    let proxy = |name: &str| Proxy {
        name: name.to_owned(),
        workers: 2,
        listeners: 1,
    };
    Header {
        cutover_history: 1,
        seed: 7,
        started_at: "2025-11-21T10:00:00Z".to_owned(),
        versions: Versions {
            cutover: "0.1.0".to_owned(),
            envoy: "1.40.0".to_owned(),
        },
        module_sha256: "00".repeat(32),
        service: "shop".to_owned(),
        scope,
        window_ns: 10,
        flips: None,
        inferred: Vec::new(),
        proxies: vec![proxy("a"), proxy("b")],
        command: "cutover verify".to_owned(),
    }
}

/// The color that every generation of these histories has.
pub(crate) fn color(generation: u64) -> Color {
    if generation.is_multiple_of(2) {
        Color::Green
    } else {
        Color::Blue
    }
}

pub(crate) fn request(proxy: u32, start: u64, end: u64, outcome: Outcome) -> Request {
    let intended = start;
    Request {
        client: 1,
        proxy,
        kind: Kind::H1,
        intended,
        start,
        end,
        outcome,
        contrary: Vec::new(),
    }
}

pub(crate) fn decided(generation: u64) -> Decision {
    Decision {
        generation,
        color: color(generation),
        overridden: false,
    }
}

pub(crate) fn answered(served: Color, decision: Option<Decision>) -> Outcome {
    Outcome::Answered { served, decision }
}

pub(crate) fn read(proxy: u32, start: u64, end: u64, generation: u64) -> Operation {
    let outcome = answered(color(generation), Some(decided(generation)));
    Operation::Request(request(proxy, start, end, outcome))
}

pub(crate) fn failed(proxy: u32, start: u64, end: u64) -> Operation {
    let outcome = Outcome::Failed {
        status: Some(503),
        error: "no upstream".to_owned(),
    };
    Operation::Request(request(proxy, start, end, outcome))
}

pub(crate) fn push(
    kind: PushKind,
    proxy: u32,
    generation: u64,
    invoked: u64,
    acknowledged: Option<u64>,
) -> Push {
    Push {
        flip: None,
        kind,
        proxy,
        generation,
        color: color(generation),
        invoked,
        acknowledged,
    }
}

pub(crate) fn flip(
    proxy: u32,
    generation: u64,
    invoked: u64,
    acknowledged: Option<u64>,
) -> Operation {
    Operation::Push(push(
        PushKind::Flip,
        proxy,
        generation,
        invoked,
        acknowledged,
    ))
}

pub(crate) fn install(proxy: u32, generation: u64) -> Operation {
    Operation::Push(push(PushKind::Install, proxy, generation, 0, Some(0)))
}

pub(crate) fn killed(proxy: u32, from: u64, until: u64) -> Operation {
    Operation::Weather(Weather {
        kind: WeatherKind::Killed,
        proxy,
        from,
        until,
    })
}

/// Judges operations under a header; whoever is convicted was told of, as often as is counted.
pub(crate) fn judge_under(header: &Header, operations: &[Operation]) -> Judgement {
    let judgement = judge(header, operations.iter().cloned().map(Ok)).unwrap();
    let mut told = BTreeMap::new();
    for conviction in convictions(header, operations) {
        *told.entry(conviction.rule).or_insert(0) += 1;
    }
    assert_eq!(told, judgement.figures.violations);
    judgement
}

/// Every request that broke a rule, by line.
pub(crate) fn convictions(header: &Header, operations: &[Operation]) -> Vec<Conviction> {
    let mut judge = Judge::new(header.clone());
    for operation in operations {
        judge.add(operation.clone()).unwrap();
    }
    let mut convictions = Vec::new();
    judge.finish_telling(&mut |conviction| convictions.push(conviction));
    convictions.sort_unstable();
    convictions
}

pub(crate) fn judge_each(operations: &[Operation]) -> Judgement {
    judge_under(&header(Scope::Proxy), operations)
}

/// Asserts that exactly these rules were broken, each so often, and that the verdict shows the first.
#[track_caller]
pub(crate) fn broken(judgement: &Judgement, expected: &[(Rule, u64)]) {
    let violations: Vec<(Rule, u64)> = judgement
        .figures
        .violations
        .iter()
        .map(|(rule, count)| (*rule, *count))
        .collect();
    assert_eq!(violations, expected);
    let shown = match &judgement.verdict {
        Verdict::Violated(witness) => Some(witness.rule),
        _ => None,
    };
    assert_eq!(shown, expected.first().map(|(rule, _)| *rule));
}

/// A good run on both proxies: generation 1, then flips to 2 at 100 and to 3 at 200, a read every 5.
pub(crate) fn good() -> Vec<Operation> {
    let mut operations = Vec::new();
    for proxy in [0, 1] {
        operations.extend([
            install(proxy, 1),
            flip(proxy, 2, 100, Some(106)),
            flip(proxy, 3, 200, Some(206)),
        ]);
        operations.extend((0..60).map(|step| {
            let start = step * 5;
            read(
                proxy,
                start,
                start + 3,
                1 + u64::from(start > 100) + u64::from(start > 200),
            )
        }));
    }
    operations
}
