//! What happens to the proxies of a run while the load goes on: flips, and weather between them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cutover_control::{FlipError, FlipRequest, Flipped, Interrupt, Target, Written, unix_ms};
use cutover_history::{Color, Operation, Push, PushKind};

use crate::clock::Clock;
use crate::plan::Plan;
use crate::recorder::{Recorder, Tally};
use crate::run::RunError;
use crate::site::{SERVICE, Site, SiteError, State, core};
use crate::summary::{MemorySample, Phase, Progress, Snapshot};
use crate::testimony::other;
use crate::weather::{Event, Forecast, Trouble};

/// Tells who watches how far the run is.
pub(crate) struct Watch<'r> {
    pub(crate) progress: &'r dyn Progress,
    pub(crate) tally: Arc<Tally>,
    pub(crate) of: u32,
}

impl Watch<'_> {
    pub(crate) fn show(&self, phase: Phase, flips: u32) {
        let (requests, failed) = (self.tally.requests(), self.tally.failed());
        self.progress.show(&Snapshot {
            phase,
            flips,
            of: self.of,
            requests,
            failed,
        });
    }
}

/// What happens to the proxies while the load runs.
pub(crate) struct Drive<'r> {
    pub(crate) plan: &'r Plan,
    pub(crate) clock: Clock,
    pub(crate) sites: Vec<Site>,
    pub(crate) recorder: Recorder,
    pub(crate) watch: Watch<'r>,
    pub(crate) active: Color,
    pub(crate) flips: u32,
    pub(crate) unacknowledged: u32,
    pub(crate) memory: Vec<MemorySample>,
    pub(crate) troubles: Vec<String>,
}

impl Drive<'_> {
    /// All gaps and flips; ends early, between two steps, when the plan's stop says so.
    pub(crate) async fn all(&mut self) -> Result<(), RunError> {
        let plan = self.plan;
        let shape = (plan.proxies, plan.workers);
        let mut forecast = Forecast::new(plan.seed, plan.pause, plan.flips, shape, plan.weather);
        self.sample_memory();
        let margin = plan.margin.max(plan.window * 3);
        let mut last = self.wait(Instant::now() + margin).await;
        for _ in 0..plan.flips {
            let gap = forecast.gap();
            let mut starved = None;
            if !gap.events.is_empty() {
                self.wait(last + gap.pause / 4).await;
            }
            for event in gap.events {
                if plan.stop.is_cancelled() {
                    return Ok(());
                }
                if event.trouble == Trouble::Starved {
                    starved = Some(event);
                } else {
                    self.weather(event).await?;
                }
            }
            self.wait(last + gap.pause).await;
            if plan.stop.is_cancelled() {
                return Ok(());
            }
            self.flip(starved).await?;
            last = Instant::now();
            self.sample_memory();
        }
        self.wait(Instant::now() + margin).await;
        Ok(())
    }

    /// Lets the load run until an instant, or until the run is to stop.
    async fn wait(&self, until: Instant) -> Instant {
        loop {
            self.watch.show(Phase::Load, self.flips);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Instant::now();
            }
            let step = tokio::time::sleep(left.min(Duration::from_millis(100)));
            if self.plan.stop.run_until_cancelled(step).await.is_none() {
                return Instant::now();
            }
        }
    }

    async fn weather(&mut self, event: Event) -> Result<(), RunError> {
        self.watch.show(Phase::Weather, self.flips);
        let Some(site) = self.sites.get_mut(event.proxy as usize) else {
            return Ok(());
        };
        let mut operations = Vec::new();
        let suffered = site.suffer(event, &mut operations).await;
        for operation in operations {
            self.recorder.record(operation).await;
        }
        match suffered {
            // A filter that does not do as it should is to be judged, not to be given up.
            Err(error @ (SiteError::Late { .. } | SiteError::Admin(_))) => {
                self.troubles.push(format!("{:?}: {error}", event.trouble));
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Flips all proxies at the same time, while a worker of one may be starved.
    async fn flip(&mut self, starved: Option<Event>) -> Result<(), RunError> {
        self.watch.show(Phase::Flip, self.flips);
        let to = other(self.active);
        let number = self.flips + self.unacknowledged;
        // One flip has one generation, whichever of the proxies has the newest.
        let newest = self.sites.iter().map(|site| site.now.generation).max();
        let generation = newest.map_or(1, |newest| newest + 1).max(unix_ms());
        let flips = self.sites.iter().map(|site| {
            let target = Target::from(&site.target);
            let request = FlipRequest {
                service: Some(SERVICE.to_owned()),
                to: core(to),
                expect_generation: None,
                agreed: None,
                generation: Some(generation),
                fleet: site.envoy.admin().address().into(),
                deadline: self.plan.deadline,
                // The weather is what the gates would refuse.
                force: true,
                take_fields: false,
                reason: None,
                interrupt: Interrupt::default(),
                steps: None,
            };
            async move { cutover_control::flip(&target, &request).await }
        });
        let starving = async {
            let site =
                starved.and_then(|event| Some((event, self.sites.get(event.proxy as usize)?)));
            match site {
                Some((event, site)) => Some(site.starve(event).await),
                None => None,
            }
        };
        let delayed = async {
            if let Some(event) = starved {
                // The worker is to be starved already when the flip comes.
                tokio::time::sleep(event.time / 4).await;
            }
            futures_util::future::join_all(flips).await
        };
        let (results, starved) = tokio::join!(delayed, starving);
        if let Some(starved) = starved {
            self.recorder.record(starved?).await;
        }
        let mut shown_by_all = true;
        let mut pushes = Vec::new();
        for (site, result) in self.sites.iter_mut().zip(results) {
            let (written, acknowledged) = match &result {
                Ok(Flipped {
                    written,
                    shown,
                    pushed: true,
                }) => (Some(written), shown.first().map(|shown| shown.at)),
                Err(FlipError::NotDone { written, .. }) => (Some(&**written), None),
                Ok(Flipped { pushed: false, .. }) | Err(_) => (None, None),
            };
            if let Err(error) = &result {
                self.troubles
                    .push(format!("flip {number}, proxy {}: {error}", site.index()));
            }
            shown_by_all &= acknowledged.is_some();
            if let Some(Written {
                generation,
                invoked,
                ..
            }) = written
            {
                let file = site.target.read_bytes().map_err(SiteError::from)?;
                site.flipped(State::flipped(*generation, to, file));
                pushes.push(Operation::Push(Push {
                    flip: Some(number),
                    kind: PushKind::Flip,
                    proxy: site.index(),
                    generation: *generation,
                    color: to,
                    invoked: self.clock.at(*invoked),
                    acknowledged: acknowledged.map(|at| self.clock.at(at)),
                }));
            }
        }
        for push in pushes {
            self.recorder.record(push).await;
        }
        self.active = to;
        if shown_by_all {
            self.flips += 1;
        } else {
            self.unacknowledged += 1;
        }
        Ok(())
    }

    fn sample_memory(&mut self) {
        for site in &self.sites {
            if let Some(bytes) = site.envoy.resident_memory() {
                let flips = self.flips + self.unacknowledged;
                self.memory.push(MemorySample {
                    flips,
                    proxy: site.index(),
                    bytes,
                });
            }
        }
    }
}
