//! Requests that last longer than a switch keep their color.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::Request;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::client::served_by;
use crate::stage::{DEADLINE, Stage, and, switch};

pub(crate) async fn connect<B>(address: SocketAddr) -> http1::SendRequest<B>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// The next piece of a body, as text.
async fn next(body: &mut Incoming) -> String {
    let frame = timeout(DEADLINE, body.frame())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

fn shown(active: &str, generation: u64) -> serde_json::Value {
    let expose = json!({ "expose": { "response_header": true } });
    and(switch(active, generation), expose)
}

#[tokio::test]
async fn an_upload_that_straddles_a_flip_stays_with_its_color() {
    let stage = Stage::with(shown("blue", 1)).await;
    let (pieces, receiver) = mpsc::channel::<Bytes>(1);
    let body = stream::unfold(receiver, async |mut receiver| {
        let piece = receiver.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(piece)), receiver))
    });
    let request = Request::post("/upload").header("host", "shop.example.com");
    let request = request.body(Box::pin(StreamBody::new(body))).unwrap();
    let mut sender = connect(stage.envoy.listeners()[0]).await;
    let answer = tokio::spawn(sender.send_request(request));
    pieces.send(Bytes::from_static(b"first")).await.unwrap();
    stage.blue.has_begun(1).await;

    for (active, generation) in [("green", 2), ("blue", 3), ("green", 4)] {
        stage.push(shown(active, generation)).await;
        assert_eq!(served_by(&stage).await, active);
        pieces.send(Bytes::from_static(b"more")).await.unwrap();
    }
    assert!(!answer.is_finished());
    drop(pieces);
    let answer = timeout(DEADLINE, answer).await.unwrap().unwrap().unwrap();
    let decision = "blue;g=1;by=active;svc=default";
    assert_eq!(answer.headers()["x-cutover-decision"], decision);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"blue\n"), "{body:?}");
}

#[tokio::test]
async fn a_stream_of_events_that_straddles_a_flip_stays_with_its_color() {
    let stage = Stage::with(shown("blue", 1)).await;
    let request = Request::get("/events").header("host", "shop.example.com");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let mut sender = connect(stage.envoy.listeners()[0]).await;
    let answer = timeout(DEADLINE, sender.send_request(request))
        .await
        .unwrap()
        .unwrap();
    let decision = "blue;g=1;by=active;svc=default";
    assert_eq!(answer.headers()["x-cutover-decision"], decision);
    let mut events = answer.into_body();
    assert!(next(&mut events).await.starts_with("blue\n"));

    for (active, generation) in [("green", 2), ("blue", 3), ("green", 4)] {
        stage.push(shown(active, generation)).await;
        assert_eq!(served_by(&stage).await, active);
        stage.green.tick();
        stage.blue.tick();
        assert!(next(&mut events).await.starts_with("blue\n"));
    }
}
