//! What a certificate withstands.

use cutover_checker::{Certificate, HistoryFile, Refused, Verdict};
use cutover_history::{Header, Operation, Reader, Scope, Writer};

use crate::common::*;

fn written(header: Header, operations: &[Operation]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), header).unwrap();
    for operation in operations {
        writer.write(operation).unwrap();
    }
    writer.finish().unwrap().1
}

fn history() -> Vec<u8> {
    written(header(Scope::Proxy), &good())
}

fn violated() -> Vec<u8> {
    let mut operations = good();
    operations.push(read(0, 120, 125, 1));
    written(header(Scope::Proxy), &operations)
}

fn certify(history: &[u8]) -> Certificate {
    Certificate::of("run.jsonl", Reader::new(history).unwrap()).unwrap()
}

fn check(certificate: &Certificate, history: &[u8]) -> Result<(), Refused> {
    certificate.check(Reader::new(history)?)
}

/// A certificate, edited as JSON by text.
#[track_caller]
fn edited(certificate: &Certificate, from: &str, to: &str) -> Certificate {
    let text = serde_json::to_string(certificate).unwrap();
    assert!(text.contains(from), "{text}");
    Certificate::parse(text.replacen(from, to, 1).as_bytes()).unwrap()
}

#[test]
fn a_certificate_stands_for_its_history() {
    for history in [history(), violated()] {
        let certificate = certify(&history);
        let text = serde_json::to_string_pretty(&certificate).unwrap();
        let parsed = Certificate::parse(text.as_bytes()).unwrap();
        assert_eq!(parsed, certificate);
        check(&parsed, &history).unwrap();
    }
}

#[test]
fn a_certificate_stands_for_a_renamed_history() {
    check(
        &edited(&certify(&history()), "run.jsonl", "moved.jsonl"),
        &history(),
    )
    .unwrap();
}

#[test]
fn a_history_edited_by_one_byte_is_refused() {
    let history = history();
    let certificate = certify(&history);
    for index in 0..history.len() {
        let mut edited = history.clone();
        edited[index] ^= 1;
        assert!(check(&certificate, &edited).is_err(), "byte {index}");
    }
    let mut edited = history.clone();
    let digit = edited.iter().rposition(u8::is_ascii_digit).unwrap();
    edited[digit] = b'4';
    assert!(matches!(
        check(&certificate, &edited),
        Err(Refused::OtherHistory { .. })
    ));
}

#[test]
fn a_history_cut_or_continued_is_refused() {
    let history = history();
    let certificate = certify(&history);
    let last_line = history[..history.len() - 1]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap();
    let cut = check(&certificate, &history[..=last_line]);
    assert!(matches!(cut, Err(Refused::OtherHistory { .. })));
    let torn = check(&certificate, &history[..history.len() - 1]);
    assert!(matches!(torn, Err(Refused::History(_))));
    let continued = [history.as_slice(), b"{}\n"].concat();
    assert!(matches!(
        check(&certificate, &continued),
        Err(Refused::History(_))
    ));
}

#[test]
fn a_verdict_that_was_edited_is_refused() {
    let history = violated();
    let mut certificate = certify(&history);
    assert!(matches!(certificate.verdict, Verdict::Violated(_)));
    certificate.verdict = Verdict::Holds;
    let refused = check(&certificate, &history).unwrap_err().to_string();
    assert!(
        refused.starts_with("the certificate says verdict is \"holds\", and"),
        "{refused}"
    );
}

#[test]
fn every_figure_that_was_edited_is_refused() {
    let history = history();
    let certificate = certify(&history);
    for (from, to, expected) in [
        ("\"stale\":0", "\"stale\":1", "figures.flips[0].stale is 1"),
        (
            "\"acknowledged_ns\":6",
            "\"acknowledged_ns\":5",
            "figures.flips[0].acknowledged_ns is 5",
        ),
        (
            "\"p99_ns\":3",
            "\"p99_ns\":2",
            "figures.flips[0].before.p99_ns is 2",
        ),
        ("\"reads\":120", "\"reads\":121", "figures.reads is 121"),
        (
            "\"violations\":{}",
            "\"violations\":{\"early\":1}",
            "figures.violations.early is 1",
        ),
        (
            "\"resolution_ns\":5",
            "\"resolution_ns\":4",
            "figures.resolution_ns is 4",
        ),
        ("\"seed\":7", "\"seed\":8", "header.seed is 8"),
        (
            "\"scope\":\"proxy\"",
            "\"scope\":\"fleet\"",
            "header.scope is \"fleet\"",
        ),
        (
            "\"window_ns\":10",
            "\"window_ns\":5",
            "header.window_ns is 5",
        ),
        (
            "\"lines\":127",
            "\"lines\":126",
            "history.contents.lines is 126",
        ),
        ("once.\"", "twice.\"", "claims[2] is"),
    ] {
        let refused = check(&edited(&certificate, from, to), &history)
            .unwrap_err()
            .to_string();
        assert!(refused.contains(expected), "{from}: {refused}");
    }
    let other = edited(
        &certificate,
        &certificate.history.contents.sha256,
        &"0".repeat(64),
    );
    assert!(matches!(
        check(&other, &history),
        Err(Refused::OtherHistory { .. })
    ));
}

#[test]
fn a_text_that_is_no_certificate_is_refused() {
    let refused = |text: &str| Certificate::parse(text.as_bytes()).unwrap_err().to_string();
    insta::assert_snapshot!(refused("[]"), @"this is not a certificate: it has no number `cutover_certificate`");
    insta::assert_snapshot!(refused("{\"cutover_certificate\":2}"), @"the certificate says format version 2, and only version 1 is known here");
    let text = serde_json::to_string(&certify(&history())).unwrap();
    insta::assert_snapshot!(refused(&text.replacen("\"verdict\"", "\"more\":1,\"verdict\"", 1)), @"the certificate is not what the format allows: unknown field `more`, expected one of `cutover_certificate`, `verdict`, `claims`, `history`, `header`, `figures` at line 1 column 31");
}

#[test]
fn a_certificate_made_of_its_parts_is_the_same() {
    let history = history();
    let whole = certify(&history);
    let judgement = judge_under(&header(Scope::Proxy), &good());
    let file = HistoryFile {
        file: "run.jsonl".to_owned(),
        contents: whole.history.contents.clone(),
    };
    assert_eq!(
        Certificate::new(header(Scope::Proxy), judgement, file),
        whole
    );
}
