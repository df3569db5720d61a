//! Requests that last: uploads, server-sent events, WebSockets, gRPC streams. Each has a connection
//! of its own. `end` is when response headers were seen; what later messages say is compared.

use std::convert::Infallible;

use bytes::Bytes;
use cutover_history::Operation;
use futures_util::{SinkExt, Stream, StreamExt, stream};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, StatusCode, Uri};
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};
use tonic::metadata::MetadataMap;

use super::attempt::{Attempt, Trouble};
use super::connection::{self, Channel};
use super::door::HOST_NAME;
use crate::grpc::{Answer, Ask, ClientCodec, PATH};
use crate::testimony::{Seen, Testimony};

/// Pieces of an upload, messages of a stream.
const MESSAGES: u32 = 8;
/// Bytes in each piece of an upload.
const PIECE: &[u8] = &[b'.'; 1024];

/// Pauses between messages: all together as long as a stream is to last. A stop ends them.
async fn pause(attempt: &Attempt) {
    let gap = attempt.stream_for / MESSAGES;
    attempt
        .stop
        .run_until_cancelled(tokio::time::sleep(gap))
        .await;
}

fn request<B>(attempt: &Attempt, method: Method, path: &'static str, body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(PathAndQuery::from_static(path));
    request
        .headers_mut()
        .insert(HOST, HeaderValue::from_static(HOST_NAME));
    attempt.disguise.dress(request.headers_mut());
    request
}

/// Sends a body piece by piece.
pub(super) async fn upload(mut attempt: Attempt) -> Operation {
    attempt.started();
    let result = uploaded(&mut attempt).await;
    let end = attempt.clock.now();
    attempt.record(end, result)
}

async fn uploaded(attempt: &mut Attempt) -> Result<Seen, Trouble> {
    let (mut sender, _driver) = connection::h1(attempt).await?;
    let pieces = spaced(attempt, |_| {
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(PIECE)))
    });
    let body = StreamBody::new(pieces).boxed_unsync();
    let path = attempt.disguise.path().unwrap_or("/upload");
    let mut request = request(attempt, Method::POST, path, body);
    let length = u64::from(MESSAGES) * PIECE.len() as u64;
    request
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(length));
    attempt.started();
    // It is answered after its whole body, so the client's patience starts then.
    attempt.timeout += attempt.stream_for;
    let response = attempt.in_time(sender.send_request(request)).await?;
    Attempt::read(response.status(), StatusCode::OK, response.headers())
}

/// Reads server-sent events.
pub(super) async fn events(mut attempt: Attempt) -> Operation {
    attempt.started();
    match subscribed(&mut attempt).await {
        Ok((mut seen, end, body, _driver)) => {
            let reading = read_events(&mut seen, body);
            listen(&attempt, reading).await;
            attempt.record(end, Ok(seen))
        }
        Err(trouble) => attempt.record(attempt.clock.now(), Err(trouble)),
    }
}

/// Reads the messages of a stream until it ends, the load stops, or it hangs.
async fn listen(attempt: &Attempt, reading: impl Future<Output = ()>) {
    let patience = attempt.stream_for + attempt.timeout;
    let reading = tokio::time::timeout(patience, reading);
    // However it ends, what was seen until then is what counts.
    let _ = attempt.stop.run_until_cancelled(reading).await;
}

async fn subscribed(
    attempt: &mut Attempt,
) -> Result<(Seen, u64, Incoming, connection::Driver), Trouble> {
    let (mut sender, driver) = connection::h1(attempt).await?;
    let mut request = request(attempt, Method::GET, "/sse", Empty::<Bytes>::new());
    let every = (attempt.stream_for / MESSAGES).as_millis();
    if let Ok(uri) = format!("/sse?count={}&every={every}", MESSAGES + 1).parse() {
        *request.uri_mut() = uri;
    }
    attempt.started();
    let response = attempt.in_time(sender.send_request(request)).await?;
    let end = attempt.clock.now();
    let seen = Attempt::read(response.status(), StatusCode::OK, response.headers())?;
    Ok((seen, end, response.into_body(), driver))
}

async fn read_events(seen: &mut Seen, mut body: Incoming) {
    let mut rest = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else {
            continue;
        };
        rest.extend_from_slice(data);
        while let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=length).collect();
            if let Some(testimony) = line
                .trim_ascii_end()
                .strip_prefix(b"data: ")
                .and_then(Testimony::from_text)
            {
                seen.also(&testimony);
            }
        }
    }
}

/// Talks over a WebSocket.
pub(super) async fn websocket(mut attempt: Attempt) -> Operation {
    attempt.started();
    match opened(&mut attempt).await {
        Ok((mut seen, end, mut socket)) => {
            let talking = async {
                for _ in 0..MESSAGES {
                    if socket.send(Message::text("?")).await.is_err() {
                        return;
                    }
                    match socket.next().await {
                        Some(Ok(message)) => {
                            if let Some(said) = Testimony::from_text(&message.into_data()) {
                                seen.also(&said);
                            }
                        }
                        _ => return,
                    }
                    pause(&attempt).await;
                }
                // A close that is not answered changes nothing of what was seen.
                drop(socket.close(None).await);
            };
            listen(&attempt, talking).await;
            attempt.record(end, Ok(seen))
        }
        Err(trouble) => attempt.record(attempt.clock.now(), Err(trouble)),
    }
}

type Socket = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

async fn opened(attempt: &mut Attempt) -> Result<(Seen, u64, Socket), Trouble> {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;

    let stream = attempt
        .in_time(connection::tcp(attempt.door.address))
        .await?;
    let mut request = format!("ws://{HOST_NAME}/ws")
        .into_client_request()
        .map_err(|error| Trouble::from_error(&error))?;
    attempt.disguise.dress(request.headers_mut());
    attempt.started();
    let opening = tokio_tungstenite::client_async(request, stream);
    let opened = tokio::time::timeout(attempt.timeout, opening).await;
    let end = attempt.clock.now();
    match opened {
        Ok(Ok((socket, response))) => {
            let expected = StatusCode::SWITCHING_PROTOCOLS;
            let seen = Attempt::read(response.status(), expected, response.headers())?;
            Ok((seen, end, socket))
        }
        Ok(Err(WebSocketError::Http(response))) => {
            let status = response.status();
            Err(Trouble::Failed(
                Some(status.as_u16()),
                format!("status {status}"),
            ))
        }
        Ok(Err(error)) => Err(Trouble::from_error(&error)),
        Err(_elapsed) => Err(Trouble::TimedOut),
    }
}

/// Talks over a bidirectional gRPC stream.
pub(super) async fn talk(mut attempt: Attempt) -> Operation {
    attempt.started();
    match called(&mut attempt).await {
        Ok((mut seen, end, mut answers, _driver)) => {
            let reading = async {
                while let Some(Ok(Answer { said, .. })) = answers.next().await {
                    if let Some(said) = Testimony::from_text(&said) {
                        seen.also(&said);
                    }
                }
            };
            listen(&attempt, reading).await;
            attempt.record(end, Ok(seen))
        }
        Err(trouble) => attempt.record(attempt.clock.now(), Err(trouble)),
    }
}

async fn called(
    attempt: &mut Attempt,
) -> Result<(Seen, u64, tonic::Streaming<Answer>, connection::Driver), Trouble> {
    let (sender, driver) = connection::h2(attempt).await?;
    let origin = format!("http://{HOST_NAME}").parse().unwrap_or_default();
    let mut client = tonic::client::Grpc::with_origin(Channel(sender), origin);
    client
        .ready()
        .await
        .map_err(|error| Trouble::from_error(&error))?;
    let mut request = tonic::Request::new(spaced(attempt, |number| Ask {
        number: u64::from(number),
    }));
    let mut headers = hyper::HeaderMap::new();
    attempt.disguise.dress(&mut headers);
    *request.metadata_mut() = MetadataMap::from_headers(headers);
    attempt.started();
    let path = PathAndQuery::from_static(PATH);
    let calling = client.streaming(request, path, ClientCodec::default());
    let response = tokio::time::timeout(attempt.timeout, calling).await;
    let end = attempt.clock.now();
    let response = match response {
        Ok(Ok(response)) => response,
        // A status that came as an answer names its backend too, but a stream was asked for.
        Ok(Err(status)) => return Err(Trouble::Failed(None, format!("grpc {status}"))),
        Err(_elapsed) => return Err(Trouble::TimedOut),
    };
    let (headers, answers, _) = response.into_parts();
    let seen = Attempt::read(StatusCode::OK, StatusCode::OK, &headers.into_headers())?;
    Ok((seen, end, answers, driver))
}

/// What a client sends over time, the first of it at once.
fn spaced<T: Send + 'static>(
    attempt: &Attempt,
    item: impl Fn(u32) -> T + Clone + Send + 'static,
) -> impl Stream<Item = T> + Send + 'static {
    let attempt = attempt.clone();
    stream::unfold(0, move |number| {
        let (attempt, item) = (attempt.clone(), item.clone());
        async move {
            if number == MESSAGES {
                return None;
            }
            if number > 0 {
                pause(&attempt).await;
            }
            Some((item(number), number + 1))
        }
    })
}
