//! What can happen to a fleet between the push of a switch and its time.

use std::time::{Duration, Instant};

use cutover_history::Color;

use crate::stage::Stage;

/// The Envoy that is killed, and the one that stands still over T.
const KILLED: usize = 4;
const PAUSED: usize = 9;
/// Time enough for an Envoy to start, twice, on a busy machine.
const AHEAD_MS: u64 = 25_000;
const HOLD_MS: u64 = 20;

/// Stages a switch; kills one Envoy, which starts again with what its file says; adds one; stops one before T, and lets it go
/// on after.
pub(crate) async fn on_the_way_to_t(stage: &mut Stage) {
    let before = stage.bed.admins().len();
    let invoked = Instant::now();
    let switch = stage.by_hand(Color::Green, AHEAD_MS, HOLD_MS);
    stage.write(switch);
    stage.until_staged(before).await;

    let (from, until) = stage.bed.restart(KILLED).await.unwrap();
    let name = format!("envoy-{KILLED}");
    stage.load().killed(&name, from, until).await;
    let place = stage.bed.add().await.unwrap();
    stage.joined(place).await;
    stage.until_staged(before + 1).await;

    stage
        .until_before(switch.at, Duration::from_millis(700))
        .await;
    stage.bed.envoy(PAUSED).unwrap().pause().unwrap();
    stage
        .until_after(switch.at, Duration::from_millis(300))
        .await;
    stage.bed.envoy(PAUSED).unwrap().resume().unwrap();
    stage.shown_and_noted(switch, invoked).await;
}
