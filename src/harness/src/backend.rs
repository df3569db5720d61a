//! A backend of one color, which says who it is and what it was told.
//!
//! One port speaks HTTP/1.1 and HTTP/2 without TLS. Every answer carries the backend's color and
//! repeats the filter's decision, in its headers and in each message of a stream:
//! a plain request, an upload (answered after its whole body), `/sse`, `/ws` and a gRPC stream.

mod stream;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use cutover_history::Color;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::testimony::{BACKEND_COLOR, BACKEND_DECISION, DECISION, name};

/// A short body, or a stream that is boxed.
type Body = Either<Full<Bytes>, tonic::body::Body>;

/// A running backend; it stops, with all its connections, when this is dropped.
#[derive(Debug)]
#[must_use = "a backend stops when it is dropped"]
pub struct Backend {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Backend {
    /// Starts a backend of a color on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(color: Color) -> io::Result<Self> {
        Self::start_saying(Identity { color, says: color }).await
    }

    /// Starts a backend that names another color in its streams than in its headers.
    #[cfg(test)]
    pub(crate) async fn start_turncoat(color: Color) -> io::Result<Self> {
        Self::start_saying(Identity {
            color,
            says: crate::testimony::other(color),
        })
        .await
    }

    async fn start_saying(identity: Identity) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(
            listener,
            identity,
            stop.clone(),
        )));
        Ok(Self {
            address,
            _stop: stop.drop_guard(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The color that a backend names, in headers and in the messages of streams.
#[derive(Clone, Copy, Debug)]
struct Identity {
    color: Color,
    says: Color,
}

async fn accept(listener: TcpListener, identity: Identity, stop: CancellationToken) {
    loop {
        // Out of file descriptors, or a client that left before it was accepted: without a pause
        // the first of the two would spin.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let stop_connection = stop.clone();
        let stop_streams = stop.clone();
        tokio::spawn(stop_connection.run_until_cancelled_owned(async move {
            let service = service_fn(|request| answer(identity, request, stop_streams.clone()));
            let mut server = auto::Builder::new(TokioExecutor::new());
            // Envoy puts up to 1024 streams on a connection before it has read the backend's limit;
            // those above it would be refused, and count as the proxy's failures.
            server.http2().max_concurrent_streams(None);
            let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
            // A connection ends badly when its client leaves; that is the client's to record.
            drop(connection.await);
        }));
    }
}

/// Answers one request.
async fn answer(
    Identity { color, says }: Identity,
    request: Request<Incoming>,
    stop: CancellationToken,
) -> Result<Response<Body>, Infallible> {
    let told = request.headers().get(DECISION).cloned();
    let mut response = if *request.method() == Method::GET {
        match request.uri().path() {
            "/sse" => stream::events(request.uri().query(), &said(says, told.as_ref())),
            "/ws" if request.headers().contains_key(UPGRADE) => {
                stream::websocket(request, said(says, told.as_ref()), stop)
            }
            _ => short(Bytes::from_static(name(color).as_bytes())),
        }
    } else if is_grpc(&request) {
        stream::talk(request, said(says, told.as_ref())).await
    } else {
        upload(request.into_body()).await
    };
    let headers = response.headers_mut();
    headers.insert(BACKEND_COLOR, HeaderValue::from_static(name(color)));
    if let Some(told) = told {
        headers.insert(BACKEND_DECISION, told);
    }
    Ok(response)
}

/// Reads a whole body, then answers with the number of its bytes.
async fn upload(mut body: Incoming) -> Response<Body> {
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, Bytes::len);
    }
    short(Bytes::from(length.to_string()))
}

fn short(body: Bytes) -> Response<Body> {
    Response::new(Either::Left(Full::new(body)))
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// `COLOR DECISION`, what each message of a stream says.
fn said(color: Color, told: Option<&HeaderValue>) -> Bytes {
    let mut said = name(color).as_bytes().to_vec();
    if let Some(told) = told {
        said.push(b' ');
        said.extend_from_slice(told.as_bytes());
    }
    Bytes::from(said)
}
