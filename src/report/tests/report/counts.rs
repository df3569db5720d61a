//! Nothing gets lost between the certificate and the pictures.

use crate::run::{MS, Run, sum};
use cutover_checker::{Judge, Rule, Verdict};
use cutover_history::{Reader, Scope};
use serde_json::Value;
use std::collections::BTreeSet;

/// Every count on the page is the certificate's, column by column summed up.
#[track_caller]
fn counts_are_kept(run: &Run) {
    let (_, data, certificate) = run.drawn();
    let total = certificate.figures.total();
    let violated = |rule| {
        let count = certificate.figures.violations.get(&rule).copied();
        count.unwrap_or_default()
    };
    let columns = &data["columns"];
    let of = |name: &str| sum(&columns[name]);
    assert_eq!(of("blue") + of("green"), total.answered);
    assert_eq!(of("overridden"), total.overridden);
    assert_eq!(of("failed"), total.failed);
    assert_eq!(of("timed_out"), total.timed_out);
    assert_eq!(of("excused"), total.excused);
    assert_eq!(of("stale"), violated(Rule::Stale));
    assert_eq!(data["marks"]["stale"]["all"], violated(Rule::Stale));
    assert_eq!(
        data["marks"]["failed"]["all"],
        total.failed + total.timed_out
    );
    let rows = data["rows"]["rows"].as_array().unwrap();
    let answers = |row: &Value| sum(&row["blue"]) + sum(&row["green"]);
    assert_eq!(rows.iter().map(answers).sum::<u64>(), total.answered);
}

#[test]
fn sums_of_columns_and_rows_are_the_totals_of_the_certificate() {
    counts_are_kept(&Run::default());
    for scope in [Scope::Proxy, Scope::Fleet] {
        counts_are_kept(&Run {
            scope,
            stale: 7,
            failed: 9,
            misrouted: 3,
            killed: true,
            ..Run::default()
        });
    }
}

/// Lines of the marks on the page that were convicted of a rule, by the bit of its number.
fn marked(data: &Value, bit: u64) -> BTreeSet<u64> {
    let marks = data["marks"]["list"].as_array().unwrap();
    let broke = |mark: &&Value| (mark[3].as_u64().unwrap() / 16) & bit != 0;
    marks
        .iter()
        .filter(broke)
        .map(|mark| mark[4].as_u64().unwrap())
        .collect()
}

#[test]
fn every_request_that_the_checker_convicts_is_a_mark() {
    let run = Run {
        stale: 11,
        failed: 5,
        misrouted: 2,
        killed: true,
        ..Run::default()
    };
    let (_, data, _) = run.drawn();
    let history = run.history();
    let reader = Reader::new(history.as_slice()).unwrap();
    let mut judge = Judge::new(reader.header().clone());
    for operation in reader {
        judge.add(operation.unwrap()).unwrap();
    }
    let mut convicted = Vec::new();
    judge.finish_telling(&mut |conviction| convicted.push(conviction));
    for (rule, bit) in [(Rule::Stale, 4), (Rule::Misrouted, 16), (Rule::Failed, 128)] {
        let lines: BTreeSet<u64> = convicted
            .iter()
            .filter(|conviction| conviction.rule == rule)
            .map(|conviction| conviction.line)
            .collect();
        assert!(!lines.is_empty(), "{rule:?}");
        assert_eq!(marked(&data, bit), lines, "{rule:?}");
    }
}

#[test]
fn of_more_stale_answers_than_can_be_marked_that_of_the_witness_is() {
    let (_, data, certificate) = Run {
        requests: 10_000,
        stale: 9_000,
        ..Run::default()
    }
    .drawn();
    let share = &data["marks"]["stale"];
    assert_eq!(
        (&share["drawn"], &share["all"]),
        (&10_000.into(), &72_000.into())
    );
    let Verdict::Violated(witness) = certificate.verdict else {
        panic!("{:?}", certificate.verdict)
    };
    let marked = marked(&data, 4);
    let mut requests = witness
        .evidence
        .iter()
        .filter(|evidence| matches!(evidence.operation, cutover_history::Operation::Request(_)));
    assert!(requests.any(|evidence| marked.contains(&evidence.line)));
}

#[test]
fn a_run_without_violations_has_no_marks() {
    let (_, data, certificate) = Run::default().drawn();
    assert_eq!(certificate.verdict, Verdict::Holds);
    assert_eq!(data["marks"]["list"], Value::Array(Vec::new()));
}

#[test]
fn a_window_shows_the_two_answers_that_its_figures_stand_on() {
    // So many requests that few of them are drawn.
    let run = Run {
        flips: 60,
        pause: 100 * MS,
        requests: 4_000,
        proxies: vec!["envoy-0".to_owned()],
        ..Run::default()
    };
    let (_, data, _) = run.drawn();
    let windows = data["windows"]["list"].as_array().unwrap();
    assert_eq!(windows.len(), 60);
    for window in windows {
        let number = |name: &str| window[name].as_i64().unwrap();
        let list = window["requests"].as_array().unwrap();
        let list: Vec<i64> = list.iter().map(|number| number.as_i64().unwrap()).collect();
        let unit = number("unit");
        let mut at = number("from") - number("invoked");
        let requests = list.chunks(4).map(|request| {
            at += request[0] * unit;
            (
                at,
                at + request[1] * unit,
                request[3] & 1 == number("green"),
            )
        });
        let (new, old): (Vec<_>, Vec<_>) = requests.partition(|(_, _, new)| *new);
        let last_old = old.iter().map(|(start, ..)| *start).max().unwrap();
        let first_new = new.iter().map(|(_, end, _)| *end).min().unwrap();
        for (found, told) in [
            (last_old, number("last_old")),
            (first_new, number("first_new")),
        ] {
            assert!((found - told).abs() <= 2 * unit, "{found}, {told}");
        }
    }
}
