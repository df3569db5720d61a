//! Measures flips of a fleet, plain, scheduled and held, writes them into pages, and draws them: see
//! `scripts/compare-fleet`.
//!
//! Each flip is made by the tool, as its users make it. Every history goes to the checker, and every number of the tables
//! comes from its certificate or from the access logs of the Envoys.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of a script: it tells whoever called that how far it is"
)]

mod bed;
#[path = "../istio/bed.rs"]
mod istio;
mod measure;
mod picture;
mod table;
mod tool;
mod way;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bed::{Bed, Local};
use measure::Measure;
use tool::Tool;
use way::Way;

const USAGE: &str =
    "usage: compare-fleet measure WAY --on BED --out DIR [--proxies N] [--flips N] [--rate N]
       compare-fleet tables DIR PAGE…
       compare-fleet picture DIR FILE
WAY is plain, at or held. BED is local, or the folder of a bed of scripts/istio-up.
CUTOVER_TOOL, CUTOVER_MODULE, CUTOVER_ENVOY and CUTOVER_CLOCK_LIBRARY name what is run";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare-fleet: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["tables", results, pages @ ..] => {
            let pages: Vec<_> = pages.iter().map(Path::new).collect();
            table::write(Path::new(results), &pages)
        }
        ["picture", results, file] => picture::write(Path::new(results), Path::new(file)),
        ["measure", way, options @ ..] => {
            let way = Way::named(way).ok_or(USAGE)?;
            let of = |name: &str| {
                let mut pairs = options.chunks_exact(2);
                pairs.find_map(|pair| match pair {
                    [key, value] if *key == name => Some(*value),
                    _ => None,
                })
            };
            let proxies = of("--proxies").unwrap_or("20").parse()?;
            let out = PathBuf::from(of("--out").ok_or(USAGE)?);
            std::fs::create_dir_all(&out)?;
            let bed = match of("--on").ok_or(USAGE)? {
                "local" => Bed::Local(Box::new(Local::start(proxies).await?)),
                folder => Bed::istio(Path::new(folder), proxies).await?,
            };
            let measure = Measure {
                tool: Tool::for_bed(&bed)?,
                way,
                bed,
                flips: of("--flips").unwrap_or("10").parse()?,
                per_second: of("--rate").unwrap_or("50").parse()?,
                out,
            };
            measure.make().await
        }
        _ => Err(USAGE.into()),
    }
}

/// A file that the environment names.
fn named_by(variable: &str) -> Result<PathBuf, Box<dyn Error>> {
    let path = std::env::var_os(variable).ok_or_else(|| format!("{variable} is not set"))?;
    let path = PathBuf::from(path);
    path.canonicalize()
        .map_err(|error| format!("{variable}: {}: {error}", path.display()).into())
}
