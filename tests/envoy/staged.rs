//! What tests of staged switches have in common.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::client::Get;
use crate::stage::{Stage, and, switch};

/// Wall-clock time in Unix milliseconds.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

/// A switch that activates at an instant; `previous` is the one before, of the other color.
pub(crate) fn staged(active: &str, generation: u64, previous: u64, at: u64, hold: u64) -> Value {
    let other = if active == "green" { "blue" } else { "green" };
    let more = json!({
        "activate_at": at, "hold": hold,
        "previous": { "generation": previous, "active": other },
    });
    and(switch(active, generation), more)
}

/// Looks until the clock of what is staged moves: it is so many milliseconds ahead of this one.
pub(crate) async fn shows_a_clock_that_is_ahead(stage: &Stage, by: u64) {
    // A value that comes while we look is of the time between.
    let before = now();
    let old = stage.metric("clock").await;
    let mut new = old;
    stage
        .until("the clock moves", async || {
            new = stage.metric("clock").await;
            new != old
        })
        .await;
    let micros = (before + by) * 1000..=(now() + by + 1) * 1000;
    assert!(micros.contains(&new), "{new} in {micros:?}");
}

/// A request that was answered.
#[derive(Debug)]
pub(crate) struct Seen {
    /// In Unix milliseconds: rounded down.
    pub(crate) start: u64,
    /// In Unix milliseconds: rounded down.
    pub(crate) end: u64,
    /// `None` when it was not answered by a color.
    pub(crate) generation: Option<u64>,
}

/// Sends one request after another, by several clients, each until an instant and until generation 2 has answered it twice.
pub(crate) async fn watch(stage: &Stage, until: u64) -> Vec<Seen> {
    let client = async || {
        let (mut seen, mut new) = (Vec::new(), 0);
        while now() < until || new < 2 {
            let start = now();
            let answer = Get::new().ask(stage).await;
            let decision = answer.told("x-cutover-decision").unwrap_or_default();
            let generation = decision.split(";g=").nth(1);
            let generation = generation.and_then(|rest| rest.split(';').next()?.parse().ok());
            let end = now();
            new += u64::from(generation == Some(2_u64));
            seen.push(Seen {
                start,
                end,
                generation,
            });
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        seen
    };
    let (one, two, three) = tokio::join!(client(), client(), client());
    [one, two, three].into_iter().flatten().collect()
}

/// The requests that break the rule of a switch from generation 1 to 2: old before the window, nothing
/// within, new after it. A request is decided between its start and its end.
pub(crate) fn breaches(seen: &[Seen], at: u64, hold: u64) -> Vec<&Seen> {
    let (from, until) = (at - hold, at + hold);
    let is_breach = |seen: &&Seen| match seen.generation {
        Some(1) => seen.start >= from,
        Some(2) => seen.end < until,
        _ => true,
    };
    seen.iter().filter(is_breach).collect()
}

impl Stage {
    /// Waits until a generation rules, and nothing is staged.
    #[track_caller]
    pub(crate) fn rules(&self, generation: u64) -> impl Future<Output = ()> + '_ {
        self.until("it rules", async move || {
            self.metric("generation").await == generation && self.metric("staged").await == 0
        })
    }

    /// Pushes a switch and waits until it is staged.
    pub(crate) async fn stage(&self, configuration: Value) {
        let generation = configuration["generation"].as_u64().unwrap();
        self.push(configuration).await;
        self.until("it is staged", async || {
            self.metric("staged").await == generation
        })
        .await;
    }

    /// Waits until an instant.
    pub(crate) async fn wait_for(&self, instant: u64) {
        let left = instant.saturating_sub(now());
        tokio::time::sleep(Duration::from_millis(left)).await;
    }
}
