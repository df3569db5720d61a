//! The form of a history: what is written, what is read, what is refused.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at what it did not expect"
)]

use cutover_history::{
    Color, Contents, Decision, Header, Kind, Operation, Outcome, Proxy, Push, PushKind, Reader,
    Request, Scope, Versions, Weather, WeatherKind, Writer,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

fn header() -> Header {
    let proxy = |name: &str| Proxy {
        name: name.to_owned(),
        workers: 4,
        listeners: 2,
    };
    Header {
        cutover_history: 1,
        seed: u64::MAX,
        started_at: "2025-11-21T10:00:00Z".to_owned(),
        versions: Versions {
            cutover: "0.1.0".to_owned(),
            envoy: "1.40.0".to_owned(),
        },
        module_sha256: "ab".repeat(32),
        service: "shop".to_owned(),
        scope: Scope::Fleet,
        window_ns: 1_000_000,
        flips: None,
        inferred: Vec::new(),
        proxies: vec![proxy("envoy-0"), proxy("envoy-1")],
        command: "cutover verify".to_owned(),
    }
}

fn request(outcome: Outcome) -> Request {
    Request {
        client: 123,
        proxy: 1,
        kind: Kind::H1,
        intended: 123_456_789_012,
        start: 123_456_789_112,
        end: 123_456_999_012,
        outcome,
        contrary: Vec::new(),
    }
}

fn answered() -> Request {
    let decision = Decision {
        generation: 1_763_722_800_000,
        color: Color::Green,
        overridden: false,
    };
    request(Outcome::Answered {
        served: Color::Green,
        decision: Some(decision),
    })
}

fn write(operations: &[Operation]) -> (Contents, Vec<u8>) {
    let mut writer = Writer::new(Vec::new(), header()).unwrap();
    for operation in operations {
        writer.write(operation).unwrap();
    }
    writer.finish().unwrap()
}

/// The one sentence by which a text is refused.
#[track_caller]
fn refused(text: &[u8]) -> String {
    match Reader::new(text) {
        Err(error) => error.to_string(),
        Ok(mut reader) => {
            let error = reader.find_map(Result::err).expect("a refusal").to_string();
            assert!(reader.next().is_none());
            assert_eq!(reader.contents(), None);
            error
        }
    }
}

/// The one sentence by which a second line is refused.
#[track_caller]
fn refused_line(line: &str) -> String {
    let (_, mut text) = write(&[]);
    text.extend(line.bytes().chain([b'\n']));
    refused(&text)
}

fn operations() -> impl Strategy<Value = Operation> {
    let color = || prop_oneof![Just(Color::Blue), Just(Color::Green)];
    let instants = || {
        prop::array::uniform3(0..=u64::MAX).prop_map(|mut instants| {
            instants.sort_unstable();
            instants
        })
    };
    let generation = || 0..(1_u64 << 53);
    let decision = move || {
        (generation(), color(), any::<bool>()).prop_map(|(generation, color, overridden)| {
            Decision {
                generation,
                color,
                overridden,
            }
        })
    };
    let outcome = prop_oneof![
        (color(), prop::option::of(decision()))
            .prop_map(|(served, decision)| Outcome::Answered { served, decision }),
        (any::<Option<u16>>(), any::<String>())
            .prop_map(|(status, error)| Outcome::Failed { status, error }),
        Just(Outcome::TimedOut),
    ];
    let kind = prop::sample::select(Kind::ALL.to_vec());
    let contrary = prop::collection::vec(decision(), 0..3);
    let request = (any::<u32>(), 0..2_u32, kind, instants(), outcome, contrary).prop_map(
        |(client, proxy, kind, [intended, start, end], outcome, contrary)| {
            Operation::Request(Request {
                client,
                proxy,
                kind,
                intended,
                start,
                end,
                outcome,
                contrary,
            })
        },
    );
    let kind = prop::sample::select(vec![
        PushKind::Install,
        PushKind::Flip,
        PushKind::Stale,
        PushKind::Conflict,
    ]);
    let push = (
        any::<Option<u32>>(),
        kind,
        0..2_u32,
        generation(),
        color(),
        instants(),
        any::<bool>(),
    )
        .prop_map(
            |(flip, kind, proxy, generation, color, [invoked, end, _], acknowledged)| {
                let acknowledged = acknowledged.then_some(end);
                Operation::Push(Push {
                    flip,
                    kind,
                    proxy,
                    generation,
                    color,
                    invoked,
                    acknowledged,
                })
            },
        );
    let kind = prop::sample::select(vec![
        WeatherKind::Bad,
        WeatherKind::Torn,
        WeatherKind::Killed,
        WeatherKind::Paused,
        WeatherKind::Starved,
    ]);
    let weather = (kind, 0..2_u32, instants()).prop_map(|(kind, proxy, [from, until, _])| {
        Operation::Weather(Weather {
            kind,
            proxy,
            from,
            until,
        })
    });
    prop_oneof![request, push, weather]
}

proptest! {
    #[test]
    fn what_is_written_is_read(operations in prop::collection::vec(operations(), 0..20)) {
        let (written, text) = write(&operations);
        let mut reader = Reader::new(text.as_slice()).unwrap();
        prop_assert_eq!(reader.header(), &header());
        let read: Vec<Operation> = reader.by_ref().map(Result::unwrap).collect();
        prop_assert_eq!(read, operations);
        prop_assert_eq!(reader.contents(), Some(written));
    }
}

#[test]
fn the_digest_is_that_of_the_file() {
    let weather = Weather {
        kind: WeatherKind::Bad,
        proxy: 0,
        from: 1,
        until: 2,
    };
    let (contents, text) = write(&[Operation::Request(answered()), Operation::Weather(weather)]);
    let expected: Vec<String> = Sha256::digest(&text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(contents.sha256, expected.concat());
    let counts = (
        contents.lines,
        contents.requests,
        contents.pushes,
        contents.weather,
    );
    assert_eq!(counts, (3, 1, 0, 1));
}

#[test]
fn a_request_line_is_short() {
    let line = serde_json::to_string(&Operation::Request(answered())).unwrap();
    insta::assert_snapshot!(line, @r#"{"req":{"c":123,"p":1,"kind":"h1","at":[123456789012,123456789112,123456999012],"served":"green","by":[1763722800000,"green"]}}"#);
    assert!(line.len() <= 130, "{} bytes", line.len());
}

#[test]
fn a_header_names_a_hundred_thousand_proxies() {
    let mut header = header();
    let one = header.proxies.first().unwrap().clone();
    header.proxies.resize(100_000, one);
    let mut last = request(Outcome::TimedOut);
    last.proxy = 99_999;
    let mut writer = Writer::new(Vec::new(), header).unwrap();
    writer.write(&Operation::Request(last.clone())).unwrap();
    let (contents, text) = writer.finish().unwrap();
    let mut reader = Reader::new(text.as_slice()).unwrap();
    assert_eq!(reader.header().proxies.len(), 100_000);
    let read = reader.next().unwrap().unwrap();
    assert_eq!(read, Operation::Request(last));
    assert!(reader.next().is_none());
    assert_eq!(reader.contents(), Some(contents));
}

#[test]
fn nothing_else_than_a_header_comes_first() {
    insta::assert_snapshot!(refused(b""), @"line 1 of the history is not a header: it has no number `cutover_history`");
    insta::assert_snapshot!(refused(b"{}\n"), @"line 1 of the history is not a header: it has no number `cutover_history`");
    insta::assert_snapshot!(refused(b"{\"weather\":{}}\n"), @"line 1 of the history is not a header: it has no number `cutover_history`");
    insta::assert_snapshot!(refused(b"{\"cutover_history\":2,\"new\":1}\n"), @"line 1 of the history says format version 2, and only version 1 is known here");
    let (_, text) = write(&[]);
    let text = String::from_utf8(text).unwrap();
    insta::assert_snapshot!(refused(text.replace("\"seed\"", "\"sed\"").as_bytes()), @"line 1 of the history is not what the format allows, at column 26: unknown field `sed`, expected one of `cutover_history`, `seed`, `started_at`, `versions`, `module_sha256`, `service`, `scope`, `window_ns`, `flips`, `inferred`, `proxies`, `command`");
    insta::assert_snapshot!(refused(text.trim_end().as_bytes()), @"line 1 of the history is torn: the file ends without a line feed");
    let mut none = header();
    none.proxies.clear();
    let text = format!("{}\n", serde_json::to_string(&none).unwrap());
    insta::assert_snapshot!(refused(text.as_bytes()), @"line 1 of the history is impossible: the header names 0 proxies, where 1 to 1048576 are possible");
}

#[test]
fn a_torn_last_line_is_refused() {
    let (_, text) = write(&[
        Operation::Request(answered()),
        Operation::Request(answered()),
    ]);
    let last = text[..text.len() - 1]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap()
        + 1;
    for end in last + 1..text.len() {
        assert_eq!(
            refused(&text[..end]),
            "line 3 of the history is torn: the file ends without a line feed",
        );
    }
}

#[test]
fn a_line_that_the_format_does_not_allow_is_refused() {
    insta::assert_snapshot!(refused_line(""), @"line 2 of the history is not what the format allows: EOF while parsing a value");
    insta::assert_snapshot!(refused_line("{\"reqs\":{}}"), @"line 2 of the history is not what the format allows, at column 7: unknown variant `reqs`, expected one of `req`, `push`, `weather`");
    insta::assert_snapshot!(refused_line("{\"weather\":{\"kind\":\"sunny\",\"proxy\":0,\"from\":1,\"until\":2}}"), @"line 2 of the history is not what the format allows, at column 26: unknown variant `sunny`, expected one of `bad`, `torn`, `killed`, `paused`, `starved`, `away`");
    insta::assert_snapshot!(refused_line("{\"weather\":{\"kind\":\"bad\",\"proxy\":0,\"from\":1,\"until\":2,\"x\":3}}"), @"line 2 of the history is not what the format allows, at column 57: unknown field `x`, expected one of `kind`, `proxy`, `from`, `until`");
    insta::assert_snapshot!(refused_line("{\"push\":{\"kind\":\"flip\",\"proxy\":0,\"generation\":1,\"color\":\"red\",\"invoked\":1}}"), @"line 2 of the history is not what the format allows, at column 61: unknown variant `red`, expected `blue` or `green`");
    insta::assert_snapshot!(refused_line("{\"push\":{\"kind\":\"flip\",\"proxy\":0,\"generation\":1.5,\"color\":\"blue\",\"invoked\":1}}"), @"line 2 of the history is not what the format allows, at column 49: invalid type: floating point `1.5`, expected u64");
    insta::assert_snapshot!(refused(&[write(&[]).1, vec![b' '; 2 << 20]].concat()), @"line 2 of the history is longer than 1048576 bytes");
}

#[test]
fn a_request_has_one_outcome() {
    let line = |outcome: &str| {
        refused_line(&format!(
            "{{\"req\":{{\"c\":1,\"p\":0,\"kind\":\"h1\",\"at\":[1,2,3]{outcome}}}}}"
        ))
    };
    let mixed = line("");
    insta::assert_snapshot!(mixed, @"line 2 of the history is not what the format allows: a request has either `served` (with or without `by`), or `error` (with or without `status`), or `timed_out`");
    for outcome in [
        ",\"served\":\"blue\",\"timed_out\":true",
        ",\"error\":\"reset\",\"by\":[1,\"blue\"]",
        ",\"served\":\"blue\",\"status\":503",
        ",\"by\":[1,\"blue\"]",
        ",\"timed_out\":false",
    ] {
        let sentence = |text: &str| text.split_once(": ").map(|parts| parts.1.to_owned());
        assert_eq!(sentence(&line(outcome)), sentence(&mixed), "{outcome}");
    }
    insta::assert_snapshot!(line(",\"served\":\"blue\",\"by\":[1]"), @r#"line 2 of the history is not what the format allows, at column 69: invalid length 1, expected a decision: [generation, color] or [generation, color, "override"]"#);
    insta::assert_snapshot!(line(",\"served\":\"blue\",\"by\":[1,\"blue\",\"forced\"]"), @"line 2 of the history is not what the format allows, at column 85: `forced` is not `override`");
    insta::assert_snapshot!(line(",\"served\":\"blue\",\"by\":[1,\"blue\",\"override\",1]"), @"line 2 of the history is not what the format allows, at column 88: trailing characters");
    insta::assert_snapshot!(line(",\"served\":\"blue\",\"error\":\"reset\",\"error\":\"reset\""), @"line 2 of the history is not what the format allows, at column 84: duplicate field `error`");
}

#[test]
fn what_no_run_can_have_recorded_is_neither_read_nor_written() {
    let check = |operation: Operation| {
        let line = serde_json::to_string(&operation).unwrap();
        let mut writer = Writer::new(Vec::new(), header()).unwrap();
        let unwritten = writer.write(&operation).unwrap_err().to_string();
        assert_eq!(writer.operations(), 0);
        let unread = refused_line(&line);
        assert_eq!(
            unread,
            format!("line 2 of the history is impossible: {unwritten}")
        );
        unwritten
    };
    let request = |change: fn(&mut Request)| {
        let mut request = answered();
        change(&mut request);
        Operation::Request(request)
    };
    insta::assert_snapshot!(check(request(|request| request.proxy = 2)), @"proxy 2 is not one of the 2 in the header, counted from 0");
    insta::assert_snapshot!(check(request(|request| request.end = 5)), @"`start` is 123456789112, later than `end`, 5");
    insta::assert_snapshot!(check(request(|request| request.intended = request.end)), @"`intended` is 123456999012, later than `start`, 123456789112");
    let generation = 1 << 53;
    let late = Decision {
        generation,
        color: Color::Blue,
        overridden: true,
    };
    let outcome = Outcome::Answered {
        served: Color::Blue,
        decision: Some(late),
    };
    insta::assert_snapshot!(check(Operation::Request(Request { outcome, ..answered() })), @"generation 9007199254740992 is above 9007199254740991, the largest");
    insta::assert_snapshot!(check(Operation::Push(Push {
        flip: None,
        kind: PushKind::Flip,
        proxy: 0,
        generation: 1,
        color: Color::Blue,
        invoked: 9,
        acknowledged: Some(8),
    })), @"`invoked` is 9, later than `acknowledged`, 8");
}
