//! What is done to a proxy between flips.

use std::io;
use std::time::Duration;

use cutover_control::unix_ms;
use cutover_history::{Operation, PushKind, Weather, WeatherKind};

use super::config::Fault;
use super::{Site, SiteError, Wanted};
use crate::testimony::other;
use crate::weather::{Event, Trouble};

impl Site {
    /// Starves a worker; changes nothing but that.
    pub(crate) async fn starve(&self, event: Event) -> Result<Operation, SiteError> {
        let from = self.common.clock.now();
        self.envoy.starve(event.worker, event.time).await?;
        Ok(self.weather(WeatherKind::Starved, from))
    }

    /// Lets something happen to the proxy; when it is over, the file is the good one again. The
    /// operations are what the history is to hold, also when it ends in an error.
    pub(crate) async fn suffer(
        &mut self,
        event: Event,
        operations: &mut Vec<Operation>,
    ) -> Result<(), SiteError> {
        let now = &self.now;
        let from = self.common.clock.now();
        match event.trouble {
            Trouble::Replayed | Trouble::Older => {
                let pushed = match (event.trouble, &self.before) {
                    (Trouble::Replayed, Some(before)) => before.clone(),
                    _ => now
                        .switched(now.generation - 1, other(now.active))
                        .ok_or_else(not_ours)?,
                };
                operations.push(self.push(PushKind::Stale, &pushed, from, None));
                self.lay(&pushed.file, event.time).await
            }
            Trouble::Conflict => {
                let pushed = now
                    .switched(now.generation, other(now.active))
                    .ok_or_else(not_ours)?;
                operations.push(self.push(PushKind::Conflict, &pushed, from, None));
                self.lay(&pushed.file, event.time).await
            }
            Trouble::OutOfOrder => self.disorder(operations).await,
            Trouble::Torn => {
                let laid = self.lay(&now.torn(), event.time).await;
                operations.push(self.weather(WeatherKind::Torn, from));
                laid
            }
            Trouble::UnknownField | Trouble::Purple => {
                let fault = match event.trouble {
                    Trouble::Purple => Fault::Purple,
                    _ => Fault::UnknownField,
                };
                let spoiled = now.spoiled(fault, from).ok_or_else(not_ours)?;
                let laid = self.lay(&spoiled, event.time).await;
                operations.push(self.weather(WeatherKind::Bad, from));
                laid
            }
            Trouble::Killed => {
                self.shown = self.shown().await;
                let restarted = self.envoy.restart().await;
                let shown = match restarted {
                    Ok(()) => self.until_shown().await,
                    Err(error) => Err(error.into()),
                };
                operations.push(self.weather(WeatherKind::Killed, from));
                shown
            }
            Trouble::Paused => {
                self.envoy.pause()?;
                tokio::time::sleep(event.time).await;
                self.envoy.resume()?;
                let ready = self.until(Wanted::Ready).await;
                operations.push(self.weather(WeatherKind::Paused, from));
                ready
            }
            Trouble::Starved => {
                operations.push(self.starve(event).await?);
                Ok(())
            }
        }
    }

    /// Lays a file there for a time, then the good one again.
    async fn lay(&self, bytes: &[u8], time: Duration) -> Result<(), SiteError> {
        let reads = self.reads().await?;
        self.target.replace(bytes)?;
        let read = self.until(Wanted::Reads(reads + 1)).await;
        if read.is_ok() {
            // Traffic goes on: this is when it could be misled.
            tokio::time::sleep(time).await;
        }
        // Also when it was not read: whatever comes next, a restart too, must find the good file.
        self.target.replace(&self.now.file)?;
        read?;
        self.until(Wanted::Reads(reads + 2)).await
    }

    /// Pushes a newer generation and at once the present one, then the newer one again.
    async fn disorder(&mut self, operations: &mut Vec<Operation>) -> Result<(), SiteError> {
        let older = self.now.clone();
        let generation = older.generation.saturating_add(1).max(unix_ms());
        let newer = older
            .switched(generation, older.active)
            .ok_or_else(not_ours)?;
        let reads = self.reads().await?;
        let invoked = self.common.clock.now();
        let pushed = (|| {
            self.target.replace(&newer.file)?;
            let again = self.common.clock.now();
            self.target.replace(&older.file)?;
            Ok::<_, SiteError>(again)
        })();
        self.flipped(newer.clone());
        let arrived = async {
            let again = pushed?;
            operations.push(self.push(PushKind::Stale, &older, again, None));
            self.until(Wanted::Reads(reads + 2)).await?;
            self.target.replace(&newer.file)?;
            self.until_shown().await
        };
        let arrived = arrived.await;
        let acknowledged = arrived.is_ok().then(|| self.common.clock.now());
        operations.push(self.push(PushKind::Flip, &newer, invoked, acknowledged));
        arrived
    }

    fn weather(&self, kind: WeatherKind, from: u64) -> Operation {
        Operation::Weather(Weather {
            kind,
            proxy: self.index,
            from,
            until: self.common.clock.now(),
        })
    }
}

/// Only when something else than this run has written the file.
fn not_ours() -> SiteError {
    SiteError::Io(io::Error::other(
        "the configuration file is not the one of this run",
    ))
}
