//! How far a run is, on standard error and as events.

use crate::output::{Events, say};
use cutover_harness::{CancellationToken, Phase, Progress, Snapshot};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// Ends a run in order when it is told to stop.
pub(super) async fn stop_on_signal(stop: CancellationToken, bar: ProgressBar) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    bar.suspend(|| say("stopping; what there is will be judged"));
    stop.cancel();
}

/// Shows a run on standard error; indicatif hides it where that is no terminal.
pub(super) struct Bar {
    pub(super) shown: ProgressBar,
    events: Events,
    /// The flips of which an event told.
    told: AtomicU32,
}

impl Bar {
    pub(super) fn new(flips: u32, what: String, events: &Events) -> Self {
        let bar = ProgressBar::new(u64::from(flips));
        let template = "{spinner} {bar:30} flip {pos}/{len}  {msg}  {elapsed}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
        Self {
            shown: bar,
            events: events.clone(),
            told: AtomicU32::new(0),
        }
    }
}

impl Progress for Bar {
    fn show(&self, now: &Snapshot) {
        let phase = match now.phase {
            Phase::Starting => "starting",
            Phase::Load => "load",
            Phase::Weather => "weather",
            Phase::Flip => "flip",
            Phase::Finishing => "finishing",
        };
        if self.told.swap(now.flips, Ordering::Relaxed) != now.flips {
            let details =
                json!({ "flips": now.flips, "requests": now.requests, "failed": now.failed });
            self.events.emit("flipped", details, "");
        }
        self.shown.set_position(u64::from(now.flips));
        self.shown.set_message(format!(
            "{phase}, {} requests, {} failed",
            now.requests, now.failed
        ));
        self.shown.tick();
    }
}
