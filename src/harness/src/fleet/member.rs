//! One proxy of a fleet: when it was there, and who asks it.

use std::sync::Arc;

use cutover_history::{Operation, Weather, WeatherKind};
use tokio_util::sync::CancellationToken;

use super::first::{self, First};
use super::{FleetError, FleetPlan, Place, Shows, Sight};
use crate::clock::Clock;
use crate::load::{Caller, Client, Door};
use crate::recorder::Recorder;

/// One proxy of a fleet.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) index: u32,
    place: Place,
    pub(super) sight: Arc<Sight>,
    stop: CancellationToken,
    left: Option<u64>,
}

impl Member {
    pub(super) fn new(index: u32, place: Place, stop: CancellationToken) -> Self {
        Self {
            index,
            place,
            sight: Arc::default(),
            stop,
            left: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.place.name()
    }

    /// When it began to be asked for good, by the run's clock.
    pub(super) fn came(&self) -> Option<u64> {
        self.sight.now().came
    }

    pub(super) fn has_come(&self) -> bool {
        self.came().is_some()
    }

    /// Whether it has come and has not left.
    pub(super) fn is_there(&self) -> bool {
        self.has_come() && self.left.is_none()
    }

    pub(super) fn leave(&mut self, now: u64) {
        self.stop.cancel();
        self.left.get_or_insert(now);
    }

    pub(super) fn shows(&self) -> Shows {
        let now = self.sight.now();
        Shows {
            proxy: self.name().to_owned(),
            generation: now.generation,
            color: now.color,
        }
    }

    /// Its first answer, and where it was had.
    pub(super) async fn first(&self, plan: &FleetPlan) -> Result<(Arc<Door>, First), FleetError> {
        let door = door(&self.place, plan).await?;
        let (kind, timeout) = (plan.kind(), plan.timeout);
        let first = first::answer(&self.place, &door, kind, timeout, plan.patience).await?;
        Ok((Arc::new(door), first))
    }

    /// Its clients.
    pub(super) fn clients(
        &self,
        plan: &FleetPlan,
        door: &Arc<Door>,
        clock: Clock,
        recorder: &Recorder,
    ) -> Vec<Client> {
        let recorder = recorder.watched_by(Arc::clone(&self.sight));
        let count = plan.clients.max(1);
        let client = |number| {
            let caller = Caller {
                index: self.index * count + number,
                proxy: self.index,
                kind: plan.kind(),
                door: Arc::clone(door),
                per_second: plan.per_second / f64::from(count),
                timeout: plan.timeout,
                seed: 0,
            };
            caller.client(clock, recorder.clone(), self.stop.clone())
        };
        (0..count).map(client).collect()
    }

    /// Waits for a proxy that comes later, then asks it until it is to stop.
    pub(super) fn come(
        &self,
        plan: FleetPlan,
        clock: Clock,
        recorder: Recorder,
    ) -> impl Future<Output = ()> + Send + use<> {
        let newcomer = Self {
            place: self.place.clone(),
            sight: Arc::clone(&self.sight),
            stop: self.stop.clone(),
            ..*self
        };
        async move {
            let coming = newcomer.stop.run_until_cancelled(async {
                loop {
                    if let Ok((door, _)) = newcomer.first(&plan).await {
                        break door;
                    }
                }
            });
            let Some(door) = coming.await else { return };
            newcomer.sight.come(clock.now());
            let clients = newcomer.clients(&plan, &door, clock, &recorder);
            drop(recorder);
            futures_util::future::join_all(clients.into_iter().map(Client::run)).await;
        }
    }

    /// When it was not there, in a run that ended at `end`. Who never came is told by its silence.
    pub(super) fn away(&self, end: u64) -> Vec<Operation> {
        let came = self.came();
        let before = came.filter(|came| *came > 0).map(|came| (0, came));
        let after = came.and(self.left).map(|left| (left, end.max(left)));
        let away = |(from, until)| {
            Operation::Weather(Weather {
                kind: WeatherKind::Away,
                proxy: self.index,
                from,
                until,
            })
        };
        before.into_iter().chain(after).map(away).collect()
    }
}

async fn door(place: &Place, plan: &FleetPlan) -> Result<Door, FleetError> {
    let door = place.door(plan.answers.reading()).await;
    door.map_err(|error| FleetError::Silent {
        proxy: place.name().to_owned(),
        why: error.to_string(),
    })
}
