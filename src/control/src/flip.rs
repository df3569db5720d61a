//! A flip: one atomic write, and then nothing but watching until every proxy shows it.

mod error;

pub use error::FlipError;

use crate::{
    Admin, AdminError, Document, FileTarget, Stats, TargetError, service_of,
    watch::{self, Shown},
};
use cutover_core::{Color, Generation, Previous, Service, Switch};
use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::task::{JoinSet, spawn_blocking};

/// What to flip, and whom to ask whether it is done.
#[derive(Clone, Debug)]
pub struct FlipRequest {
    /// The service; may be left out when there is only one.
    pub service: Option<String>,
    /// The color that shall be active.
    pub to: Color,
    /// Refuses unless this is the generation of the file, and no proxy shows a newer one.
    pub expect_generation: Option<u64>,
    /// The generation to write, so that several files get the same one; else the next.
    pub generation: Option<u64>,
    /// Admin addresses of the Envoys that must show the flip.
    pub admins: Vec<SocketAddr>,
    /// How long they may take.
    pub deadline: Duration,
}

/// A way back: like [`FlipRequest`], to the color before.
#[derive(Clone, Debug)]
pub struct RollbackRequest {
    /// The service; may be left out when there is only one.
    pub service: Option<String>,
    /// Refuses unless this is the generation of the file, and no proxy shows a newer one.
    pub expect_generation: Option<u64>,
    /// Admin addresses of the Envoys that must show the flip.
    pub admins: Vec<SocketAddr>,
    /// How long they may take.
    pub deadline: Duration,
}

/// The switch that a flip wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The service.
    pub service: String,
    /// What the file said before.
    pub before: Switch,
    /// Generation of the switch.
    pub generation: u64,
    /// Its active color.
    pub active: Color,
    /// Just before the file was replaced.
    pub invoked: Instant,
    /// When the file had been replaced and synced.
    pub written: Instant,
}

/// A flip that every Envoy shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flipped {
    /// What was written. When `pushed` is false, what was there already.
    pub written: Written,
    /// False when nothing had to be written: file and proxies had it already.
    pub pushed: bool,
    /// When each Envoy was seen to show it, in the order of the request.
    pub shown: Vec<Shown>,
}

/// How long an Envoy may keep a way back waiting: the answer only helps to see a refusal, and a
/// generation that is newer than the file's.
const PATIENCE_ON_THE_WAY_BACK: Duration = Duration::from_millis(250);

enum Aim {
    To(Color),
    Back,
}

struct Order<'r> {
    aim: Aim,
    service: Option<&'r str>,
    expect: Option<u64>,
    generation: Option<u64>,
    admins: &'r [SocketAddr],
    deadline: Duration,
}

/// Switches a service to a color, and returns once every Envoy that was named shows it.
///
/// Where file and Envoys show the color already, nothing is written. Where an Envoy does not (it
/// missed or refused the last push), the same color is pushed again under a new generation, and the
/// way back stays what it was. An Envoy that cannot be asked beforehand stops the flip.
pub async fn flip(target: &FileTarget, request: &FlipRequest) -> Result<Flipped, FlipError> {
    let order = Order {
        aim: Aim::To(request.to),
        service: request.service.as_deref(),
        expect: request.expect_generation,
        generation: request.generation,
        admins: &request.admins,
        deadline: request.deadline,
    };
    order.carry_out(target).await
}

/// Switches a service to the color before: that of `previous`, or the other one where the file has
/// no `previous`. It is written even when no Envoy can be asked: a way back is never gated.
pub async fn rollback(
    target: &FileTarget,
    request: &RollbackRequest,
) -> Result<Flipped, FlipError> {
    let order = Order {
        aim: Aim::Back,
        service: request.service.as_deref(),
        expect: request.expect_generation,
        generation: None,
        admins: &request.admins,
        deadline: request.deadline,
    };
    order.carry_out(target).await
}

impl Order<'_> {
    async fn carry_out(&self, target: &FileTarget) -> Result<Flipped, FlipError> {
        let lock = target.lock()?;
        let document = lock.read()?;
        let plan = document.plan()?;
        let service = service_of(&plan, self.service)?;
        let before = *service.switch();
        let to = match self.aim {
            Aim::To(color) => color,
            Aim::Back => before.way_back(),
        };
        self.check_expected(
            before.generation.map(Generation::get),
            before.active,
            "the file",
        )?;
        if service.is_closed(to) {
            return Err(FlipError::Closed {
                service: service.name().to_owned(),
                color: to,
            });
        }

        let admins: Vec<_> = (self.admins.iter())
            .map(|address| Admin::with_names(*address, document.names().clone()))
            .collect();
        let stats = self.look(&admins, service.name()).await?;
        let baseline: Vec<_> = stats
            .iter()
            .map(|stats| stats.as_ref().ok().map(Stats::refusals))
            .collect();
        let seen = |stats: &Stats| {
            let seen = stats.services.get(service.name())?;
            Some((seen.generation?, seen.active?))
        };
        let seen: Vec<_> = stats
            .iter()
            .map(|stats| stats.as_ref().ok().and_then(seen))
            .collect();
        for (admin, (generation, active)) in admins
            .iter()
            .zip(&seen)
            .filter_map(|(admin, seen)| Some((admin, (*seen)?)))
        {
            if self.expect.is_some_and(|expected| generation > expected) {
                let who = format!("Envoy {}", admin.address());
                self.check_expected(Some(generation), active, &who)?;
            }
        }

        if let Some(generation) = before.generation.map(Generation::get)
            && before.active == to
            && seen.iter().all(|seen| *seen == Some((generation, to)))
        {
            let now = Instant::now();
            let shown = admins.iter().map(|admin| Shown {
                admin: admin.address(),
                at: now,
            });
            return Ok(Flipped {
                shown: shown.collect(),
                written: written(service, generation, to, now),
                pushed: false,
            });
        }

        // A proxy may be ahead of the file, for example after the file came back from a backup: what
        // is written must be newer than that too, or it would be ignored as stale.
        let newest = seen
            .iter()
            .flatten()
            .filter_map(|(g, _)| Generation::new(*g).ok())
            .max();
        let newest = newest.max(before.generation);
        let generation = match self.generation {
            None => Generation::after(newest, unix_ms())?,
            Some(wanted) => match newest {
                Some(newest) if newest.get() >= wanted => {
                    let newest = newest.get();
                    return Err(FlipError::NotNewer { wanted, newest });
                }
                _ => Generation::new(wanted)?,
            },
        };
        let previous = before.generation.map(|g| Previous {
            generation: g,
            active: before.active,
        });
        let switch = Switch {
            generation: Some(generation),
            active: to,
            previous: if before.active == to {
                before.previous
            } else {
                previous
            },
        };
        let changed: Document = document.with_switch(service.name(), &switch);
        changed.plan()?;
        let mut written = written(service, generation.get(), to, Instant::now());
        // On a thread of its own: a sync to disk takes milliseconds that other tasks would wait.
        let replaced = spawn_blocking(move || {
            let invoked = Instant::now();
            lock.replace(&changed.to_bytes())
                .map(|()| (invoked, Instant::now()))
        });
        (written.invoked, written.written) = replaced
            .await
            .map_err(std::io::Error::other)
            .map_err(|source| TargetError::Io {
                action: "replaced",
                path: target.path().to_owned(),
                source,
            })??;

        let watched = if cfg!(feature = "broken-reports-at-write") {
            let at = written.written;
            admins
                .iter()
                .map(|admin| {
                    Ok(Shown {
                        admin: admin.address(),
                        at,
                    })
                })
                .collect()
        } else {
            watch::all(admins.into_iter().zip(baseline), &written, self.deadline).await
        };
        let (mut shown, mut missing) = (Vec::new(), Vec::new());
        for outcome in watched {
            match outcome {
                Ok(proxy) => shown.push(proxy),
                Err(proxy) => missing.push(proxy),
            }
        }
        if missing.is_empty() {
            return Ok(Flipped {
                written,
                pushed: true,
                shown,
            });
        }
        Err(FlipError::NotDone {
            written: Box::new(written),
            shown,
            missing,
        })
    }

    fn check_expected(
        &self,
        found: Option<u64>,
        active: Color,
        who: &str,
    ) -> Result<(), FlipError> {
        match self.expect {
            Some(expected) if found != Some(expected) => Err(FlipError::Ahead {
                expected,
                who: who.to_owned(),
                found,
                active,
            }),
            _ => Ok(()),
        }
    }

    /// What the Envoys show before anything is written; on the way back silence stops nothing.
    async fn look(
        &self,
        admins: &[Admin],
        service: &str,
    ) -> Result<Vec<Result<Stats, AdminError>>, FlipError> {
        let mut asked = JoinSet::new();
        for (index, admin) in admins.iter().enumerate() {
            let service = service.to_owned();
            let admin = match self.aim {
                Aim::To(_) => admin.clone(),
                Aim::Back => admin.with_patience(PATIENCE_ON_THE_WAY_BACK),
            };
            asked.spawn(async move { (index, admin.stats(Some(&service)).await) });
        }
        let mut answers = asked.join_all().await;
        answers.sort_by_key(|(index, _)| *index);
        let answers: Vec<_> = answers.into_iter().map(|(_, answer)| answer).collect();
        let silent: Vec<_> = answers
            .iter()
            .filter_map(|answer| answer.as_ref().err().cloned())
            .collect();
        match self.aim {
            Aim::To(_) if !silent.is_empty() => Err(FlipError::Unreachable(silent)),
            _ => Ok(answers),
        }
    }
}

trait WayBack {
    fn way_back(&self) -> Color;
}

impl WayBack for Switch {
    fn way_back(&self) -> Color {
        let previous = self.previous.map(|previous| previous.active);
        previous
            .filter(|color| *color != self.active)
            .unwrap_or(self.active.other())
    }
}

fn written(service: &Service, generation: u64, active: Color, now: Instant) -> Written {
    Written {
        service: service.name().to_owned(),
        before: *service.switch(),
        generation,
        active,
        invoked: now,
        written: now,
    }
}

/// Unix time in milliseconds; 0 on a clock before 1970.
fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_leads_to_another_color() {
        let back = |active, previous: Option<Color>| {
            let generation = Generation::new(1).unwrap();
            let previous = previous.map(|active| Previous { generation, active });
            let generation = Generation::new(2).ok();
            Switch {
                generation,
                active,
                previous,
            }
            .way_back()
        };
        for color in Color::ALL {
            assert_eq!(back(color, None), color.other());
            assert_eq!(back(color, Some(color.other())), color.other());
            // The same color again: a push that was repeated.
            assert_eq!(back(color, Some(color)), color.other());
        }
    }
}
