//! The end in order: no new connection, every request answered, every client told to go.

use super::{Proxy, Signals};
use cutover_control::{Admin, AdminError};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often Envoy is asked how far it is.
const LOOK: Duration = Duration::from_millis(50);

/// Connections that are open but silent for this long, all of them, are closed: HTTP/1.1 has no word
/// for a connection without a request, and Envoy sends an idle HTTP/2 one none either (1.40).
const SILENCE: Duration = Duration::from_secs(1);

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drained {
    /// Requests and streams that were cut.
    pub(crate) cut: u64,
    /// Connections that were still open, and were closed.
    pub(crate) closed: u64,
    /// Why it waited no longer.
    pub(crate) end: End,
    pub(crate) took: Duration,
}

/// Why a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing is in flight.
    Empty,
    /// The time is up.
    Late,
    /// A second signal.
    Told,
    /// Envoy ended by itself.
    Gone,
}

/// What is going on in an Envoy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) connections: u64,
    /// Requests and streams in flight.
    pub(crate) requests: u64,
    /// Requests there ever were.
    total: u64,
}

impl Traffic {
    pub(crate) async fn of(admin: &Admin) -> Result<Self, AdminError> {
        // The listeners are called main, main-2…
        let path =
            r"/stats?filter=^http\.main(-[0-9]%2B)?\.downstream_(cx_active|rq_active|rq_total)$";
        let text = admin.get(path).await?;
        let mut traffic = Self::default();
        for line in String::from_utf8_lossy(&text).lines() {
            let Some((name, number)) = line.rsplit_once(": ") else {
                continue;
            };
            let number: u64 = number.parse().unwrap_or_default();
            match name.rsplit_once("downstream_").map(|(_, stat)| stat) {
                Some("cx_active") => traffic.connections += number,
                Some("rq_active") => traffic.requests += number,
                Some("rq_total") => traffic.total += number,
                _ => {}
            }
        }
        Ok(traffic)
    }
}

/// Lets an Envoy finish what it has begun, for a time at most, and stops it.
///
/// The listeners go first: whoever is told to go while they are open comes back at once, and is in
/// the queue of the kernel when they close. Then each answer says goodbye (`connection: close`, or
/// GOAWAY): Envoy does so while its own health check is set to fail.
pub(crate) async fn drain(
    mut proxy: Proxy,
    time: Duration,
    signals: &mut Signals,
    mut tell: impl FnMut(Traffic),
) -> Drained {
    let start = Instant::now();
    let admin = proxy.admin().clone();
    let watched = async {
        for order in ["/drain_listeners", "/healthcheck/fail"] {
            // On a machine that is too busy to answer in time it is asked again: the time is bounded.
            while admin.post(order).await.is_err() {
                sleep(LOOK).await;
            }
        }
        let mut before = None;
        let mut silent_since = Instant::now();
        loop {
            if let Ok(now) = Traffic::of(&admin).await {
                if before.is_none() {
                    tell(now);
                }
                if now.requests > 0
                    || before.is_some_and(|before: Traffic| before.total != now.total)
                {
                    silent_since = Instant::now();
                }
                if now.connections == 0 || silent_since.elapsed() >= SILENCE {
                    return;
                }
                before = Some(now);
            }
            sleep(LOOK).await;
        }
    };
    let end = tokio::select! {
        () = watched => End::Empty,
        () = sleep(time) => End::Late,
        _ = signals.stop() => End::Told,
        _ = proxy.ended() => End::Gone,
    };
    let left = Traffic::of(&admin).await.unwrap_or_default();
    proxy.stop().await;
    Drained {
        cut: left.requests,
        closed: left.connections,
        end,
        took: start.elapsed(),
    }
}
