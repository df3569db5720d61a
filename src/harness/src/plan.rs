//! What a run is to be.

use std::path::PathBuf;
use std::time::Duration;

use cutover_history::Scope;
use tokio_util::sync::CancellationToken;

use crate::load::Load;

/// What a run is to be; [`Plan::new`] makes one of 10 to 15 seconds.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The Envoy to start.
    pub envoy: PathBuf,
    /// The filter module to judge.
    pub module: PathBuf,
    /// Where the history goes; an older file there is replaced.
    pub history: PathBuf,
    /// The command that makes the run, for the history's header.
    pub command: String,
    /// Every random choice of the run comes from this.
    pub seed: u64,
    /// Envoys, each with a configuration file of its own. 2 by default.
    pub proxies: u32,
    /// Worker threads of each Envoy. 2 by default.
    pub workers: u32,
    /// Listeners of each Envoy. 2 by default.
    pub listeners: u32,
    /// Flips, alternately to green and to blue. 10 by default.
    pub flips: u32,
    /// Mean time between two flips; each is drawn between half and one and a half of it. 1 s by
    /// default. Weather may make it longer.
    pub pause: Duration,
    /// Load before the first gap, and after the last flip. 500 ms by default, and never less than three
    /// windows: two of them around each flip are judged.
    pub margin: Duration,
    /// What clients do.
    pub load: Load,
    /// Whether there is weather between flips. There is by default.
    pub weather: bool,
    /// Over what one order of generations is claimed. Each proxy for itself by default.
    pub scope: Scope,
    /// The largest window that the run claims it would have seen. 100 ms by default.
    pub window: Duration,
    /// How long an Envoy may take to show a push. 10 s by default.
    pub deadline: Duration,
    /// Ends the run early, in order: the history is finished and every child reaped.
    pub stop: CancellationToken,
}

impl Plan {
    /// A plan with the defaults: two Envoys of two workers and two listeners, ten flips, about
    /// 1,000 requests a second and a few of each kind of stream, weather of every kind.
    pub fn new(
        envoy: impl Into<PathBuf>,
        module: impl Into<PathBuf>,
        history: impl Into<PathBuf>,
        seed: u64,
    ) -> Self {
        Self {
            envoy: envoy.into(),
            module: module.into(),
            history: history.into(),
            command: String::new(),
            seed,
            proxies: 2,
            workers: 2,
            listeners: 2,
            flips: 10,
            pause: Duration::from_secs(1),
            margin: Duration::from_millis(500),
            load: Load::default(),
            weather: true,
            scope: Scope::Proxy,
            window: Duration::from_millis(100),
            deadline: Duration::from_secs(10),
            stop: CancellationToken::new(),
        }
    }
}
