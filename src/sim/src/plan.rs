//! What happens to one proxy in a run, all of it decided before the run.

use std::sync::Arc;

use crate::clock::Clock;

/// Everything that happens to one proxy, but for what the operator pushes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyPlan {
    /// Its machine's clocks.
    pub clock: Clock,
    /// Worker threads, at least one.
    pub workers: u8,
    /// How long each push of the operator takes to it, ns: by number of the push, the install's first. A push without a delay is
    /// lost, one with two comes twice. Pushes beyond the last entry travel as that one did.
    pub deliveries: Vec<Vec<u64>>,
    /// What clients ask, ascending.
    pub asks: Vec<Ask>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Gives the lateness of its threads and timers.
    pub seed: u64,
}

/// A header: name, value.
pub type Header = (String, Vec<u8>);

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// When its headers are complete, ns of true time from the start of the run.
    pub at: u64,
    /// The worker that has its connection.
    pub worker: u8,
    /// After which time its client leaves, ns; 0 is never.
    pub patience: u64,
    /// Headers, where they matter.
    pub headers: Option<Arc<[Header]>>,
}

/// Something that goes wrong at one proxy; instants in ns of true time from the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed, and is back after a time, with the newest configuration that there is.
    Restart {
        /// When.
        at: u64,
        /// How long it is away.
        down: u64,
    },
    /// A worker's VM traps; the next stream on that worker starts it again.
    Trap {
        /// When.
        at: u64,
        /// Which worker.
        worker: u8,
    },
    /// A worker does nothing: its requests and timers wait.
    Stall {
        /// From when.
        from: u64,
        /// Until when.
        until: u64,
        /// Which worker.
        worker: u8,
    },
}

/// A configuration that the operator pushes to all proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// When the control plane has taken it, ns of true time.
    pub at: u64,
    /// The plugin's configuration.
    pub configuration: Arc<[u8]>,
}

impl ProxyPlan {
    /// When a push arrives, each time that it does.
    pub fn arrivals(&self, number: usize, push: &Push) -> impl Iterator<Item = u64> {
        let delays = self.deliveries.get(number).or(self.deliveries.last());
        let delays = delays.map(Vec::as_slice).unwrap_or_default();
        let at = push.at;
        delays.iter().map(move |delay| at.saturating_add(*delay))
    }

    /// Until when a thread stalls that has to do something now.
    pub(crate) fn stalled(&self, thread: usize, now: u64) -> Option<u64> {
        let until = self.faults.iter().filter_map(|fault| match fault {
            Fault::Stall {
                from,
                until,
                worker,
            } => {
                let hit = usize::from(*worker) == thread && (*from..*until).contains(&now);
                hit.then_some(*until)
            }
            _ => None,
        });
        until.max()
    }
}
