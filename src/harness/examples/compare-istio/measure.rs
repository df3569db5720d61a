//! Flips in one way, under load, judged.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cutover_checker::{Certificate, Verdict};
use cutover_harness::{Answers, Fleet, FleetError, FleetPlan, NotedFlip};
use cutover_history::{Color, Reader};
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::way::Way;

/// How long every proxy has to have answered with nothing but one color before the next flip.
const REST: Duration = Duration::from_secs(1);
/// How long a fleet may take to get there.
const DEADLINE: Duration = Duration::from_mins(1);
/// How long clients with kept connections are watched that may never move.
const WATCHED: Duration = Duration::from_secs(3);

/// What is measured.
pub(crate) struct Measure {
    pub(crate) way: Way,
    pub(crate) bed: Bed,
    pub(crate) proxies: usize,
    pub(crate) flips: u32,
    /// Requests a second to each proxy.
    pub(crate) per_second: f64,
    /// Where histories and figures go.
    pub(crate) out: PathBuf,
}

impl Measure {
    pub(crate) async fn make(&self) -> Result<(), Box<dyn Error>> {
        std::fs::create_dir_all(&self.out)?;
        self.way.prepare(&self.bed).await?;
        let mut runs = Vec::new();
        if self.way.one_flip_a_load() {
            for number in 0..self.flips {
                // Each begins where clients and Service are at blue.
                self.way.switch(&self.bed, 1, Color::Blue).await?;
                runs.push(self.run(number, 1).await?);
            }
        } else {
            runs.push(self.run(0, self.flips).await?);
        }
        let result = json!({
            "way": self.way.name(),
            "proxies": self.proxies,
            "per_second": self.per_second,
            "runs": runs,
        });
        std::fs::write(self.file("json"), format!("{result:#}\n"))?;
        Ok(())
    }

    fn file(&self, ending: &str) -> PathBuf {
        let name = format!("{}-{}.{ending}", self.way.name(), self.proxies);
        self.out.join(name)
    }

    /// One load with its flips: what the checker says of it.
    async fn run(&self, number: u32, flips: u32) -> Result<Value, Box<dyn Error>> {
        let history = self.file(&format!("{number}.history.jsonl"));
        let mut fleet = self.load(&history, flips).await?;
        let mut patches = Vec::new();
        let mut active = self.begin(&fleet).await?;
        let mut generation = fleet
            .shows()
            .iter()
            .filter_map(|shows| shows.generation)
            .max();
        for flip in 0..flips {
            let color = other(active);
            // Without generations any will do that grows.
            let next = generation.unwrap_or(1) + 1;
            let switched = self.way.switch(&self.bed, next, color).await?;
            let (invoked, acknowledged) = (switched.invoked, None);
            patches.push(u64::try_from(switched.took.as_nanos())?);
            fleet
                .note(NotedFlip {
                    generation: next,
                    color,
                    invoked,
                    acknowledged,
                })
                .await;
            if self.way.one_flip_a_load() {
                tokio::time::sleep(WATCHED).await;
            } else {
                fleet.settled(color, REST, DEADLINE).await?;
            }
            (active, generation) = (color, Some(next));
            let (way, proxies, of) = (self.way.name(), self.proxies, self.flips);
            eprintln!(
                "{way}, {proxies} proxies: flip {} of {of}",
                number + flip + 1
            );
        }
        let summary = fleet.finish().await?;
        let reader = Reader::new(BufReader::new(File::open(&summary.history)?))?;
        let certificate = Certificate::of("history.jsonl", reader)?;
        let verdict = match &certificate.verdict {
            Verdict::Holds => "holds",
            Verdict::Violated(_) => "violated",
            Verdict::Inconclusive(_) => "inconclusive",
        };
        let total = certificate.figures.total();
        Ok(json!({
            "verdict": verdict,
            "requests": total.answered + total.failed + total.timed_out,
            "failed": total.failed + total.timed_out,
            "patch_ns": patches,
            "flips": certificate.figures.flips,
        }))
    }

    /// Starts the load, once every proxy answers as it will have to.
    async fn load(&self, history: &std::path::Path, flips: u32) -> Result<Fleet, Box<dyn Error>> {
        let places = self.way.places(&self.bed, self.proxies).await?;
        let mut plan = FleetPlan::new(places, history);
        plan.command = std::env::args().collect::<Vec<_>>().join(" ");
        "shop".clone_into(&mut plan.service);
        plan.flips = Some(flips);
        plan.answers = self.way.answers();
        plan.per_second = self.per_second;
        plan.patience = DEADLINE;
        let start = Instant::now();
        loop {
            match Fleet::start(plan.clone()).await {
                // The last patch of the measurement before may still be on its way.
                Err(FleetError::Torn(..)) if start.elapsed() < DEADLINE => {}
                started => return Ok(started?),
            }
        }
    }

    /// Waits until the fleet is at blue and stays there.
    async fn begin(&self, fleet: &Fleet) -> Result<Color, Box<dyn Error>> {
        let active = Color::Blue;
        fleet.settled(active, REST, DEADLINE).await?;
        if self.way.answers() == Answers::Decisions {
            fleet.shown_by_all(1, DEADLINE).await?;
        }
        Ok(active)
    }
}

fn other(color: Color) -> Color {
    match color {
        Color::Blue => Color::Green,
        Color::Green => Color::Blue,
    }
}
