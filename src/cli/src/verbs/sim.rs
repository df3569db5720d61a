//! `cutover sim`: a fleet of thousands in virtual time, and a search for what could go wrong in one.

mod search;

use super::check::as_json;
use crate::{
    args::duration,
    failure::{Exit, Failure},
    module::module,
    output::{Events, Report},
    picture, proof,
    table::table,
};
use clap::Args;
use cutover_history::Reader;
use cutover_report::Judged;
use cutover_sim::{Delay, Module, Outturn, RunError, Trial, Way};
use serde_json::{Value, json};
use std::{
    env,
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

const EXAMPLE: &str = "\
Example:
  cutover sim
  cutover sim --proxies 100000 --seed 7
  cutover sim --proxies 500 --delay uniform:0ms..1s --hold 10ms --clocks 5ms
  cutover sim --proxies 100 --report pictures
  cutover sim --search 1000

It runs the real module in a host of its own, as many proxies with several workers, in virtual time: the same seed gives the \
same run, byte for byte. The fleet is flipped three times under the same load, with the same clocks and pushes: by a plain push, by one \
that activates at an instant, and with requests held around that instant. The checker that judges real runs judges these.

With --search it draws small fleets and whatever goes wrong in them, one for each seed, and looks for one that is violated though \
it is within the assumptions of the guarantee. Such a one is made as small as it gets, and told.

Exit codes: 0 the held flip holds, or no schedule failed, 1 violated, 2 bad use, 3 inconclusive";

/// Flip a fleet of thousands in virtual time: plain, at one instant, and held
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Sim {
    /// Proxies, at most 100000
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    proxies: u32,
    /// Worker threads of each proxy
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=32))]
    workers: u8,
    /// Requests in all [default: 100 to each proxy]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    requests: Option<u64>,
    /// Makes every random choice
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// How far clocks are off at most
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = duration)]
    clocks: Duration,
    /// How long a push takes to a proxy: istiod, constant:TIME, uniform:TIME..TIME or lognormal:MEDIAN,SPREAD%
    #[arg(long, value_name = "HOW", default_value = "istiod")]
    delay: Delay,
    /// From the push to the instant
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    at: Duration,
    /// For how long requests are held before and after the instant, in whole milliseconds
    #[arg(long, value_name = "TIME", default_value = "20ms", value_parser = duration)]
    hold: Duration,
    /// The module to run, instead of the one that this tool carries
    #[arg(long, alias = "module", value_name = "PATH")]
    wasm: Option<PathBuf>,
    /// Keep the histories and draw them: a folder for each way in this folder
    #[arg(long, value_name = "DIR", conflicts_with = "search")]
    report: Option<PathBuf>,
    /// Look for a schedule that is violated: how many to try
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    search: Option<u64>,
    /// The seed of the first schedule of a search
    #[arg(long, value_name = "SEED", default_value_t = 0, requires = "search")]
    from: u64,
}

/// The ways, with their words.
const WAYS: [(Way, &str); 3] = [
    (Way::Plain, "plain"),
    (Way::Scheduled, "scheduled"),
    (Way::Held, "held"),
];

impl Sim {
    pub(crate) fn run(&self, events: &Events) -> Result<Report, Failure> {
        let wasm = module(self.wasm.as_deref())?;
        let compiled = Module::new(&wasm).map_err(|invalid| {
            Failure::usage(format!("the module cannot be simulated: {invalid}"))
                .hint("scripts/build makes target/cutover.wasm")
        })?;
        if let Some(count) = self.search {
            return search::run(&compiled, self.from, count, events);
        }
        let trial = self.trial()?;
        let mut rows = vec![];
        let mut ways = vec![];
        let mut exit = Exit::Environment;
        for (way, word) in WAYS {
            let outturn = self.flip(&compiled, &trial, way, word)?;
            exit = proof::exit(&outturn.judgement.verdict);
            let mut way = of_way(word, &outturn);
            if let Some(folder) = &self.report {
                let page = draw(&folder.join(word))?;
                put(&mut way, "report_file", page.display().to_string().into());
            }
            let row = row(word, &outturn);
            events.emit("flipped", way.clone(), "");
            rows.push(row);
            ways.push(way);
        }
        let text = self.text(&trial, rows);
        let json = json!({
            "seed": self.seed,
            "proxies": trial.proxies,
            "workers": self.workers,
            "requests": trial.each() * u64::from(self.proxies),
            "module_sha256": compiled.sha256(),
            "window_ns": trial.window(),
            "ways": ways,
        });
        let next = match &self.report {
            Some(folder) => format!(
                "open {} in a browser",
                folder.join("held/report.html").display()
            ),
            None => "`cutover sim --report DIR` keeps the histories and draws them".to_owned(),
        };
        Ok(Report::new(exit, text, json).next(next))
    }

    fn trial(&self) -> Result<Trial, Failure> {
        let whole = |time: Duration, what: &str, most: u64| {
            let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            let is_whole = Duration::from_millis(ms) == time && ms <= most;
            is_whole.then_some(ms).ok_or_else(|| {
                Failure::usage(format!("{what} is whole milliseconds, at most {most}ms"))
                    .hint("such as --hold 20ms --at 2s")
            })
        };
        let trial = Trial {
            proxies: usize::try_from(self.proxies).unwrap_or(usize::MAX),
            workers: self.workers,
            seed: self.seed,
            requests: self.requests.unwrap_or(u64::from(self.proxies) * 100),
            clock_error: u64::try_from(self.clocks.as_nanos()).unwrap_or(u64::MAX),
            delay: self.delay,
            lead_ms: whole(self.at, "--at", 3_600_000)?,
            hold_ms: whole(self.hold, "--hold", 1_000)?,
            ..Trial::default()
        };
        if trial.lead_ms < trial.hold_ms + trial.margin_ms {
            let least = trial.hold_ms + trial.margin_ms;
            return Err(Failure::usage(format!("--at leaves no time to stage the switch: {least}ms at least"))
                .hint("all must have staged it before requests are held, with half a second to take it back"));
        }
        Ok(trial)
    }

    fn flip(
        &self,
        module: &Module,
        trial: &Trial,
        way: Way,
        word: &str,
    ) -> Result<Outturn, Failure> {
        let folder = self.report.as_ref().map(|folder| folder.join(word));
        if let Some(folder) = &folder {
            picture::folder(folder)?;
        }
        let command: Vec<String> = env::args().collect();
        let history = folder.map(|folder| folder.join("history.jsonl"));
        trial
            .run(module, way, &command.join(" "), history.as_deref())
            .map_err(|error| failed(&error))
    }

    fn text(&self, trial: &Trial, rows: Vec<Vec<String>>) -> String {
        let head = [
            "FLIP",
            "MIXED WINDOW",
            "STALE",
            "HELD",
            "LONGEST WAIT",
            "FAILED",
            "VERDICT",
        ];
        let head = head.map(str::to_owned).to_vec();
        let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
        format!(
            "{} proxies with {} workers each, {} requests to each, clocks off by up to {:?}; seed {}\n\n{}",
            trial.proxies,
            self.workers,
            trial.each(),
            self.clocks,
            self.seed,
            table(&rows)
        )
    }
}

/// On as many threads as there are, for nothing but the time depends on it.
fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn failed(error: &RunError) -> Failure {
    Failure::environment(format!("the simulation came to no end: {error}"))
        .hint("is there space left where --report DIR lies?")
}

/// Judges the history that was written, and draws it.
fn draw(folder: &Path) -> Result<PathBuf, Failure> {
    let path = folder.join("history.jsonl");
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::environment(format!("{} cannot be judged: {error}", path.display()))
            .hint("is there space left on its disk? --report DIR names another folder")
    };
    let file = File::open(&path).map_err(|error| unreadable(&error))?;
    let judged = Reader::new(BufReader::with_capacity(1 << 20, file))
        .and_then(|reader| Judged::of("history.jsonl", reader))
        .map_err(|error| unreadable(&error))?;
    let certificate = folder.join("certificate.json");
    fs::write(
        &certificate,
        format!("{:#}\n", as_json(&judged.certificate)),
    )
    .map_err(|error| unreadable(&error))?;
    picture::draw(&judged, &path, folder)
}

fn stale(outturn: &Outturn) -> u64 {
    outturn
        .judgement
        .figures
        .flips
        .iter()
        .map(|flip| flip.stale)
        .sum()
}

fn verdict(outturn: &Outturn) -> String {
    use cutover_checker::Verdict;
    match &outturn.judgement.verdict {
        Verdict::Holds => "holds".to_owned(),
        Verdict::Violated(_) => "violated".to_owned(),
        Verdict::Inconclusive(reasons) => format!("inconclusive: {}", reasons.join("; ")),
    }
}

fn row(word: &str, outturn: &Outturn) -> Vec<String> {
    let ms = |ns: u64| format!("{}.{:03} ms", ns / 1_000_000, ns / 1_000 % 1_000);
    vec![
        word.to_owned(),
        outturn.mixed_ns().map_or_else(|| "-".to_owned(), ms),
        stale(outturn).to_string(),
        outturn.waited.to_string(),
        ms(outturn.longest_wait),
        outturn.failed.to_string(),
        verdict(outturn),
    ]
}

fn of_way(word: &str, outturn: &Outturn) -> Value {
    json!({
        "way": word,
        "mixed_ns": outturn.mixed_ns(),
        "stale": stale(outturn),
        "held": outturn.waited,
        "longest_wait_ns": outturn.longest_wait,
        "failed": outturn.failed,
        "late": outturn.late,
        "said": outturn.deeds.said,
        "verdict": outturn.judgement.verdict,
    })
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
}
