//! Measures what a history of 10 million requests and 1,000 flips costs to write, read and judge.
//!
//! `cargo run --release -p cutover-checker --example ten_million -- FILE [REQUESTS]`

#![expect(clippy::print_stdout, reason = "the measurements are the output")]

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::time::Instant;

use cutover_checker::{Certificate, judge};
use cutover_history::{
    Color, Decision, Header, Kind, Operation, Outcome, Proxy, Push, PushKind, Reader, Request,
    Scope, Versions, Writer,
};

/// From one request to the next, ns.
const STEP: u64 = 100_000;
const FLIPS: u64 = 1_000;
const BASE: u64 = 1_763_722_800_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("FILE is missing")?;
    let requests: u64 = arguments
        .next()
        .map_or(Ok(10_000_000), |count| count.parse())?;

    let began = Instant::now();
    let mut writer = Writer::new(File::create(&path)?, header())?;
    generate(requests, |operation| writer.write(&operation))?;
    let (contents, _) = writer.finish()?;
    println!(
        "write {:?}, {} bytes",
        began.elapsed(),
        std::fs::metadata(&path)?.len()
    );

    let began = Instant::now();
    let mut reader = Reader::new(BufReader::with_capacity(1 << 18, File::open(&path)?))?;
    let operations = reader
        .by_ref()
        .try_fold(0_u64, |count, operation| operation.map(|_| count + 1))?;
    println!("read {:?}, {operations} operations", began.elapsed());
    if reader.contents().as_ref() != Some(&contents) {
        return Err("what was read is not what was written".into());
    }

    let began = Instant::now();
    let mut reader = Reader::new(BufReader::with_capacity(1 << 18, File::open(&path)?))?;
    let judgement = judge(&reader.header().clone(), &mut reader)?;
    println!("read and judge {:?}", began.elapsed());
    println!("{}", judgement.verdict);

    let reader = Reader::new(BufReader::with_capacity(1 << 18, File::open(&path)?))?;
    let began = Instant::now();
    let certificate = Certificate::of("history.jsonl", reader)?;
    println!(
        "certify {:?}, {} bytes",
        began.elapsed(),
        serde_json::to_vec(&certificate)?.len()
    );
    Ok(())
}

fn header() -> Header {
    Header {
        cutover_history: 1,
        seed: 1,
        started_at: "2025-11-21T10:00:00Z".to_owned(),
        versions: Versions {
            cutover: "0.1.0".to_owned(),
            envoy: "1.40.0".to_owned(),
        },
        module_sha256: "00".repeat(32),
        service: "shop".to_owned(),
        scope: Scope::Proxy,
        window_ns: 2_000_000,
        flips: None,
        inferred: Vec::new(),
        proxies: vec![Proxy {
            name: "envoy-0".to_owned(),
            workers: 4,
            listeners: 2,
        }],
        command: "ten_million".to_owned(),
    }
}

/// Requests that are answered in the order of their ends, and flips between them.
fn generate(
    requests: u64,
    mut write: impl FnMut(Operation) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let color = |flips: u64| {
        if flips.is_multiple_of(2) {
            Color::Blue
        } else {
            Color::Green
        }
    };
    let every = (requests / (FLIPS + 1)).max(1);
    let push = |flip: u64, kind, invoked| {
        Operation::Push(Push {
            flip: u32::try_from(flip).ok(),
            kind,
            proxy: 0,
            generation: BASE + flip,
            color: color(flip),
            invoked,
            acknowledged: Some(invoked + 900_000),
        })
    };
    write(push(0, PushKind::Install, 0))?;
    let mut state = 1_u64;
    for index in 0..requests {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let start = 2_000_000_000 + index * STEP;
        let flip = (index / every).min(FLIPS);
        if index % every == 0 && (1..=FLIPS).contains(&(index / every)) {
            write(push(flip, PushKind::Flip, start - STEP / 2))?;
        }
        let decision = Decision {
            generation: BASE + flip,
            color: color(flip),
            overridden: false,
        };
        write(Operation::Request(Request {
            client: u32::try_from(state >> 56).unwrap_or_default(),
            proxy: 0,
            kind: if state >> 63 == 0 { Kind::H1 } else { Kind::H2 },
            intended: start - 1_000,
            start,
            end: start + 200_000 + (state >> 45),
            outcome: Outcome::Answered {
                served: decision.color,
                decision: Some(decision),
            },
            contrary: Vec::new(),
        }))?;
    }
    Ok(())
}
