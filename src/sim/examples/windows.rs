//! Writes the table of docs/simulator.md: how long a fleet is mixed, by its size. `windows [MODULE [LARGEST]]`.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use cutover_checker::Verdict;
use cutover_sim::{Module, Outturn, Run, Trial, Way};

const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 50_000];
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
    for proxies in sizes {
        let each = u64::try_from(proxies)?;
        let trial = Trial {
            proxies,
            requests: each * 100,
            ..Trial::default()
        };
        let [plain, scheduled, held] = [Way::Plain, Way::Scheduled, Way::Held];
        let plain = mixed(&flipped(&module, &trial, plain)?);
        let scheduled = mixed(&flipped(&module, &trial, scheduled)?);
        let held = flipped(&module, &trial, held)?;
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
    }
    let page = top.join("docs/simulator.md");
    let text = fs::read_to_string(&page)?;
    let (head, rest) = text.split_once(FROM).ok_or("the page has no table")?;
    let (_, tail) = rest.split_once(UNTIL).ok_or("the table has no end")?;
    fs::write(page, format!("{head}{FROM}\n{table}\n{UNTIL}{tail}"))?;
    Ok(())
}

fn flipped(module: &Module, trial: &Trial, way: Way) -> Result<Outturn, Box<dyn Error>> {
    let plan = |proxy| trial.plan(proxy);
    let run = Run {
        module,
        proxies: trial.proxies,
        plan: &plan,
        flip: trial.flip(way),
        until: trial.times().until,
        window: trial.window(),
        seed: trial.seed,
        workers: trial.workers,
        command: "windows",
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        tell: false,
    };
    Ok(cutover_sim::run(&run, None)?)
}

/// The mixed window that is certain.
fn mixed(outturn: &Outturn) -> String {
    let flips = outturn.judgement.figures.flips.iter();
    let mixed = flips.filter_map(|flip| flip.mixed_ns).max();
    mixed.map_or_else(|| "-".to_owned(), milliseconds)
}

fn milliseconds(ns: u64) -> String {
    match ns {
        0 => "0".to_owned(),
        _ => format!("{}.{:03} ms", ns / 1_000_000, ns / 1_000 % 1_000),
    }
}
