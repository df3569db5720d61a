//! One request that is not part of a load.

use std::time::Duration;

use bytes::Bytes;
use cutover_history::Kind;
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper::header::{HOST, HeaderValue};
use hyper::{HeaderMap, Request, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::attempt::Trouble;
use super::connection;
use super::door::Door;

/// Status and headers of an answer.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// Asks once, on a connection of its own.
pub(crate) async fn ask(door: &Door, kind: Kind, timeout: Duration) -> Result<Reply, Trouble> {
    match tokio::time::timeout(timeout, asked(door, kind)).await {
        Ok(reply) => reply,
        Err(_elapsed) => Err(Trouble::TimedOut),
    }
}

async fn asked(door: &Door, kind: Kind) -> Result<Reply, Trouble> {
    let trouble = |error: &(dyn std::error::Error + 'static)| Trouble::from_error(error);
    let stream = connection::tcp(door.address)
        .await
        .map_err(|error| trouble(&error))?;
    let mut request = Request::new(Empty::<Bytes>::new());
    let response = if kind == Kind::H2 {
        let uri = format!("http://{}{}", door.host, door.path);
        *request.uri_mut() = uri.parse().unwrap_or_default();
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.map_err(|error| trouble(&error))?;
        let _driver = connection::Driver::spawn(connection);
        sender.send_request(request).await
    } else {
        *request.uri_mut() = Uri::from(door.path.clone());
        if let Ok(host) = HeaderValue::from_str(door.host.as_str()) {
            request.headers_mut().insert(HOST, host);
        }
        let handshake = http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.map_err(|error| trouble(&error))?;
        let _driver = connection::Driver::spawn(connection);
        sender.send_request(request).await
    };
    let (parts, _body) = response.map_err(|error| trouble(&error))?.into_parts();
    Ok(Reply {
        status: parts.status,
        headers: parts.headers,
    })
}
