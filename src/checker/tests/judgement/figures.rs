//! The figures of a flip, and when they are too thin for a verdict.

use cutover_checker::{Counts, FlipSummary, Judgement, Latency, Rule, Verdict};
use cutover_history::{Kind, Operation, PushKind, Scope, Weather, WeatherKind};

use crate::common::*;

/// One proxy in the header.
fn alone(operations: &[Operation]) -> Judgement {
    let mut header = header(Scope::Proxy);
    header.proxies.truncate(1);
    judge_under(&header, operations)
}

/// Reads of a generation that begin at these instants and take `length`.
fn reads(
    starts: impl IntoIterator<Item = u64>,
    length: u64,
    generation: u64,
) -> impl Iterator<Item = Operation> {
    starts
        .into_iter()
        .map(move |start| read(0, start, start + length, generation))
}

/// Generation 1, then a flip to 2 pushed at 100 and acknowledged at 120; a read every `step`.
fn flipped(step: usize) -> Vec<Operation> {
    [install(0, 1), flip(0, 2, 100, Some(120))]
        .into_iter()
        .chain(reads((0..110).step_by(step), 6, 1))
        .chain(reads((110..200).step_by(step), 2, 2))
        .collect()
}

#[track_caller]
fn only_flip(judgement: &Judgement) -> &FlipSummary {
    assert_eq!(judgement.figures.flips.len(), 1);
    &judgement.figures.flips[0]
}

#[track_caller]
fn inconclusive(judgement: &Judgement) -> String {
    match &judgement.verdict {
        Verdict::Inconclusive(reasons) => reasons.join("\n"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_flip_is_measured_from_its_push() {
    let judgement = alone(&flipped(5));
    assert_eq!(judgement.verdict, Verdict::Holds);
    let latency = |answers, p50_ns, p99_ns| {
        Some(Latency {
            answers,
            p50_ns,
            p99_ns,
            p999_ns: p99_ns,
        })
    };
    let expected = FlipSummary {
        flip: None,
        proxy: Some(0),
        generation: 2,
        color: color(2),
        invoked: 100,
        acknowledged_ns: Some(20),
        // Read at [110, 112].
        first_new_ns: Some(12),
        // Read at [105, 111].
        last_proxy_ns: None,
        last_old_ns: Some(5),
        mixed_ns: Some(0),
        mixed_at_most_ns: Some(1),
        stale: 0,
        errors: 0,
        excused: 0,
        resolution_ns: 5,
        reads_before: 4,
        reads_after: 4,
        before: latency(19, 6, 6),
        // From the push to 140: reads that began at 95, 100, 105 and at 110, 115, … 140.
        during: latency(10, 2, 6),
        after: latency(11, 2, 2),
    };
    assert_eq!(only_flip(&judgement), &expected);
    assert_eq!(judgement.figures.resolution_ns, Some(5));
    assert_eq!(judgement.figures.reads, 40);
    assert_eq!(judgement.figures.rate_at_most_ppb, Some(75_000_000));
}

#[test]
fn latency_counts_from_when_a_request_was_wanted() {
    let mut operations = flipped(5);
    for operation in &mut operations {
        if let Operation::Request(request) = operation {
            request.intended = 0;
        }
    }
    let judgement = alone(&operations);
    let flip = only_flip(&judgement);
    // The reads between the flip and the end of the run end at 147, 152, … 197.
    assert_eq!(flip.after.map(|after| after.p50_ns), Some(172));
}

#[test]
fn a_quantile_is_the_smallest_latency_that_covers_its_share() {
    let before = (1..=1_000).map(|length| read(0, 0, length, 1));
    let push = Operation::Push(push(PushKind::Flip, 0, 2, 2_000, Some(2_001)));
    let judgement = alone(
        &[install(0, 1), push]
            .into_iter()
            .chain(before)
            .collect::<Vec<_>>(),
    );
    let expected = Latency {
        answers: 1_000,
        p50_ns: 500,
        p99_ns: 990,
        p999_ns: 999,
    };
    assert_eq!(only_flip(&judgement).before, Some(expected));
}

#[test]
fn stale_answers_and_errors_belong_to_their_flip() {
    let mut operations = flipped(5);
    operations.extend([
        read(0, 121, 125, 1),
        failed(0, 130, 131),
        failed(0, 190, 195),
    ]);
    let judgement = alone(&operations);
    let flip = only_flip(&judgement);
    assert_eq!((flip.stale, flip.errors, flip.excused), (1, 1, 0));
    assert_eq!((flip.last_old_ns, flip.mixed_ns), (Some(21), Some(9)));
    operations.push(killed(0, 130, 131));
    let judgement = alone(&operations);
    assert_eq!(
        (only_flip(&judgement).errors, only_flip(&judgement).excused),
        (0, 1)
    );
}

#[test]
fn requests_are_counted_by_kind_and_outcome() {
    let mut operations = vec![install(0, 1), read(0, 1, 2, 1), failed(0, 3, 4)];
    if let Operation::Request(request) = &mut operations[2] {
        request.kind = Kind::Sse;
    }
    let judgement = alone(&operations);
    let expected = [
        (
            Kind::H1,
            Counts {
                answered: 1,
                ..Counts::default()
            },
        ),
        (
            Kind::Sse,
            Counts {
                failed: 1,
                ..Counts::default()
            },
        ),
    ];
    assert_eq!(judgement.figures.requests, expected.into());
}

#[test]
fn a_gap_as_wide_as_the_window_is_seen_through_and_a_wider_one_is_not() {
    assert_eq!(alone(&flipped(10)).verdict, Verdict::Holds);
    insta::assert_snapshot!(inconclusive(&alone(&flipped(11))), @"around 1 of 1 flips the traffic was too thin to see a window of 10 ns: around the flip to generation 2 on a, 11 ns passed without a read, with 2 reads before and 2 after it; a read at least every 10 ns on each proxy, from 20 ns before a push until 20 ns after its acknowledgement, would tell");
}

#[test]
fn silence_before_or_after_a_flip_is_inconclusive() {
    let without = |silent: std::ops::Range<u64>| {
        let mut operations = flipped(5);
        operations.retain(|operation| match operation {
            Operation::Request(request) => !silent.contains(&request.start),
            _ => true,
        });
        alone(&operations)
    };
    for silent in [0..100, 90..111, 121..200] {
        assert_eq!(inconclusive(&without(silent)).lines().count(), 1);
    }
    // Further away than two windows.
    for silent in [0..80, 141..200] {
        assert_eq!(without(silent).verdict, Verdict::Holds);
    }
}

#[test]
fn overridden_and_failed_requests_do_not_thicken_the_traffic() {
    let mut operations = flipped(5);
    for operation in &mut operations {
        if let Operation::Request(request) = operation
            && request.start > 100
            && let cutover_history::Outcome::Answered {
                decision: Some(decision),
                ..
            } = &mut request.outcome
        {
            decision.overridden = true;
        }
    }
    assert!(matches!(
        alone(&operations).verdict,
        Verdict::Inconclusive(_)
    ));
}

#[test]
fn the_time_that_a_proxy_was_down_is_no_gap_unless_it_was_down_during_the_flip() {
    let silent = |from: u64, until: u64, weather: Option<WeatherKind>| {
        let mut operations = flipped(5);
        operations.retain(|operation| match operation {
            Operation::Request(request) => !(from..until).contains(&request.start),
            _ => true,
        });
        operations.extend(weather.map(|kind| {
            Operation::Weather(Weather {
                kind,
                proxy: 0,
                from: from + 1,
                until: until - 1,
            })
        }));
        alone(&operations).verdict
    };
    let inconclusive = |verdict| matches!(verdict, Verdict::Inconclusive(_));
    let (killed, paused) = (Some(WeatherKind::Killed), Some(WeatherKind::Paused));
    // Pushed at 100, acknowledged at 120, looked at until 140.
    assert!(inconclusive(silent(121, 137, None)));
    assert_eq!(silent(121, 137, killed), Verdict::Holds);
    // A pause is none: the proxy still has the requests that were sent to it.
    assert!(inconclusive(silent(121, 137, paused)));
    // Who was down during the flip did not see it.
    assert!(inconclusive(silent(101, 118, killed)));
    assert!(inconclusive(silent(110, 130, killed)));
}

#[test]
fn fewer_flips_than_the_run_was_to_make_are_inconclusive() {
    let mut operations = flipped(5);
    for operation in &mut operations {
        if let Operation::Push(push) = operation
            && push.kind == PushKind::Flip
        {
            push.flip = Some(0);
        }
    }
    let under = |flips| {
        let mut header = header(Scope::Proxy);
        header.proxies.truncate(1);
        header.flips = Some(flips);
        judge_under(&header, &operations).verdict
    };
    assert_eq!(under(1), Verdict::Holds);
    let Verdict::Inconclusive(reasons) = under(2) else {
        panic!("a run that was cut short shows less than it was to show")
    };
    assert_eq!(
        reasons,
        ["the run was cut short after 1 of 2 flips; let it come to its end"]
    );
}

#[test]
fn every_proxy_needs_its_own_traffic_even_in_a_fleet() {
    let mut operations = good();
    let fleet = header(Scope::Fleet);
    assert_eq!(judge_under(&fleet, &operations).verdict, Verdict::Holds);
    operations.retain(|operation| match operation {
        Operation::Request(request) => request.proxy == 0,
        _ => true,
    });
    assert!(matches!(
        judge_under(&fleet, &operations).verdict,
        Verdict::Inconclusive(_)
    ));
}

#[test]
fn a_proxy_that_was_away_owes_no_reads_of_that_time() {
    let fleet = header(Scope::Fleet);
    // The other proxy comes at 150, after the flip of 100 was settled at 120.
    let joined = |weather: Option<WeatherKind>, generation: u64| {
        let mut operations = flipped(5);
        operations.extend(
            reads((150..200).step_by(5), 2, generation).map(|mut operation| {
                if let Operation::Request(request) = &mut operation {
                    request.proxy = 1;
                }
                operation
            }),
        );
        operations.extend(weather.map(|kind| {
            Operation::Weather(Weather {
                kind,
                proxy: 1,
                from: 0,
                until: 150,
            })
        }));
        judge_under(&fleet, &operations)
    };
    assert_eq!(joined(Some(WeatherKind::Away), 2).verdict, Verdict::Holds);
    // Silence by itself is no absence, and a kill during the flip is no excuse.
    for weather in [None, Some(WeatherKind::Killed)] {
        let verdict = joined(weather, 2).verdict;
        assert!(matches!(verdict, Verdict::Inconclusive(_)), "{verdict:?}");
    }
    // Whoever comes late has to know what was decided before.
    let late = joined(Some(WeatherKind::Away), 1);
    assert!(matches!(late.verdict, Verdict::Violated(_)));
    assert_eq!(late.figures.violations[&Rule::Stale], 10);
}

#[test]
fn the_last_proxy_of_a_fleet_is_the_one_whose_first_new_answer_came_last() {
    let fleet = header(Scope::Fleet);
    let mut operations = good();
    let first_flip = |operations: &[Operation]| {
        let judgement = judge_under(&fleet, operations);
        judgement.figures.flips[0].clone()
    };
    let flip = first_flip(&operations);
    // Both read generation 2 from 105 to 108 first; the push was at 100.
    assert_eq!((flip.first_new_ns, flip.last_proxy_ns), (Some(8), Some(8)));
    let silent = |proxy: u32, until: u64| {
        move |operation: &Operation| match operation {
            Operation::Request(request) => {
                request.proxy != proxy || !(100..until).contains(&request.start)
            }
            _ => true,
        }
    };
    operations.retain(silent(1, 125));
    let flip = first_flip(&operations);
    assert_eq!((flip.first_new_ns, flip.last_proxy_ns), (Some(8), Some(28)));
    // One proxy without a new answer, and nothing can be said.
    operations.retain(silent(1, 201));
    assert_eq!(first_flip(&operations).last_proxy_ns, None);
}

#[test]
fn nothing_to_see_is_inconclusive() {
    insta::assert_snapshot!(inconclusive(&alone(&[])), @r#"
no request was answered by the active color of a generation, so no order was seen; send requests while flipping
nothing was flipped, so no switch was seen; flip at least once
"#);
    insta::assert_snapshot!(inconclusive(&alone(&[install(0, 1), read(0, 5, 9, 1)])), @"nothing was flipped, so no switch was seen; flip at least once");
    insta::assert_snapshot!(inconclusive(&judge_each(&flipped(5))), @"b was never flipped; flip every proxy that the header names");
}

#[test]
fn a_flip_that_nobody_acknowledged_or_saw_is_inconclusive() {
    let unsettled = |acknowledged| {
        let mut operations = vec![install(0, 1), flip(0, 2, 100, acknowledged)];
        operations.extend(reads((0..200).step_by(5), 2, 1));
        operations
    };
    insta::assert_snapshot!(inconclusive(&alone(&unsettled(None))), @"1 of 1 flips were neither acknowledged nor seen, the first of them the flip to generation 2 on a, so they may never have taken effect; wait until every proxy shows the generation");
    let mut seen = unsettled(None);
    seen.extend(reads((200..300).step_by(5), 2, 2));
    assert_eq!(alone(&seen).verdict, Verdict::Holds);
}

#[test]
fn a_configuration_without_a_generation_is_inconclusive() {
    let mut operations = flipped(5);
    operations.push(install(0, 0));
    operations.push(read(0, 150, 155, 0));
    insta::assert_snapshot!(inconclusive(&alone(&operations)), @"1 requests were decided by a configuration without a generation, so nothing can be said of their order; give the configuration a generation");
}

#[test]
fn a_violation_wins_over_thin_traffic() {
    let thin = [
        install(0, 1),
        flip(0, 2, 100, Some(120)),
        read(0, 130, 140, 1),
    ];
    assert!(matches!(alone(&thin).verdict, Verdict::Violated(_)));
}
