//! Clients that ask proxies, at planned times, and record what came of each request.
//!
//! Arrival is open: when a request is to be sent is planned without regard to answers. A client
//! that is behind sends late and keeps the intended time, from which latency counts.

mod arrival;
mod attempt;
mod connection;
mod disguise;
mod door;
mod pacer;
mod plain;
mod question;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cutover_history::{Kind, Operation};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use arrival::Arrival;
use arrival::Schedule;
use attempt::Attempt;
pub(crate) use attempt::Trouble;
use disguise::Disguises;
pub use disguise::Shares;
pub(crate) use door::{Door, Reading};
use pacer::Pacer;
pub(crate) use question::{Reply, ask};

use crate::clock::Clock;
use crate::recorder::Recorder;

/// How much of one kind of request is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Requests (streams) a second, over all clients; 0 for none.
    pub per_second: f64,
    /// Clients that share the rate, each with a connection of its own. They are dealt to the
    /// proxies, then to their listeners, in turn.
    pub clients: u32,
}

/// What load is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// HTTP/1.1 requests on kept connections, one in flight on each.
    pub h1: Rate,
    /// HTTP/2 requests, many in flight on each connection.
    pub h2: Rate,
    /// Uploads of eight pieces, over [`Load::stream_for`] in all.
    pub upload: Rate,
    /// Server-sent events, for [`Load::stream_for`] each.
    pub sse: Rate,
    /// WebSockets, for [`Load::stream_for`] each.
    pub websocket: Rate,
    /// Bidirectional gRPC streams, for [`Load::stream_for`] each.
    pub grpc: Rate,
    /// How requests are spread over time.
    pub arrival: Arrival,
    /// How many requests are sent in a disguise.
    pub shares: Shares,
    /// When a client gives up waiting for response headers.
    pub timeout: Duration,
    /// How long a stream or an upload lasts, so that some straddle a flip.
    pub stream_for: Duration,
}

impl Default for Load {
    /// About 1,000 requests a second, and a few of each kind of stream.
    fn default() -> Self {
        let streams = Rate {
            per_second: 4.0,
            clients: 4,
        };
        Self {
            h1: Rate {
                per_second: 500.0,
                clients: 16,
            },
            h2: Rate {
                per_second: 500.0,
                clients: 8,
            },
            upload: streams,
            sse: streams,
            websocket: streams,
            grpc: streams,
            arrival: Arrival::Exponential,
            shares: Shares::default(),
            timeout: Duration::from_secs(5),
            stream_for: Duration::from_millis(1500),
        }
    }
}

impl Load {
    /// The rate of one kind.
    pub fn rate(&self, kind: Kind) -> Rate {
        match kind {
            Kind::H1 => self.h1,
            Kind::H2 => self.h2,
            Kind::Upload => self.upload,
            Kind::Sse => self.sse,
            Kind::WebSocket => self.websocket,
            Kind::Grpc => self.grpc,
        }
    }
}

/// One client: who it asks, when, and where it records.
pub(crate) struct Client {
    index: u32,
    proxy: u32,
    kind: Kind,
    door: Arc<Door>,
    schedule: Schedule,
    disguises: Disguises,
    timeout: Duration,
    stream_for: Duration,
    clock: Clock,
    recorder: Recorder,
    stop: CancellationToken,
}

/// Starts all clients of a load against the listeners of each proxy. They end by themselves soon
/// after `stop`: no new request, streams end early, what is in flight is answered or times out.
pub(crate) fn start(
    load: &Load,
    seed: u64,
    proxies: &[Vec<SocketAddr>],
    clock: Clock,
    recorder: &Recorder,
    stop: &CancellationToken,
) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    let mut index = 0;
    for kind in Kind::ALL {
        let Rate {
            per_second,
            clients: count,
        } = load.rate(kind);
        if per_second <= 0.0 {
            continue;
        }
        // Dealt in turn: client 0 to proxy 0, client 1 to proxy 1, and the second time around to
        // each proxy's second listener.
        let targets = (0..).flat_map(|round: usize| {
            proxies
                .iter()
                .zip(0_u32..)
                .filter_map(move |(listeners, proxy)| {
                    let address = listeners
                        .iter()
                        .cycle()
                        .nth(round % listeners.len().max(1))?;
                    Some((proxy, *address))
                })
        });
        if proxies.iter().all(Vec::is_empty) {
            continue;
        }
        for (proxy, address) in targets.take(count as usize) {
            let seed = seed.wrapping_add(u64::from(index) << 32);
            let client = Client {
                index,
                proxy,
                kind,
                door: Arc::new(Door::of_bed(address)),
                schedule: Schedule::new(
                    load.arrival,
                    per_second / f64::from(count),
                    seed,
                    clock.now(),
                ),
                disguises: Disguises::new(load.shares, seed),
                timeout: load.timeout,
                stream_for: load.stream_for,
                clock,
                recorder: recorder.clone(),
                stop: stop.clone(),
            };
            clients.spawn(client.run());
            index += 1;
        }
    }
    clients
}

/// One client of a fleet that is there already: what it is to do.
pub(crate) struct Caller {
    pub(crate) index: u32,
    pub(crate) proxy: u32,
    /// HTTP/1.1 on a kept connection, or HTTP/2.
    pub(crate) kind: Kind,
    pub(crate) door: Arc<Door>,
    pub(crate) per_second: f64,
    pub(crate) timeout: Duration,
    pub(crate) seed: u64,
}

impl Caller {
    /// The client. It sends at equal gaps and nothing but plain requests: forged and broken ones are
    /// not for other people's applications.
    pub(crate) fn client(
        self,
        clock: Clock,
        recorder: Recorder,
        stop: CancellationToken,
    ) -> Client {
        let seed = self.seed.wrapping_add(u64::from(self.index) << 32);
        let none = Shares {
            forged: 0.0,
            overridden: 0.0,
            invalid: 0.0,
        };
        Client {
            index: self.index,
            proxy: self.proxy,
            kind: self.kind,
            door: self.door,
            schedule: Schedule::new(Arrival::Fixed, self.per_second, seed, clock.now()),
            disguises: Disguises::new(none, seed),
            timeout: self.timeout,
            stream_for: Duration::ZERO,
            clock,
            recorder,
            stop,
        }
    }
}

impl Client {
    pub(crate) async fn run(self) {
        match self.kind {
            Kind::H1 => plain::one_at_a_time(self).await,
            Kind::H2 => plain::multiplexed(self).await,
            Kind::Upload => self.concurrently(streams::upload).await,
            Kind::Sse => self.concurrently(streams::events).await,
            Kind::WebSocket => self.concurrently(streams::websocket).await,
            Kind::Grpc => self.concurrently(streams::talk).await,
        }
    }

    /// The next request, once it is time for it; none when the load is to stop.
    async fn next(&mut self, pacer: &mut Pacer) -> Option<Attempt> {
        let intended = self.schedule.advance();
        self.stop
            .run_until_cancelled(pacer.until(&self.clock, intended))
            .await
            .map(|()| self.attempt(intended))
    }

    fn attempt(&mut self, intended: u64) -> Attempt {
        Attempt {
            client: self.index,
            proxy: self.proxy,
            kind: self.kind,
            door: Arc::clone(&self.door),
            intended,
            start: intended,
            disguise: self.disguises.draw(),
            timeout: self.timeout,
            stream_for: self.stream_for,
            clock: self.clock,
            stop: self.stop.clone(),
        }
    }

    /// Makes each request on a connection of its own, many at a time.
    async fn concurrently<F>(mut self, mut make: impl FnMut(Attempt) -> F)
    where
        F: Future<Output = Operation>,
    {
        let mut pacer = Pacer::new();
        let mut flying = FuturesUnordered::new();
        let mut due = Some(self.schedule.advance());
        while let Some(intended) = due {
            tokio::select! {
                () = self.stop.cancelled() => due = None,
                () = pacer.until(&self.clock, intended) => {
                    flying.push(make(self.attempt(intended)));
                    due = Some(self.schedule.advance());
                }
                Some(operation) = flying.next() => self.recorder.record(operation).await,
            }
        }
        while let Some(operation) = flying.next().await {
            self.recorder.record(operation).await;
        }
        self.recorder.flush().await;
    }
}

#[cfg(test)]
mod tests;
