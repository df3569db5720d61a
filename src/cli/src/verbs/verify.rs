//! `cutover verify`: a whole run against real Envoys, and a certificate of what it showed.

mod bar;
mod fleet;

use super::check::as_json;
use crate::{
    args::duration,
    envoy,
    failure::Failure,
    module::module,
    output::{Events, Report},
    picture, proof,
};
use bar::{Bar, stop_on_signal};
use clap::{Args, ValueEnum};
use cutover_checker::Certificate;
use cutover_harness::{Plan, RunError, Summary};
use cutover_history::{Reader, Scope};
use cutover_report::Judged;
use serde_json::json;
use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs::{self, File},
    hash::{BuildHasher as _, RandomState},
    io::BufReader,
    path::{Path, PathBuf},
    time::Duration,
};

const EXAMPLE: &str = "\
Example:
  cutover verify
  cutover verify --flips 100 --proxies 1 --workers 4 --no-weather --out run
  cutover verify --seed 7 --rate 3000
  cutover verify --wasm target/cutover.wasm --envoy /usr/local/bin/envoy -o json
  cutover verify --url http://10.0.0.7:8080 --url http://10.0.0.8:8080 --yes

It starts Envoys and two applications on loopback, makes load of six kinds, flips back and forth, \
and brings weather between the flips: stale, conflicting, torn and bad configurations, Envoys \
killed, paused and starved. With --url it starts nothing: it asks proxies that are there already, \
and flips the target back and forth; one order of generations is claimed over all of them. The history and the certificate can be judged again with `cutover \
check`. Ctrl-C ends a run in order, and what there is by then is judged; the verdict is \
inconclusive then.

Exit codes: 0 holds, 1 violated, 2 bad use, 3 inconclusive, interrupted, or no Envoy";

/// Prove the filter: start Envoys, load and weather, flip under load, judge the history
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Verify {
    /// Envoys to start
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    proxies: u32,
    /// Worker threads of each Envoy
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=128))]
    workers: u32,
    /// Listeners of each Envoy
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    listeners: u32,
    /// Flips, alternately to green and to blue
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    flips: u32,
    /// Mean time between two flips; with --url at least three windows
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pause: Duration,
    /// Requests a second in all [default: 1000, half of them HTTP/1.1, half HTTP/2, and a few streams
    /// of each kind besides; with --url 200 to each, and nothing else]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// Makes every random choice of a run again; one is drawn and shown if none is given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// No weather between the flips
    #[arg(long)]
    no_weather: bool,
    /// Whether one order of generations is claimed for each Envoy by itself, or for all together, as
    /// always with --url
    #[arg(long, value_enum, default_value_t = ScopeArg::Proxy)]
    scope: ScopeArg,
    /// The largest mixed window that the run claims it would have seen
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = duration)]
    window: Duration,
    /// How long an Envoy may take to show a flip
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    deadline: Duration,
    /// The module to judge, instead of the one that this tool carries
    #[arg(long, value_name = "PATH")]
    wasm: Option<PathBuf>,
    /// The Envoy to start; else the one on PATH, else that of scripts/get-envoy in `.tools` of the
    /// checkout
    #[arg(long, value_name = "PATH", env = "CUTOVER_ENVOY")]
    envoy: Option<PathBuf>,
    /// Where history.jsonl and certificate.json go; older ones there are replaced
    #[arg(long, value_name = "DIR", default_value = "cutover-verify")]
    out: PathBuf,
    /// Draw the run: one page, report.html, in this folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    #[command(flatten)]
    fleet: fleet::OfFleet,
}

/// Over what one order of generations is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ScopeArg {
    Proxy,
    Fleet,
}

impl Verify {
    pub(crate) async fn run(self, events: &Events) -> Result<Report, Failure> {
        if self.fleet.is_there() {
            return fleet::run(&self, events).await;
        }
        let envoy = envoy::find(self.envoy.as_deref())?;
        let module = module(self.wasm.as_deref())?;
        let seed = self
            .seed
            .unwrap_or_else(|| RandomState::new().hash_one(()) % 1_000_000);
        self.folders()?;
        let folder = tempfile::tempdir().map_err(|error| cannot(&env::temp_dir(), &error))?;
        let file = folder.path().join("cutover.wasm");
        fs::write(&file, &module).map_err(|error| cannot(&file, &error))?;
        let history = self.out.join("history.jsonl");
        let plan = self.plan(envoy, file, &history, seed);

        events.emit("started", json!({ "seed": seed, "flips": self.flips }), "");
        let bar = Bar::new(self.flips, format!("seed {seed}"), events);
        let signals = tokio::spawn(stop_on_signal(plan.stop.clone(), bar.shown.clone()));
        let outcome = cutover_harness::run(&plan, &bar).await;
        signals.abort();
        bar.shown.finish_and_clear();
        let summary = outcome.map_err(failed)?;
        for trouble in &summary.troubles {
            let details = json!({ "trouble": trouble });
            events.emit("trouble", details, &format!("note: {trouble}"));
        }
        let judged = certify(&history)?;
        let (path, page) = self.keep(&judged, &history)?;
        Ok(self.report(&judged.certificate, &summary, &path, page.as_deref(), seed))
    }

    /// Makes the folders, before any work is done that would be lost without them.
    fn folders(&self) -> Result<(), Failure> {
        fs::create_dir_all(&self.out).map_err(|error| cannot(&self.out, &error))?;
        match &self.report {
            Some(report) => picture::folder(report),
            None => Ok(()),
        }
    }

    /// Writes the certificate and draws the picture that was asked for; gives their paths.
    fn keep(&self, judged: &Judged, history: &Path) -> Result<(PathBuf, Option<PathBuf>), Failure> {
        let path = self.out.join("certificate.json");
        fs::write(&path, format!("{:#}\n", as_json(&judged.certificate)))
            .map_err(|error| cannot(&path, &error))?;
        let draw = |folder: &PathBuf| picture::draw(judged, history, folder);
        Ok((path, self.report.as_ref().map(draw).transpose()?))
    }

    fn plan(&self, envoy: PathBuf, module: PathBuf, history: &Path, seed: u64) -> Plan {
        let mut plan = Plan::new(envoy, module, history, seed);
        plan.command = command(self.seed.is_none().then_some(seed));
        plan.proxies = self.proxies;
        plan.workers = self.workers;
        plan.listeners = self.listeners;
        plan.flips = self.flips;
        plan.pause = self.pause;
        plan.weather = !self.no_weather;
        plan.window = self.window;
        plan.deadline = self.deadline;
        plan.scope = match self.scope {
            ScopeArg::Proxy => Scope::Proxy,
            ScopeArg::Fleet => Scope::Fleet,
        };
        let per_second = self.rate.unwrap_or(1000);
        for rate in [&mut plan.load.h1, &mut plan.load.h2] {
            rate.per_second = f64::from(per_second) / 2.0;
            // A client of HTTP/1.1 has one request in flight: enough of them for the rate.
            rate.clients = rate.clients.max(per_second / 100);
        }
        plan
    }

    fn report(
        &self,
        certificate: &Certificate,
        summary: &Summary,
        path: &Path,
        page: Option<&Path>,
        seed: u64,
    ) -> Report {
        let exit = proof::exit(&certificate.verdict);
        let mut text = proof::in_words(certificate);
        let memory = memory(summary);
        // A few flips say nothing of memory.
        for (proxy, [start, end]) in memory.iter().filter(|_| self.flips >= 100) {
            let grown = i128::from(*end) - i128::from(*start);
            let _ = write!(
                text,
                "\nmemory of envoy-{proxy}: {} MB at first, {} MB at last, {} bytes a flip",
                start / 1_000_000,
                end / 1_000_000,
                grown / i128::from(self.flips.max(1)),
            );
        }
        let _ = write!(
            text,
            "\ncertificate: {}   history: {}   seed: {seed}",
            path.display(),
            summary.history.display(),
        );
        let mut json = as_json(certificate);
        if let Some(page) = page {
            let _ = write!(text, "\nreport: {}", page.display());
        }
        if let Some(object) = json.as_object_mut() {
            if let Some(page) = page {
                object.insert("report_file".to_owned(), page.display().to_string().into());
            }
            object.insert(
                "certificate_file".to_owned(),
                path.display().to_string().into(),
            );
            object.insert(
                "history_file".to_owned(),
                summary.history.display().to_string().into(),
            );
            let memory: Vec<_> = memory
                .iter()
                .map(|(proxy, [start, end])| {
                    json!({ "proxy": proxy, "start_bytes": start, "end_bytes": end })
                })
                .collect();
            object.insert("memory".to_owned(), memory.into());
            object.insert(
                "lasted_ms".to_owned(),
                json!(u64::try_from(summary.lasted.as_millis()).unwrap_or(u64::MAX)),
            );
            object.insert("interrupted".to_owned(), summary.interrupted.into());
            object.insert("troubles".to_owned(), summary.troubles.clone().into());
        }
        Report::new(exit, text, json).next(proof::next(&certificate.verdict, path, page))
    }
}

fn cannot(what: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::environment(format!("{} cannot be written: {error}", what.display()))
        .hint("--out DIR names another folder")
}

/// Resident memory of each Envoy in bytes, when its first flip had come and at the end.
fn memory(summary: &Summary) -> BTreeMap<u32, [u64; 2]> {
    let mut memory = BTreeMap::new();
    for sample in summary.memory.iter().filter(|sample| sample.flips > 0) {
        let [_, end] = memory.entry(sample.proxy).or_insert([sample.bytes; 2]);
        *end = sample.bytes;
    }
    memory
}

/// Reads the history back from disk, as anyone else would.
fn certify(history: &Path) -> Result<Judged, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::environment(format!("{} cannot be judged: {error}", history.display()))
            .hint("is there space left on its disk? --out DIR names another folder")
    };
    let file = File::open(history).map_err(|error| unreadable(&error))?;
    let name = history
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Reader::new(BufReader::with_capacity(1 << 20, file))
        .and_then(|reader| Judged::of(&name, reader))
        .map_err(|error| unreadable(&error))
}

fn failed(error: RunError) -> Failure {
    match error {
        RunError::Nothing(_) => Failure::usage(error.to_string()),
        error => Failure::environment(error.to_string())
            .hint("is this an Envoy with Wasm, and are ports and memory left on this machine?"),
    }
}

/// The command that makes this run again.
fn command(drawn_seed: Option<u64>) -> String {
    let mut command = vec!["cutover".to_owned()];
    command.extend(env::args().skip(1));
    if let Some(seed) = drawn_seed {
        command.extend(["--seed".to_owned(), seed.to_string()]);
    }
    command.join(" ")
}
