//! Measures ways to switch on a test bed, and writes them into a page: see `scripts/compare-istio`.
//!
//! Each way is one command, `kubectl patch`, so that none is favored; it counts from its start. Every
//! history goes to the checker, and every number of the table comes from its certificate.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of a script: it tells whoever called that how far it is"
)]

mod bed;
#[path = "../istio/bed.rs"]
mod istio;
mod measure;
mod table;
mod way;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bed::Bed;
use measure::Measure;
use way::Way;

const USAGE: &str =
    "usage: compare-istio measure WAY --bed DIR --module PATH --proxies N --flips N --rate N --out DIR
       compare-istio table DIR PAGE
WAY is service, virtual-service or plugin";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare-istio: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["table", results, page] => table::write(Path::new(results), Path::new(page)),
        [
            "measure",
            way,
            "--bed",
            bed,
            "--module",
            module,
            "--proxies",
            proxies,
            "--flips",
            flips,
            "--rate",
            rate,
            "--out",
            out,
        ] => {
            let measure = Measure {
                way: Way::named(way).ok_or(USAGE)?,
                bed: Bed::read(Path::new(bed), Path::new(module))?,
                proxies: proxies.parse()?,
                flips: flips.parse()?,
                per_second: rate.parse()?,
                out: PathBuf::from(out),
            };
            measure.make().await
        }
        _ => Err(USAGE.into()),
    }
}
