//! Short requests: HTTP/1.1 one at a time on a kept connection, HTTP/2 many at a time.

use bytes::Bytes;
use cutover_history::Operation;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::{Request, Response, Uri, Version};

use super::Client;
use super::attempt::{Attempt, Trouble};
use super::connection::{self, Driver};
use super::pacer::Pacer;

type H1 = (http1::SendRequest<Empty<Bytes>>, Driver);
type H2 = (http2::SendRequest<Empty<Bytes>>, Driver);

/// Sends requests one after the other on a kept connection.
pub(super) async fn one_at_a_time(mut client: Client) {
    let mut pacer = Pacer::new();
    let mut kept: Option<H1> = None;
    while let Some(mut attempt) = client.next(&mut pacer).await {
        attempt.started();
        let operation = h1(&mut attempt, &mut kept).await;
        client.recorder.record(operation).await;
    }
    client.recorder.flush().await;
}

/// Sends one request; leaves the connection only when it can carry another.
async fn h1(attempt: &mut Attempt, kept: &mut Option<H1>) -> Operation {
    let connected = match kept.take() {
        // The proxy may close a connection that rests; nothing was sent on it that could be lost.
        Some(connection) if !connection.0.is_closed() => Ok(connection),
        _ => connection::h1(attempt).await,
    };
    let (mut sender, driver) = match connected {
        Ok(connection) => connection,
        Err(trouble) => return attempt.record(attempt.clock.now(), Err(trouble)),
    };
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = Uri::from(path(attempt));
    // An authority is made of characters that a header takes.
    if let Ok(host) = HeaderValue::from_str(attempt.door.host.as_str()) {
        request.headers_mut().insert(HOST, host);
    }
    attempt.disguise.dress(request.headers_mut());
    attempt.started();
    let answered = attempt.in_time(sender.send_request(request)).await;
    let end = attempt.clock.now();
    let seen = match answered {
        Ok(response) => {
            let (seen, whole) = finish(attempt, response).await;
            if whole && !attempt.door.anew {
                *kept = Some((sender, driver));
            }
            seen
        }
        Err(trouble) => Err(trouble),
    };
    attempt.record(end, seen)
}

/// Reads headers, then the body to its end; tells whether the end came.
async fn finish(
    attempt: &Attempt,
    response: Response<Incoming>,
) -> (Result<crate::testimony::Seen, Trouble>, bool) {
    let seen = attempt.door.read(response.status(), response.headers());
    let mut body = response.into_body();
    let drained = attempt
        .in_time(async {
            while let Some(frame) = body.frame().await {
                frame?;
            }
            Ok::<_, hyper::Error>(())
        })
        .await;
    (seen, drained.is_ok())
}

/// Sends requests when they are due, all on one connection.
pub(super) async fn multiplexed(mut client: Client) {
    let mut pacer = Pacer::new();
    let mut kept: Option<H2> = None;
    let mut flying = FuturesUnordered::new();
    let mut due = Some(client.schedule.advance());
    while let Some(intended) = due {
        tokio::select! {
            () = client.stop.cancelled() => due = None,
            () = pacer.until(&client.clock, intended) => {
                let mut attempt = client.attempt(intended);
                attempt.started();
                match connected(&attempt, &mut kept).await {
                    Ok(sender) => flying.push(h2(attempt, sender)),
                    Err(trouble) => {
                        let operation = attempt.record(client.clock.now(), Err(trouble));
                        client.recorder.record(operation).await;
                    }
                }
                due = Some(client.schedule.advance());
            }
            Some(operation) = flying.next() => client.recorder.record(operation).await,
        }
    }
    while let Some(operation) = flying.next().await {
        client.recorder.record(operation).await;
    }
    client.recorder.flush().await;
}

/// The kept connection, or a new one when that has closed.
async fn connected(
    attempt: &Attempt,
    kept: &mut Option<H2>,
) -> Result<http2::SendRequest<Empty<Bytes>>, Trouble> {
    if let Some((sender, _)) = kept
        && !sender.is_closed()
    {
        return Ok(sender.clone());
    }
    let connection = connection::h2(attempt).await?;
    Ok(kept.insert(connection).0.clone())
}

async fn h2(mut attempt: Attempt, mut sender: http2::SendRequest<Empty<Bytes>>) -> Operation {
    let mut request = Request::new(Empty::new());
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = uri(&attempt);
    attempt.disguise.dress(request.headers_mut());
    attempt.started();
    let answered = attempt.in_time(sender.send_request(request)).await;
    let end = attempt.clock.now();
    let seen = match answered {
        Ok(response) => finish(&attempt, response).await.0,
        Err(trouble) => Err(trouble),
    };
    attempt.record(end, seen)
}

/// What is asked for: another path only in disguise.
fn path(attempt: &Attempt) -> PathAndQuery {
    match attempt.disguise.path() {
        Some(path) => PathAndQuery::from_static(path),
        None => attempt.door.path.clone(),
    }
}

/// An absolute address, as HTTP/2 needs it for its pseudo-headers.
fn uri(attempt: &Attempt) -> Uri {
    let mut parts = hyper::http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(attempt.door.host.clone());
    parts.path_and_query = Some(path(attempt));
    Uri::from_parts(parts).unwrap_or_default()
}
