//! The answers of a backend that last: server-sent events, a WebSocket, a gRPC stream.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, Stream, StreamExt, stream};
use http_body_util::{BodyExt, Either, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    UPGRADE,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Body, short};
use crate::grpc::{Answer, Ask, BackendCodec};

/// The most events that one request can ask for.
const MOST_EVENTS: u64 = 10_000;
/// The longest pause between events that one request can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Sends `?count=N` events, one every `?every=MS` milliseconds; 10 and 100 when not told.
pub(super) fn events(query: Option<&str>, said: &[u8]) -> Response<Body> {
    let count = parameter(query, "count").unwrap_or(10).min(MOST_EVENTS);
    let pause = Duration::from_millis(parameter(query, "every").unwrap_or(100)).min(LONGEST_PAUSE);
    let mut event = b"data: ".to_vec();
    event.extend_from_slice(said);
    event.extend_from_slice(b"\n\n");
    let event = Bytes::from(event);
    let frames = stream::unfold(0, move |sent| {
        let event = event.clone();
        async move {
            if sent == count {
                return None;
            }
            if sent > 0 {
                tokio::time::sleep(pause).await;
            }
            Some((Ok::<_, Infallible>(Frame::data(event)), sent + 1))
        }
    });
    let mut response = Response::new(Either::Right(tonic::body::Body::new(
        StreamBody::new(frames).boxed_unsync(),
    )));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn parameter(query: Option<&str>, wanted: &str) -> Option<u64> {
    query?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == wanted).then(|| value.parse().ok()).flatten())
}

/// Accepts a WebSocket and answers each text with what this backend has to say.
pub(super) fn websocket(
    mut request: Request<Incoming>,
    said: Bytes,
    stop: CancellationToken,
) -> Response<Body> {
    let accept = request
        .headers()
        .get(SEC_WEBSOCKET_KEY)
        .and_then(|key| HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok());
    let Some(accept) = accept else {
        let mut response = short(Bytes::from_static(b"no Sec-WebSocket-Key\n"));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        if let Ok(connection) = upgraded.await {
            let io = TokioIo::new(connection);
            let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
            echo(socket, said).await;
        }
    }));
    let mut response = short(Bytes::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

async fn echo<S>(mut socket: WebSocketStream<S>, said: Bytes)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = socket.next().await {
        let answered = match message {
            Message::Text(_) | Message::Binary(_) => {
                socket.send(Message::Binary(said.clone())).await
            }
            // Pings are answered by the library; a close ends the loop by itself.
            _ => Ok(()),
        };
        if answered.is_err() {
            break;
        }
    }
}

/// Answers each message of a gRPC stream.
pub(super) async fn talk(request: Request<Incoming>, said: Bytes) -> Response<Body> {
    let mut server = tonic::server::Grpc::new(BackendCodec::default());
    server
        .streaming(Talk { said }, request)
        .await
        .map(Either::Right)
}

struct Talk {
    said: Bytes,
}

type Answers = std::pin::Pin<Box<dyn Stream<Item = Result<Answer, Status>> + Send>>;

impl tonic::server::StreamingService<Ask> for Talk {
    type Response = Answer;
    type ResponseStream = Answers;
    type Future = std::future::Ready<Result<tonic::Response<Answers>, Status>>;

    fn call(&mut self, request: tonic::Request<tonic::Streaming<Ask>>) -> Self::Future {
        let said = self.said.clone();
        let answers = request.into_inner().map(move |asked| {
            asked.map(|Ask { number }| Answer {
                number,
                said: said.clone(),
            })
        });
        std::future::ready(Ok(tonic::Response::new(Box::pin(answers))))
    }
}
