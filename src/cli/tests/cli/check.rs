use crate::{assert_run, support::Stage};
use cutover_checker::Certificate;
use cutover_history::{
    Color, Decision, FORMAT, Header, Kind, Operation, Outcome, Proxy, Push, PushKind, Reader,
    Request, Scope, Versions, Writer,
};
use std::fs;

const MS: u64 = 1_000_000;

/// One proxy, one flip at 500 ms, and a request every 2 ms that `decide` answers.
fn history(decide: impl Fn(u64) -> (u64, Color)) -> Vec<u8> {
    let header = Header {
        cutover_history: FORMAT,
        seed: 7,
        started_at: "2026-11-21T11:00:00Z".to_owned(),
        versions: Versions {
            cutover: "0.1.0".to_owned(),
            envoy: "1.40.0".to_owned(),
        },
        module_sha256: "0".repeat(64),
        service: "default".to_owned(),
        scope: Scope::Proxy,
        window_ns: 50 * MS,
        flips: None,
        inferred: Vec::new(),
        proxies: vec![Proxy {
            name: "envoy-0".to_owned(),
            workers: 2,
            listeners: 1,
        }],
        command: "cutover verify --seed 7".to_owned(),
    };
    let push = |flip, kind, generation, color, invoked| {
        let acknowledged = Some(invoked + 10 * MS);
        Operation::Push(Push {
            flip,
            kind,
            proxy: 0,
            generation,
            color,
            invoked,
            acknowledged,
        })
    };
    let mut writer = Writer::new(Vec::new(), header).unwrap();
    writer
        .write(&push(None, PushKind::Install, 1, Color::Blue, 0))
        .unwrap();
    writer
        .write(&push(Some(0), PushKind::Flip, 2, Color::Green, 500 * MS))
        .unwrap();
    for start in (20 * MS..980 * MS).step_by(2_000_000) {
        let (generation, color) = decide(start);
        let decision = Some(Decision {
            generation,
            color,
            overridden: false,
        });
        let request = Request {
            client: 0,
            proxy: 0,
            kind: Kind::H1,
            intended: start,
            start,
            end: start + MS,
            outcome: Outcome::Answered {
                served: color,
                decision,
            },
            contrary: vec![],
        };
        writer.write(&Operation::Request(request)).unwrap();
    }
    writer.finish().unwrap().1
}

fn good() -> Vec<u8> {
    history(|start| {
        if start < 505 * MS {
            (1, Color::Blue)
        } else {
            (2, Color::Green)
        }
    })
}

/// A stage with a history and its certificate.
fn stage(history: &[u8]) -> Stage {
    let stage = Stage::new();
    fs::write(stage.path("history.jsonl"), history).unwrap();
    let certificate = Certificate::of("history.jsonl", Reader::new(history).unwrap()).unwrap();
    stage.write(
        "certificate.json",
        &serde_json::to_string_pretty(&certificate).unwrap(),
    );
    stage
}

#[test]
fn a_history_and_its_certificate_say_the_same() {
    let stage = stage(&good());
    assert_run!(stage.run(&["check", "history.jsonl"]), @"
    exit code: 0
    --- stdout
    FLIP  PROXY    TO     GENERATION  SHOWN  FIRST NEW  LAST OLD  STALE  ERRORS  LATENCY BEFORE  DURING       AFTER
    0     envoy-0  green  2           10.0   7.0        4.0       0      0       1.0/1.0/1.0     1.0/1.0/1.0  1.0/1.0/1.0
    Times in ms. SHOWN, FIRST NEW, LAST OLD count from the push; latency is p50/p99/p99.9,
    from when a request was wanted.

    480 requests answered (0 by override), 0 failed, 0 timed out
    largest gap between requests around a flip: 2.0 ms, 50.0 ms was claimed
    0 violations in 480 reads: fewer than 1 in 160 (95 %)

    verdict: holds
    next: `cutover check history.jsonl --report DIR` judges it again, offline, and draws it
    ");
    assert_run!(stage.run(&["check", "certificate.json"]), @"
    exit code: 0
    --- stdout
    The certificate stands: history.jsonl gives the same again.

    FLIP  PROXY    TO     GENERATION  SHOWN  FIRST NEW  LAST OLD  STALE  ERRORS  LATENCY BEFORE  DURING       AFTER
    0     envoy-0  green  2           10.0   7.0        4.0       0      0       1.0/1.0/1.0     1.0/1.0/1.0  1.0/1.0/1.0
    Times in ms. SHOWN, FIRST NEW, LAST OLD count from the push; latency is p50/p99/p99.9,
    from when a request was wanted.

    480 requests answered (0 by override), 0 failed, 0 timed out
    largest gap between requests around a flip: 2.0 ms, 50.0 ms was claimed
    0 violations in 480 reads: fewer than 1 in 160 (95 %)

    verdict: holds
    next: `cutover check certificate.json --report DIR` judges it again, offline, and draws it
    ");
    let json = stage
        .run(&["check", "certificate.json", "-o", "json"])
        .json();
    assert_eq!(
        (&json["verdict"], &json["checked"]),
        (&"holds".into(), &"certificate".into())
    );
}

#[test]
fn a_violation_is_shown_with_its_witness() {
    let stale = history(|start| match start {
        0..505_000_000 | 700_000_000 => (1, Color::Blue),
        _ => (2, Color::Green),
    });
    assert_run!(stage(&stale).run(&["check", "history.jsonl"]), @"
    exit code: 1
    --- stdout
    FLIP  PROXY    TO     GENERATION  SHOWN  FIRST NEW  LAST OLD  STALE  ERRORS  LATENCY BEFORE  DURING       AFTER
    0     envoy-0  green  2           10.0   7.0        200.0     1      0       1.0/1.0/1.0     1.0/1.0/1.0  1.0/1.0/1.0
    Times in ms. SHOWN, FIRST NEW, LAST OLD count from the push; latency is p50/p99/p99.9,
    from when a request was wanted.

    480 requests answered (0 by override), 0 failed, 0 timed out
    largest gap between requests around a flip: 2.0 ms, 50.0 ms was claimed

    verdict: violated
    a request was decided by an older generation than one already seen or acknowledged
      line 247  envoy-0  request: generation 2 green  |-----------|
      line 344  envoy-0  request: generation 1 blue                           |-----------|
                                                      +0 ns       +1 ms       +194 ms     +195 ms
                                                      (from 506 ms of the run; not to scale)
    next: `cutover check history.jsonl --report DIR` draws the requests that prove it
    ");
}

#[test]
fn traffic_that_is_too_thin_is_inconclusive() {
    let thin = good();
    let lines: Vec<_> = thin.split_inclusive(|byte| *byte == b'\n').collect();
    let stage = stage(&lines[..4].concat());
    assert_run!(stage.run(&["check", "history.jsonl"]), @"
    exit code: 3
    --- stdout
    FLIP  PROXY    TO     GENERATION  SHOWN  FIRST NEW  LAST OLD  STALE  ERRORS  LATENCY BEFORE  DURING  AFTER
    0     envoy-0  green  2           10.0   -          -480.0    0      0       1.0/1.0/1.0     -       -
    Times in ms. SHOWN, FIRST NEW, LAST OLD count from the push; latency is p50/p99/p99.9,
    from when a request was wanted.

    1 requests answered (0 by override), 0 failed, 0 timed out
    largest gap between requests around a flip: 210.0 ms, 50.0 ms was claimed
    0 violations in 1 reads: fewer than 1 in 1 (95 %)

    verdict: inconclusive
      around 1 of 1 flips the traffic was too thin to see a window of 50 ms: around flip 0 (generation 2) on envoy-0, 210 ms passed without a read, with 0 reads before and 0 after it; a read at least every 50 ms on each proxy, from 100 ms before a push until 100 ms after its acknowledgement, would tell
    next: mend what is named, or make a longer run: `cutover verify --help` has --flips and --rate
    ");
}

#[test]
fn one_byte_of_the_history_or_the_certificate_is_enough_to_refuse_it() {
    let whole = stage(&good());
    let mut bytes = good();
    let at = bytes.len() - 10;
    bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
    fs::write(whole.path("history.jsonl"), bytes).unwrap();
    let ran = whole.run(&["check", "certificate.json"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stderr
            .starts_with("error: certificate.json is refused: "),
        "{ran}"
    );

    let whole = stage(&good());
    let edited = whole
        .read("certificate.json")
        .replace("\"stale\": 0", "\"stale\": 1");
    whole.write("certificate.json", &edited);
    assert_run!(whole.run(&["check", "certificate.json"]), @r#"
    exit code: 1
    --- stderr
    error: certificate.json is refused: the certificate says figures.flips[0].stale is 1, and the history gives 0
    hint: the certificate or its history was changed; make the run again
    "#);
}

#[test]
fn a_history_that_lies_elsewhere_is_named() {
    let stage = stage(&good());
    fs::rename(stage.path("history.jsonl"), stage.path("elsewhere.jsonl")).unwrap();
    assert_run!(stage.run(&["check", "certificate.json"]), @r#"
    exit code: 2
    --- stderr
    error: history.jsonl cannot be read: No such file or directory (os error 2)
    hint: --history PATH names the certificate's history
    "#);
    let named = ["check", "certificate.json", "--history", "elsewhere.jsonl"];
    assert_eq!(stage.run(&named).code, Some(0));
}

#[test]
fn what_is_neither_history_nor_certificate_is_refused() {
    let stage = Stage::new();
    stage.write("text.json", "{}");
    assert_run!(stage.run(&["check", "text.json"]), @r#"
    exit code: 2
    --- stderr
    error: text.json: this is not a certificate: it has no number `cutover_certificate`
    hint: `cutover verify` writes history.jsonl and certificate.json
    "#);
    assert_run!(stage.run(&["check", "none.json"]), @r#"
    exit code: 2
    --- stderr
    error: none.json cannot be read: No such file or directory (os error 2)
    hint: name a history or a certificate that `cutover verify` wrote
    "#);
    assert_run!(stage.run(&["check", "."]), @r#"
    exit code: 2
    --- stderr
    error: . cannot be read: it is a folder
    hint: name a history or a certificate that `cutover verify` wrote
    "#);
    stage.write("history.jsonl", "{\"cutover_history\":1");
    assert_run!(stage.run(&["check", "history.jsonl"]), @r#"
    exit code: 2
    --- stderr
    error: history.jsonl: line 1 of the history is torn: the file ends without a line feed
    hint: a history is judged whole or not at all; make the run again
    "#);
}

#[test]
fn a_verify_without_an_envoy_says_where_one_comes_from() {
    let stage = Stage::new();
    assert_run!(stage.run(&["verify"]), @r#"
    exit code: 3
    --- stderr
    error: no Envoy was found
    hint: scripts/get-envoy puts one into the checkout; --envoy PATH or CUTOVER_ENVOY names another
    "#);
    assert_run!(stage.run(&["verify", "--envoy", "none"]), @r#"
    exit code: 3
    --- stderr
    error: there is no Envoy at none
    hint: --envoy PATH or CUTOVER_ENVOY names its binary
    "#);
    fs::write(stage.path("envoy"), "").unwrap();
    assert_run!(stage.run(&["verify", "--envoy", "envoy", "--wasm", "envoy"]), @r#"
    exit code: 2
    --- stderr
    error: envoy is not a WebAssembly module
    hint: scripts/build makes target/cutover.wasm
    "#);
    assert_run!(stage.run(&["verify", "--window", "0s"]), @r#"
    exit code: 2
    --- stderr
    error: invalid value '0s' for '--window <TIME>': a time is a number with a unit, such as 500ms, 10s or 15m

    For more information, try '--help'.
    "#);
}

#[test]
fn a_report_is_drawn_where_it_was_asked_for() {
    let stage = stage(&good());
    for file in ["history.jsonl", "certificate.json"] {
        let ran = stage.run(&["check", file, "--report", "pictures/new"]);
        assert_eq!(ran.code, Some(0));
        let told = "verdict: holds\nreport: pictures/new/report.html\n\
                    next: open pictures/new/report.html in a browser\n";
        assert!(ran.stdout.ends_with(told), "{}", ran.stdout);
        let page = stage.read("pictures/new/report.html");
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        fs::remove_dir_all(stage.path("pictures")).unwrap();
    }
    let asked = ["check", "history.jsonl", "--report", ".", "-o", "json"];
    assert_eq!(stage.run(&asked).json()["report_file"], "./report.html");
}

#[test]
fn what_cannot_be_drawn_is_said_and_leaves_no_page() {
    let stage = stage(&good());
    stage.write("file", "");
    assert_run!(stage.run(&["check", "history.jsonl", "--report", "file"]), @r"
    exit code: 3
    --- stderr
    error: file cannot be written: File exists (os error 17)
    hint: --report DIR names another folder
    ");
    stage.write("module.wasm", "\0asm\u{1}\0\0\0");
    let verify = [
        "verify",
        "--envoy",
        "file",
        "--wasm",
        "module.wasm",
        "--report",
        "file",
    ];
    assert_run!(stage.run(&verify), @r"
    exit code: 3
    --- stderr
    error: file cannot be written: File exists (os error 17)
    hint: --report DIR names another folder
    ");
    let certificate = stage.read("certificate.json");
    let other = certificate.replace("\"stale\": 0", "\"stale\": 1");
    stage.write("certificate.json", &other);
    let refused = stage.run(&["check", "certificate.json", "--report", "pictures"]);
    assert_eq!(refused.code, Some(1));
    assert!(!stage.path("pictures").exists());
}
