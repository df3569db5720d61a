//! A server that answers as a proxy with the filter would, out of a register that the test sets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cutover_harness::CancellationToken;
use cutover_history::Color;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_util::sync::DropGuard;

/// Generation and color, for all proxies that share it.
#[derive(Clone, Debug)]
pub(crate) struct Register(Arc<Mutex<(u64, Color)>>);

impl Register {
    pub(crate) fn new(generation: u64, color: Color) -> Self {
        Self(Arc::new(Mutex::new((generation, color))))
    }

    pub(crate) fn set(&self, generation: u64, color: Color) {
        *self.0.lock().unwrap() = (generation, color);
    }
}

/// What an answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// The decision in the filter's header, the color and the decision from the application.
    Both,
    /// The decision in the filter's header alone.
    Exposed,
    /// The color of the application alone.
    ColorOnly,
    Nothing,
}

/// A running server; it stops, with its connections, when this is dropped.
pub(crate) struct Played {
    address: SocketAddr,
    connections: Arc<AtomicU32>,
    _stop: DropGuard,
}

impl Played {
    pub(crate) async fn start(register: &Register, speech: Speech) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), register, speech).await
    }

    pub(crate) async fn start_at(address: SocketAddr, register: &Register, speech: Speech) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (register, stop) = (register.clone(), CancellationToken::new());
        let connections = Arc::new(AtomicU32::new(0));
        let (counted, stopped) = (Arc::clone(&connections), stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                let register = register.clone();
                tokio::spawn(stopped.clone().run_until_cancelled_owned(async move {
                    let service =
                        service_fn(move |request| answer(register.clone(), speech, request));
                    let server = auto::Builder::new(TokioExecutor::new());
                    drop(server.serve_connection(TokioIo::new(stream), service).await);
                }));
            }
        }));
        Self {
            address,
            connections,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that it has accepted.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn answer(
    register: Register,
    speech: Speech,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // Requests of one proxy may wait for each other; those of two must not be held by a test.
    tokio::task::yield_now().await;
    let (generation, color) = *register.0.lock().unwrap();
    let name = match color {
        Color::Blue => "blue",
        Color::Green => "green",
    };
    let decision = format!("{name};g={generation};by=active;svc=default");
    let mut response = Response::new(Full::new(Bytes::from_static(b"here\n")));
    if request.uri().path() == "/missing" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    let headers = response.headers_mut();
    if matches!(speech, Speech::Both | Speech::Exposed) {
        headers.insert(cutover_harness::DECISION, decision.parse().unwrap());
    }
    if matches!(speech, Speech::Both | Speech::ColorOnly) {
        headers.insert(cutover_harness::BACKEND_COLOR, name.parse().unwrap());
    }
    if speech == Speech::Both {
        headers.insert(cutover_harness::BACKEND_DECISION, decision.parse().unwrap());
    }
    Ok(response)
}
