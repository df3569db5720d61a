//! A proxy's switch clock, measured from here.

use super::{Admin, AdminError, any_of, percent_encoded};
use crate::clock::ClockLine;
use cutover_core::fleet::{Clock, Edges};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// How often a clock has to be seen to move, at the most; each time it may be told more narrowly.
const ENOUGH: u32 = 25;

/// An error that no further edge has to mend, in microseconds.
const GOOD: u64 = 500;

/// The same, where it was seen to move some times.
const SOME: u32 = 5;
const GOOD_AFTER_SOME: u64 = 2_000;

/// The pause between two looks. A proxy shows its clock every 20 ms, and it takes its main thread to answer.
const PAUSE: Duration = Duration::from_millis(1);

impl Admin {
    /// Measures the switch clocks of services that have this generation staged, until each was seen to move
    /// often enough or time is over. One that was not seen to move is absent.
    pub(crate) async fn clocks(
        &self,
        line: &ClockLine,
        services: &[String],
        generation: u64,
        until: Instant,
    ) -> Result<BTreeMap<String, Clock>, AdminError> {
        let plugin = any_of(self.names.iter().map(|names| names.plugin.as_str()));
        let service = any_of(services.iter().map(String::as_str));
        let regex =
            format!(r"^wasmcustom\.cutover\.plugin\.{plugin}\.service\.{service}\.(clock|staged)$");
        let path = format!("/stats?filter={}", percent_encoded(&regex));
        let mut seen: BTreeMap<String, Edges> = BTreeMap::new();
        let is_enough = |edges: &Edges| {
            let is_within = |error| edges.clock().is_some_and(|clock| clock.error <= error);
            match edges.count() {
                0 | 1 => false,
                count if count < SOME => is_within(GOOD),
                count => count >= ENOUGH || is_within(GOOD_AFTER_SOME),
            }
        };
        while Instant::now() < until {
            let began = line.now();
            let text = self.get(&path).await?;
            let ended = line.now();
            for (service, (clock, staged)) in read(&String::from_utf8_lossy(&text)) {
                if staged == generation && clock > 0 {
                    seen.entry(service).or_default().see(began, ended, clock);
                }
            }
            if seen.len() == services.len() && seen.values().all(is_enough) {
                break;
            }
            sleep(PAUSE).await;
        }
        let clocks = seen.into_iter();
        Ok(clocks
            .filter_map(|(service, edges)| Some((service, edges.clock()?)))
            .collect())
    }
}

/// Clock and staged generation by service.
fn read(text: &str) -> BTreeMap<String, (u64, u64)> {
    let mut services: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
        let (Some((head, stat)), Ok(number)) = (name.rsplit_once('.'), value.parse()) else {
            continue;
        };
        let Some((_, service)) = head.split_once(".service.") else {
            continue;
        };
        let (clock, staged) = services.entry(service.to_owned()).or_default();
        match stat {
            "clock" => *clock = number,
            "staged" => *staged = number,
            _ => {}
        }
    }
    services
}
