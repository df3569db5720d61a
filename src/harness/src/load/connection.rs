//! Connections of a client: one address, no pool, no retry.

use std::net::SocketAddr;

use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::attempt::{Attempt, Trouble};

/// Stops the task that drives a connection when the connection's owner is done with it.
#[derive(Debug)]
pub(super) struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Driver {
    pub(super) fn spawn(connection: impl Future<Output: Send> + Send + 'static) -> Self {
        Self(tokio::spawn(connection).abort_handle())
    }
}

/// Opens a TCP connection.
pub(super) async fn tcp(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Opens an HTTP/1.1 connection.
pub(super) async fn h1<B>(attempt: &Attempt) -> Result<(http1::SendRequest<B>, Driver), Trouble>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let stream = attempt.in_time(tcp(attempt.door.address)).await?;
    let (sender, connection) = attempt
        .in_time(http1::handshake::<_, B>(TokioIo::new(stream)))
        .await?;
    Ok((sender, Driver::spawn(connection)))
}

/// Opens an HTTP/2 connection, without upgrade (prior knowledge).
pub(super) async fn h2<B>(attempt: &Attempt) -> Result<(http2::SendRequest<B>, Driver), Trouble>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static,
{
    let stream = attempt.in_time(tcp(attempt.door.address)).await?;
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = attempt.in_time(handshake).await?;
    Ok((sender, Driver::spawn(connection)))
}

/// An HTTP/2 connection as the service that a gRPC client is made of.
pub(super) struct Channel(pub(super) http2::SendRequest<tonic::body::Body>);

impl tower_service::Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
