//! Flips in one way, under load, judged.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::time::Duration;

use cutover_checker::{Certificate, Verdict};
use cutover_harness::{Fleet, FleetPlan, NotedFlip, Waited, Waits};
use cutover_history::{Color, Reader};
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::tool::Tool;
use crate::way::{HOLD, Way};

/// How long every proxy has to have answered with nothing but one color before the next flip.
const REST: Duration = Duration::from_secs(1);
/// How long a fleet may take to get there.
const DEADLINE: Duration = Duration::from_mins(1);

/// What is measured.
pub(crate) struct Measure {
    pub(crate) way: Way,
    pub(crate) bed: Bed,
    pub(crate) tool: Tool,
    pub(crate) flips: u32,
    /// Requests a second to each proxy.
    pub(crate) per_second: f64,
    /// Where histories and figures go.
    pub(crate) out: PathBuf,
}

impl Measure {
    pub(crate) async fn make(&self) -> Result<(), Box<dyn Error>> {
        let (way, on) = (self.way.name(), self.bed.name());
        let history = self.out.join(format!("{on}-{way}.history.jsonl"));
        self.tool.begin().await?;
        let mut fleet = Fleet::start(self.load(&history)?).await?;
        let mut active = Color::Blue;
        fleet.settled(active, REST, DEADLINE).await?;
        let mut at = Vec::new();
        for flip in 1..=self.flips {
            active = other(active);
            let flipped = self.tool.flip(active, self.way).await?;
            at.extend(flipped.at);
            let noted = NotedFlip {
                generation: flipped.generation,
                color: active,
                invoked: flipped.invoked,
                acknowledged: Some(flipped.acknowledged),
            };
            fleet.note(noted).await;
            fleet.settled(active, REST, DEADLINE).await?;
            eprintln!("{on}, {way}: flip {flip} of {}", self.flips);
        }
        let summary = fleet.finish().await?;
        let reader = Reader::new(BufReader::new(File::open(&summary.history)?))?;
        let certificate = Certificate::of("history.jsonl", reader)?;
        let (verdict, why) = match &certificate.verdict {
            Verdict::Holds => ("holds", None),
            Verdict::Violated(_) => ("violated", None),
            Verdict::Inconclusive(why) => {
                eprintln!("{on}, {way}: {}", certificate.verdict);
                ("inconclusive", Some(why.join("; ")))
            }
        };
        let total = certificate.figures.total();
        let waits = self.bed.waits()?.map(|waits| in_words(&waits, &at));
        let result = json!({
            "way": way,
            "on": self.bed.title(),
            "proxies": self.bed.proxies(),
            "per_second": self.per_second,
            "verdict": verdict,
            "why": why,
            "requests": total.answered + total.failed + total.timed_out,
            "failed": total.failed + total.timed_out,
            "at_ms": at,
            "waits": waits,
            "flips": certificate.figures.flips,
        });
        let figures = self.out.join(format!("{on}-{way}.json"));
        std::fs::write(figures, format!("{result:#}\n"))?;
        Ok(())
    }

    fn load(&self, history: &std::path::Path) -> Result<FleetPlan, Box<dyn Error>> {
        let mut plan = FleetPlan::new(self.bed.places()?, history);
        plan.command = std::env::args().collect::<Vec<_>>().join(" ");
        plan.flips = Some(self.flips);
        plan.per_second = self.per_second;
        // Many in flight on each connection: no request waits for the one before.
        plan.http2 = true;
        plan.clients = 2;
        plan.timeout = Duration::from_secs(10);
        plan.patience = DEADLINE;
        // A push stops a machine with thirty proxies for a while.
        plan.window = Duration::from_millis(400);
        Ok(plan)
    }
}

/// How long requests waited in the proxies: those that came while requests were held, and all others.
fn in_words(waits: &Waits, at: &[u64]) -> Value {
    let half = i64::try_from(HOLD.as_micros()).unwrap_or(i64::MAX);
    let is_held = |waited: &Waited| {
        // A clock that is ahead opens the window sooner: it is the Envoy's own that counts, in which it wrote this down.
        let from = |at: &u64| i64::try_from(*at).unwrap_or(i64::MAX).saturating_mul(1_000);
        at.iter().any(|at| (waited.came_us - from(at)).abs() < half)
    };
    let (held, others) = (waits.of(is_held), waits.of(|waited| !is_held(waited)));
    json!({
        "held": held.count(),
        "held_longest_us": held.longest_us(),
        "held_p50_us": held.quantile_us(500),
        "others": others.count(),
        "others_longest_us": others.longest_us(),
        "others_p999_us": others.quantile_us(999),
        "others_p50_us": others.quantile_us(500),
    })
}

fn other(color: Color) -> Color {
    match color {
        Color::Blue => Color::Green,
        Color::Green => Color::Blue,
    }
}
