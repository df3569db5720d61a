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
    /// Connections that were closed, requests and streams that were cut; none where Envoy did not say.
    pub(crate) left: Option<Traffic>,
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

/// Gives an order until it is taken: on a machine that is too busy to answer in time Envoy is asked
/// again. The time of a drain is bounded.
async fn insist(admin: &Admin, order: &str) {
    while admin.post(order).await.is_err() {
        sleep(LOOK).await;
    }
}

/// True once the sockets of all listeners are closed. Envoy counts a listener as stopped in the same
/// step that closes them, when its last worker has let go of it.
async fn listeners_are_closed(admin: &Admin) -> bool {
    let path = r"/stats?filter=^listener_manager\.(listener_stopped|total_listeners_active)$";
    let Ok(text) = admin.get(path).await else {
        return false;
    };
    all_are_stopped(&String::from_utf8_lossy(&text))
}

fn all_are_stopped(stats: &str) -> bool {
    let number = |name: &str| {
        let mut lines = stats.lines().filter_map(|line| line.split_once(": "));
        let (_, number) = lines.find(|(of, _)| *of == name)?;
        number.parse::<u64>().ok()
    };
    number("listener_manager.listener_stopped").unwrap_or_default()
        >= number("listener_manager.total_listeners_active").unwrap_or_default()
}

/// Lets an Envoy finish what it has begun, for a time at most, and stops it.
///
/// The listeners go first: whoever is told to go while they are open comes back at once, and is in
/// the queue of the kernel when they close: reset, with its request. Once they are closed, which is
/// later than Envoy's answer, each answer says goodbye (`connection: close`, or GOAWAY): Envoy does so
/// while its own health check is set to fail.
pub(crate) async fn drain(
    mut proxy: Proxy,
    time: Duration,
    signals: &mut Signals,
    mut tell: impl FnMut(Traffic),
) -> Drained {
    let start = Instant::now();
    let admin = proxy.admin().clone();
    let watched = async {
        insist(&admin, "/drain_listeners").await;
        while !listeners_are_closed(&admin).await {
            sleep(LOOK / 10).await;
        }
        insist(&admin, "/healthcheck/fail").await;
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
    let left = Traffic::of(&admin).await.ok();
    proxy.stop().await;
    Drained {
        left,
        end,
        took: start.elapsed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_closed_once_each_of_them_is_stopped() {
        let stats = |stopped| {
            format!(
                "listener_manager.listener_stopped: {stopped}\nlistener_manager.total_listeners_active: 2\n"
            )
        };
        assert!(!all_are_stopped(&stats(0)));
        assert!(!all_are_stopped(&stats(1)));
        assert!(all_are_stopped(&stats(2)));
        // An Envoy that does not count them is not waited for.
        assert!(all_are_stopped(""));
    }
}
