//! Every rule, kept and broken.

use crate::common::*;
use cutover_checker::{Conviction, Rule, Verdict};
use cutover_history::{Color, Decision, Operation, Outcome, PushKind, Scope};

#[test]
fn a_good_run_holds_on_each_proxy_and_over_the_fleet() {
    for scope in [Scope::Proxy, Scope::Fleet] {
        let judgement = judge_under(&header(scope), &good());
        assert_eq!(judgement.verdict, Verdict::Holds, "{scope:?}");
        broken(&judgement, &[]);
    }
}

#[test]
fn the_order_of_lines_does_not_matter() {
    let mut operations = good();
    let judgement = judge_each(&operations);
    operations.reverse();
    assert_eq!(judge_each(&operations), judgement);
}

#[test]
fn a_read_of_a_generation_never_pushed_is_a_violation() {
    broken(
        &judge_each(&[install(0, 1), read(0, 5, 9, 2)]),
        &[(Rule::Unpushed, 1)],
    );
    // Pushed, but to the other proxy.
    let elsewhere = [install(0, 1), install(1, 2), read(0, 5, 9, 2)];
    broken(&judge_each(&elsewhere), &[(Rule::Unpushed, 1)]);
    broken(&judge_under(&header(Scope::Fleet), &elsewhere), &[]);
}

#[test]
fn a_read_that_ended_before_its_push_is_a_violation() {
    let history = |end| [install(0, 1), flip(0, 2, 20, Some(25)), read(0, 5, end, 2)];
    broken(&judge_each(&history(19)), &[(Rule::Early, 1)]);
    // Closed intervals: at the same instant, it may have been in force.
    broken(&judge_each(&history(20)), &[]);
}

#[test]
fn an_older_read_after_a_newer_one_was_seen_is_a_violation() {
    let history = |start| {
        [
            install(0, 1),
            flip(0, 2, 20, None),
            read(0, 21, 25, 2),
            read(0, start, 40, 1),
        ]
    };
    broken(&judge_each(&history(26)), &[(Rule::Stale, 1)]);
    broken(&judge_each(&history(25)), &[]);
}

#[test]
fn every_stale_read_is_told_of_by_its_line() {
    let history = [
        install(0, 1),
        flip(0, 2, 20, Some(22)),
        flip(0, 3, 50, Some(52)),
        read(0, 23, 25, 1),
        read(0, 30, 33, 2),
        read(0, 60, 63, 2),
        read(0, 61, 64, 1),
    ];
    let stale = |line| Conviction {
        line,
        rule: Rule::Stale,
    };
    assert_eq!(
        convictions(&header(Scope::Proxy), &history),
        [stale(5), stale(7), stale(8)]
    );
    assert_eq!(convictions(&header(Scope::Proxy), &good()), []);
}

#[test]
fn an_older_read_after_the_acknowledgement_is_a_violation() {
    let history = |start| {
        [
            install(0, 1),
            flip(0, 2, 20, Some(25)),
            read(0, start, 40, 1),
        ]
    };
    broken(&judge_each(&history(26)), &[(Rule::Stale, 1)]);
    broken(&judge_each(&history(25)), &[]);
}

#[test]
fn a_long_read_of_a_generation_pushed_too_late_is_a_violation() {
    // Generation 3 had been seen when 2 was pushed: 2 was never in force. The long read began before.
    let history = |invoked| {
        [
            install(0, 1),
            flip(0, 3, 20, None),
            read(0, 21, 25, 3),
            flip(0, 2, invoked, None),
            read(0, 10, 60, 2),
        ]
    };
    let judgement = judge_each(&history(30));
    broken(&judgement, &[(Rule::Stale, 1)]);
    let Verdict::Violated(witness) = judgement.verdict else {
        panic!("violated")
    };
    assert_eq!(witness.evidence.len(), 3);
    broken(&judge_each(&history(25)), &[]);
}

#[test]
fn one_proxy_behind_another_is_a_violation_only_over_the_fleet() {
    let history = [
        install(0, 1),
        install(1, 1),
        flip(0, 2, 20, Some(25)),
        flip(1, 2, 20, Some(60)),
        read(0, 26, 30, 2),
        read(1, 31, 35, 1),
    ];
    broken(&judge_each(&history), &[]);
    broken(
        &judge_under(&header(Scope::Fleet), &history),
        &[(Rule::Stale, 1)],
    );
}

#[test]
fn a_hundred_thousand_proxies_are_told_apart() {
    let history = |behind: u32| {
        [
            install(0, 1),
            install(behind, 1),
            flip(0, 2, 20, Some(25)),
            flip(behind, 2, 20, Some(60)),
            read(0, 26, 30, 2),
            read(behind, 31, 35, 1),
        ]
    };
    // 65,536 and 0 are the same in 16 bits.
    for behind in [65_536, 99_999] {
        let mut header = header(Scope::Proxy);
        let one = header.proxies.first().unwrap().clone();
        header.proxies.resize(100_000, one);
        broken(&judge_under(&header, &history(behind)), &[]);
        header.scope = Scope::Fleet;
        let judgement = judge_under(&header, &history(behind));
        broken(&judgement, &[(Rule::Stale, 1)]);
        let Verdict::Violated(witness) = judgement.verdict else {
            unreachable!("it is broken");
        };
        let proxies = witness.evidence.iter().map(|one| one.operation.proxy());
        let proxies: Vec<_> = proxies.collect();
        assert_eq!(proxies, [0, behind]);
    }
}

#[test]
fn a_fleet_has_a_generation_once_its_last_proxy_has_it() {
    let history = |last, start| {
        [
            install(0, 1),
            install(1, 1),
            flip(0, 2, 20, Some(25)),
            flip(1, 2, 20, last),
            read(0, start, 90, 1),
        ]
    };
    let fleet = header(Scope::Fleet);
    broken(
        &judge_under(&fleet, &history(Some(60), 61)),
        &[(Rule::Stale, 1)],
    );
    broken(&judge_under(&fleet, &history(Some(60), 60)), &[]);
    broken(&judge_under(&fleet, &history(None, 61)), &[]);
}

#[test]
fn a_replayed_generation_changes_nothing() {
    let replay = |start| {
        [
            install(0, 1),
            flip(0, 2, 20, Some(25)),
            Operation::Push(push(PushKind::Stale, 0, 1, 30, None)),
            read(0, start, start + 2, 2),
            read(0, start + 5, start + 7, 2),
        ]
    };
    broken(&judge_each(&replay(31)), &[]);
    let mut won = replay(31).to_vec();
    won.push(read(0, 33, 35, 1));
    broken(&judge_each(&won), &[(Rule::Stale, 1)]);
}

#[test]
fn a_conflicting_push_must_not_win() {
    let history = |color| {
        let mut conflict = push(PushKind::Conflict, 0, 2, 40, None);
        conflict.color = Color::Blue;
        let decision = Decision {
            color,
            ..decided(2)
        };
        [
            install(0, 1),
            flip(0, 2, 20, Some(25)),
            Operation::Push(conflict),
            Operation::Request(request(0, 50, 55, answered(color, Some(decision)))),
        ]
    };
    broken(&judge_each(&history(Color::Blue)), &[(Rule::Recolored, 1)]);
    broken(&judge_each(&history(Color::Green)), &[]);
}

#[test]
fn what_serves_is_what_was_decided() {
    let history = |served, overridden| {
        let decision = Decision {
            overridden,
            ..decided(1)
        };
        let outcome = answered(served, Some(decision));
        [install(0, 1), Operation::Request(request(0, 5, 9, outcome))]
    };
    for overridden in [false, true] {
        let misrouted = judge_each(&history(Color::Green, overridden));
        broken(&misrouted, &[(Rule::Misrouted, 1)]);
        broken(&judge_each(&history(Color::Blue, overridden)), &[]);
    }
}

#[test]
fn a_request_is_decided_once() {
    let mut twice = request(0, 5, 9, answered(Color::Blue, Some(decided(1))));
    twice.contrary.push(decided(2));
    let judgement = judge_each(&[install(0, 1), Operation::Request(twice.clone())]);
    broken(&judgement, &[(Rule::Redecided, 1)]);
    let Verdict::Violated(witness) = judgement.verdict else {
        panic!("violated")
    };
    assert_eq!(
        witness.evidence[0].operation,
        Operation::Request(twice.clone())
    );
    twice.contrary.clear();
    broken(
        &judge_each(&[install(0, 1), Operation::Request(twice)]),
        &[],
    );
}

#[test]
fn an_answer_without_a_decision_is_a_violation() {
    let history = |decision| {
        [
            install(0, 1),
            Operation::Request(request(0, 5, 9, answered(Color::Blue, decision))),
        ]
    };
    broken(&judge_each(&history(None)), &[(Rule::Undecided, 1)]);
    broken(&judge_each(&history(Some(decided(1)))), &[]);
}

#[test]
fn an_overridden_request_orders_nothing() {
    let history = |overridden| {
        let preview = Decision {
            generation: 1,
            color: Color::Blue,
            overridden,
        };
        [
            install(0, 1),
            flip(0, 2, 20, Some(25)),
            Operation::Request(request(0, 30, 35, answered(Color::Blue, Some(preview)))),
        ]
    };
    let judgement = judge_each(&history(true));
    broken(&judgement, &[]);
    assert_eq!(
        (
            judgement.figures.reads,
            judgement.figures.total().overridden
        ),
        (0, 1)
    );
    broken(&judge_each(&history(false)), &[(Rule::Stale, 1)]);
}

#[test]
fn no_request_fails_but_while_its_proxy_is_killed() {
    let history = |proxy, start, end| [install(0, 1), killed(0, 50, 60), failed(proxy, start, end)];
    for (start, end) in [(40, 50), (60, 70), (52, 53), (40, 70)] {
        let judgement = judge_each(&history(0, start, end));
        broken(&judgement, &[]);
        assert_eq!(judgement.figures.total().excused, 1);
    }
    for (proxy, start, end) in [(0, 40, 49), (0, 61, 70), (1, 52, 53)] {
        let judgement = judge_each(&history(proxy, start, end));
        broken(&judgement, &[(Rule::Failed, 1)]);
        assert_eq!(
            (
                judgement.figures.total().failed,
                judgement.figures.total().excused
            ),
            (1, 0)
        );
    }
}

#[test]
fn giving_up_is_a_failure_and_orders_nothing() {
    let history = [
        install(0, 1),
        flip(0, 2, 20, None),
        Operation::Request(request(0, 21, 30, Outcome::TimedOut)),
        read(0, 40, 45, 1),
    ];
    let judgement = judge_each(&history);
    broken(&judgement, &[(Rule::Failed, 1)]);
    assert_eq!(judgement.figures.total().timed_out, 1);
}

#[test]
fn the_proof_of_order_is_shown_before_a_failure() {
    let history = [
        install(0, 1),
        flip(0, 2, 20, Some(25)),
        failed(0, 1, 2),
        read(0, 30, 40, 1),
    ];
    broken(
        &judge_each(&history),
        &[(Rule::Stale, 1), (Rule::Failed, 1)],
    );
}

#[test]
fn an_impossible_operation_is_refused_with_its_line() {
    let operations = [install(0, 1), install(2, 1)].map(Ok);
    let error = cutover_checker::judge(&header(Scope::Proxy), operations).unwrap_err();
    insta::assert_snapshot!(error, @"line 3 of the history is impossible: proxy 2 is not one of the 2 in the header, counted from 0");
}

/// The drawing of the violation in a history.
#[track_caller]
fn drawn(operations: &[Operation]) -> String {
    judge_each(operations).verdict.to_string()
}

#[test]
fn a_witness_is_drawn_as_a_timeline() {
    insta::assert_snapshot!(drawn(&[
        install(0, 1),
        flip(0, 2, 20_000, None),
        read(0, 21_000, 25_500, 2),
        read(0, 1_026_000, 1_040_000, 1),
    ]), @r#"
violated
a request was decided by an older generation than one already seen or acknowledged
  line 4  a  request: generation 2 green  |-----------|
  line 5  a  request: generation 1 blue                           |-----------|
                                          +0 ns       +4.5 us     +1.005 ms   +1.019 ms
                                          (from 21 us of the run; not to scale)
"#);
    insta::assert_snapshot!(drawn(&[
        install(0, 1),
        flip(0, 3, 20, None),
        read(0, 21, 25, 3),
        flip(0, 2, 30, None),
        read(0, 10, 60, 2),
    ]), @r#"
violated
a request was decided by an older generation than one already seen or acknowledged
  line 6  a  request: generation 2 green  |-----------------------------------------------|
  line 4  a  request: generation 3 blue               |-----------|
  line 5  a  flip: generation 2 green                                         |--------...
                                          +0 ns       +11 ns      +15 ns      +20 ns      +50 ns
                                          (from 10 ns of the run; not to scale)
"#);
    insta::assert_snapshot!(drawn(&[
        install(0, 1),
        flip(0, 2, 20, Some(25)),
        read(0, 23, 40, 2),
        read(0, 26, 26, 1),
    ]), @r#"
violated
a request was decided by an older generation than one already seen or acknowledged
  line 3  a  flip: generation 2 green    |-----------|
  line 5  a  request: generation 1 blue                          |
                                         +0 ns       +5 ns       +6 ns
                                         (from 20 ns of the run; not to scale)
"#);
    insta::assert_snapshot!(drawn(&[install(0, 1), failed(0, 5, 9)]), @r#"
violated
a request got no answer, and its proxy was not being killed
  line 3  a  request: failed, 503 no upstream  |-----------|
                                               +0 ns       +4 ns
                                               (from 5 ns of the run; not to scale)
"#);
}
