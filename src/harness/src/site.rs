//! One proxy of a run: its Envoy, its configuration file, and what was pushed to it.

mod config;
mod suffer;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use cutover_control::{
    AccessLog, AdminError, Bootstrap, Endpoint, FileTarget, FromClients, Seen, TargetError,
};
use cutover_history::{Operation, Push, PushKind};

use crate::clock::Clock;
use crate::envoy::{Envoy, EnvoyError};
pub(crate) use config::{State, core};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// The name of the only service.
pub(crate) const SERVICE: &str = "default";

/// A proxy that does not do what it is told.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Envoy does not start, or is gone.
    #[error(transparent)]
    Envoy(#[from] EnvoyError),
    /// Its admin interface does not answer.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Its configuration file cannot be replaced.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A file or a process of it cannot be handled.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It does not show what it was told in time.
    #[error("proxy {proxy} does not show {what} after {} s; the end of its log:\n{log}", waited.as_secs())]
    Late {
        /// The proxy, by index.
        proxy: u32,
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// The end of Envoy's log.
        log: String,
    },
}

/// What all proxies of a run have in common.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) workers: u32,
    pub(crate) listeners: u32,
    pub(crate) blue: Endpoint,
    pub(crate) green: Endpoint,
    pub(crate) clock: Clock,
    pub(crate) deadline: Duration,
}

/// Counters of a proxy that a restart sets to zero, added up over restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Pushes that the filter ignored as older.
    pub stale: u64,
    /// Pushes that the filter ignored as a conflict.
    pub conflict: u64,
    /// Overrides that were followed.
    pub override_used: u64,
    /// Overrides that were refused.
    pub override_refused: u64,
    /// Files that Envoy refused.
    pub update_rejected: u64,
}

/// A condition that is waited for.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// The proxy shows this generation and color.
    Shown(u64, cutover_core::Color),
    /// Envoy has read its file so often.
    Reads(u64),
    /// Envoy takes traffic.
    Ready,
}

impl Wanted {
    fn in_words(self) -> String {
        match self {
            Self::Shown(generation, active) => format!("generation {generation} ({active})"),
            Self::Reads(times) => format!("that it has read its file {times} times"),
            Self::Ready => "that it is ready".to_owned(),
        }
    }
}

/// One proxy of a run.
#[derive(Debug)]
pub(crate) struct Site {
    index: u32,
    pub(crate) envoy: Envoy,
    pub(crate) target: FileTarget,
    /// What the file should say now, and said before.
    pub(crate) now: State,
    before: Option<State>,
    common: Common,
    shown: Shown,
}

impl Site {
    /// Starts a proxy with `now` as its configuration; returns once it shows that.
    pub(crate) async fn start(
        index: u32,
        binary: &Path,
        folder: &Path,
        now: State,
        common: Common,
    ) -> Result<(Self, Operation), SiteError> {
        let watched = folder.join("config");
        std::fs::create_dir_all(&watched)?;
        let target = FileTarget::new(watched.join("cutover.json"));
        std::fs::write(target.path(), &now.file)?;
        let local = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let bootstrap = Bootstrap {
            admin: local,
            listeners: vec![local; common.listeners as usize],
            blue: common.blue.clone(),
            green: common.green.clone(),
            ecds: target.path().to_owned(),
            active_at_install: core(now.active),
            access_log: AccessLog::Off,
            // Removed, they would hide a filter that trusts clients.
            from_clients: FromClients::Kept,
            ..Bootstrap::default()
        };
        let invoked = common.clock.now();
        let envoy = Envoy::start(binary, folder, common.workers, bootstrap, |yaml| yaml).await?;
        let shown = Shown::default();
        let site = Self {
            index,
            envoy,
            target,
            now,
            before: None,
            common,
            shown,
        };
        site.until_shown().await?;
        let install = site.push(
            PushKind::Install,
            &site.now,
            invoked,
            Some(site.common.clock.now()),
        );
        Ok((site, install))
    }

    /// Waits until a condition holds.
    async fn until(&self, wanted: Wanted) -> Result<(), SiteError> {
        let start = Instant::now();
        loop {
            let late = start.elapsed() > self.common.deadline;
            match self.holds(wanted).await {
                Ok(true) => return Ok(()),
                Err(error) if late => return Err(error.into()),
                Ok(false) if late => {
                    return Err(SiteError::Late {
                        proxy: self.index,
                        what: wanted.in_words(),
                        waited: self.common.deadline,
                        log: self.envoy.log_end(),
                    });
                }
                // Not yet, or an Envoy that was just resumed and is busy.
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    async fn holds(&self, wanted: Wanted) -> Result<bool, AdminError> {
        match wanted {
            Wanted::Shown(generation, active) => {
                let seen = self.envoy.admin().seen(SERVICE).await?;
                Ok((seen.generation, seen.active) == (Some(generation), Some(active)))
            }
            Wanted::Reads(times) => Ok(self.reads().await? >= times),
            Wanted::Ready => Ok(self.envoy.admin().is_ready().await),
        }
    }

    /// Waits until the proxy shows the generation and color that it should.
    async fn until_shown(&self) -> Result<(), SiteError> {
        self.until(Wanted::Shown(self.now.generation, core(self.now.active)))
            .await
    }

    /// How often Envoy has read the file, whether it could use it or not.
    async fn reads(&self) -> Result<u64, AdminError> {
        let path = "/stats?filter=http_filter.cutover.update_attempt";
        let body = self.envoy.admin().get(path).await?;
        let text = String::from_utf8_lossy(&body);
        let number = text
            .trim()
            .rsplit(' ')
            .next()
            .and_then(|number| number.parse().ok());
        Ok(number.unwrap_or(0))
    }

    /// Notes that a flip has replaced the file.
    pub(crate) fn flipped(&mut self, now: State) {
        self.before = Some(std::mem::replace(&mut self.now, now));
    }

    /// A push to this proxy as the history has it.
    pub(crate) fn push(
        &self,
        kind: PushKind,
        state: &State,
        invoked: u64,
        acknowledged: Option<u64>,
    ) -> Operation {
        Operation::Push(Push {
            flip: None,
            kind,
            proxy: self.index,
            generation: state.generation,
            color: state.active,
            invoked,
            acknowledged,
        })
    }

    /// Adds what the proxy shows to what it showed before its last restart.
    pub(crate) async fn shown(&self) -> Shown {
        let stats = self
            .envoy
            .admin()
            .stats(Some(SERVICE))
            .await
            .unwrap_or_default();
        let Seen {
            stale,
            conflict,
            override_used,
            override_refused,
            ..
        } = stats.services.get(SERVICE).cloned().unwrap_or_default();
        Shown {
            stale: self.shown.stale + stale,
            conflict: self.shown.conflict + conflict,
            override_used: self.shown.override_used + override_used,
            override_refused: self.shown.override_refused + override_refused,
            update_rejected: self.shown.update_rejected + stats.update_rejected,
        }
    }

    /// The proxy, by index.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }
}
