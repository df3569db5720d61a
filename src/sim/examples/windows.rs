//! Writes the table of docs/simulator.md: how long a fleet is mixed, by its size, and what the largest one took.
//! `windows [MODULE [LARGEST]]`.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use cutover_checker::Verdict;
use cutover_sim::{Module, Outturn, Trial, Way};

const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];
const FROM: &str = "<!-- windows -->\n";
const UNTIL: &str = "<!-- end of windows -->";

fn main() -> Result<(), Box<dyn Error>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut arguments = std::env::args_os().skip(1);
    let module = arguments
        .next()
        .map_or(top.join("target/cutover.wasm"), Into::into);
    let largest = arguments
        .next()
        .and_then(|size| size.to_str()?.parse().ok());
    let module = Module::new(&fs::read(module)?)?;
    let mut table = "| proxies | plain | scheduled | held | longest wait, held | verdict, held |\n| --- | --- | --- | --- | --- | --- |\n".to_owned();
    let sizes = SIZES
        .into_iter()
        .filter(|size| largest.is_none_or(|largest| *size <= largest));
    let mut took = String::new();
    for proxies in sizes {
        let began = Instant::now();
        let each = u64::try_from(proxies)?;
        let trial = Trial {
            proxies,
            requests: each * 100,
            ..Trial::default()
        };
        let [plain, scheduled, held] = [Way::Plain, Way::Scheduled, Way::Held];
        let flipped = |way| trial.run(&module, way, "windows", None);
        let plain = mixed(&flipped(plain)?);
        let scheduled = mixed(&flipped(scheduled)?);
        let held = flipped(held)?;
        let verdict = match &held.judgement.verdict {
            Verdict::Holds => "holds",
            Verdict::Violated(_) => "violated",
            Verdict::Inconclusive(_) => "inconclusive",
        };
        writeln!(
            table,
            "| {proxies} | {plain} | {scheduled} | {} | {} | {verdict} |",
            mixed(&held),
            milliseconds(held.longest_wait)
        )?;
        let seconds = began.elapsed().as_secs();
        let megabytes = most_memory().ok_or("the system does not tell the memory")?;
        took = format!(
            "The last line, three flips of {proxies} proxies, took {seconds} s, and {megabytes} MB of memory at the most."
        );
    }
    let page = top.join("docs/simulator.md");
    let text = fs::read_to_string(&page)?;
    let (head, rest) = text.split_once(FROM).ok_or("the page has no table")?;
    let (_, tail) = rest.split_once(UNTIL).ok_or("the table has no end")?;
    fs::write(
        page,
        format!("{head}{FROM}\n{table}\n{took}\n\n{UNTIL}{tail}"),
    )?;
    Ok(())
}

/// The mixed window that is certain.
fn mixed(outturn: &Outturn) -> String {
    outturn
        .mixed_ns()
        .map_or_else(|| "-".to_owned(), milliseconds)
}

/// The most memory that this process has had, MB.
fn most_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes / 1_000)
}

fn milliseconds(ns: u64) -> String {
    match ns {
        0 => "0".to_owned(),
        _ => format!("{}.{:03} ms", ns / 1_000_000, ns / 1_000 % 1_000),
    }
}
