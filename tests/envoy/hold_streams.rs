//! What is held keeps its body, its stream and its place; and who leaves is forgotten.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::Request;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::client::{Get, served_by};
use crate::stage::{DEADLINE, Stage, switch};
use crate::staged::{now, staged};
use crate::streams::connect;

const HOLD: u64 = 1000;

/// An Envoy in the window of a switch from blue to green, and the end of that window.
async fn in_window() -> (Stage, u64) {
    let stage = Stage::with(switch("blue", 1)).await;
    let at = now() + 6000;
    stage.stage(staged("green", 2, 1, at, HOLD)).await;
    stage.wait_for(at - HOLD + 50).await;
    (stage, at + HOLD)
}

async fn are_held(stage: &Stage, number: u64) {
    stage
        .until("they are held", async || {
            stage.metric("held").await == number
        })
        .await;
}

async fn h2<B>(address: SocketAddr) -> http2::SendRequest<B>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let stream = TcpStream::connect(address).await.unwrap();
    let shake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = shake.await.unwrap();
    tokio::spawn(connection);
    sender
}

/// The next piece of a body.
async fn next(body: &mut Incoming) -> Bytes {
    let frame = timeout(DEADLINE, body.frame()).await.unwrap().unwrap();
    frame.unwrap().into_data().unwrap()
}

fn post<B>(path: &str, body: B) -> Request<B> {
    let uri = format!("http://shop.example.com{path}");
    let request = Request::post(uri).header("host", "shop.example.com");
    request.body(body).unwrap()
}

#[tokio::test]
async fn a_body_larger_than_envoys_buffers_arrives_whole_after_a_hold() {
    let (stage, end) = in_window().await;
    // Envoy keeps 1 MiB of a request; 8 MiB are not of one window of HTTP/2 either.
    let body = Bytes::from(vec![b'x'; 8 << 20]);
    let address = stage.envoy.listeners()[0];
    let (mut one, mut two) = (connect(address).await, h2(address).await);
    let first = one.send_request(post("/1", Full::new(body.clone())));
    let second = two.send_request(post("/2", Full::new(body)));
    let both = async { timeout(DEADLINE, async { tokio::join!(first, second) }).await };
    let (answers, ()) = tokio::join!(both, are_held(&stage, 2));
    let (first, second) = answers.unwrap();
    assert!(now() >= end);
    for answer in [first, second] {
        let body = answer.unwrap().into_body().collect().await.unwrap();
        let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        assert!(text.starts_with("green\n"), "{text}");
        assert!(
            text.contains(&format!("\nbody-length: {}\n", 8 << 20)),
            "{text}"
        );
    }
}

#[tokio::test]
async fn streams_of_one_connection_are_held_each_and_go_on_in_both_directions() {
    let (stage, end) = in_window().await;
    let sender = h2(stage.envoy.listeners()[0]).await;
    let stream = async |number: usize| {
        let (pieces, receiver) = mpsc::channel::<Bytes>(1);
        let body = stream::unfold(receiver, async |mut receiver| {
            let piece = receiver.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(piece)), receiver))
        });
        let mut request = post("/echo", Box::pin(StreamBody::new(body)));
        let headers = request.headers_mut();
        headers.insert("content-type", "application/grpc".parse().unwrap());
        headers.insert("te", "trailers".parse().unwrap());
        let mut sender = sender.clone();
        let answer = tokio::spawn(async move { sender.send_request(request).await });
        // Sent while the stream is held.
        pieces.send(format!("{number} first").into()).await.unwrap();
        let answer = timeout(DEADLINE, answer).await.unwrap().unwrap().unwrap();
        assert!(now() >= end);
        assert_eq!(answer.headers()["x-by"], "green");
        let mut body = answer.into_body();
        assert_eq!(next(&mut body).await, format!("{number} first"));
        for message in ["second", "third"] {
            pieces.send(message.into()).await.unwrap();
            assert_eq!(next(&mut body).await, message);
        }
        drop(pieces);
        let rest = timeout(DEADLINE, body.collect()).await.unwrap().unwrap();
        assert_eq!(rest.to_bytes(), Bytes::new());
    };
    let streams = join_all((0..20).map(stream));
    tokio::join!(streams, are_held(&stage, 20));
}

#[tokio::test]
async fn who_leaves_while_held_is_forgotten_and_the_others_are_served() {
    let (stage, end) = in_window().await;
    let address = stage.envoy.listeners()[0];
    let before = stage.green.begun() + stage.blue.begun();
    // Over HTTP/1.1 the connection goes; over HTTP/2 one stream of it, or every second one.
    let mut gone = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = b"GET /gone HTTP/1.1\r\nHost: shop.example.com\r\n\r\n";
        stream.write_all(head).await.unwrap();
        gone.push(stream);
    }
    let shared = h2(address).await;
    let ask = |sender: &http2::SendRequest<Empty<Bytes>>| {
        let mut sender = sender.clone();
        let request = Request::get("http://shop.example.com/").body(Empty::new());
        tokio::spawn(async move { sender.send_request(request.unwrap()).await })
    };
    let streams: Vec<_> = (0..20).map(|_| ask(&shared)).collect();
    are_held(&stage, 40).await;
    drop(gone);
    let mut stay = Vec::new();
    for (number, stream) in streams.into_iter().enumerate() {
        if number % 2 == 0 {
            stream.abort();
        } else {
            stay.push(stream);
        }
    }
    // Others take their place.
    let later = Get::new();
    let later = join_all((0..10).map(|_| later.ask(&stage)));
    let (later, stayed) = timeout(DEADLINE, async { tokio::join!(later, join_all(stay)) })
        .await
        .unwrap();
    assert!(now() >= end);
    assert!(later.iter().all(|answer| answer.by() == "green"));
    for answer in stayed {
        assert_eq!(answer.unwrap().unwrap().status(), 200);
    }
    stage.rules(2).await;
    assert_eq!(stage.metric("held").await, 50);
    // Nobody's request went on in their name.
    assert_eq!(stage.green.begun() + stage.blue.begun(), before + 20);
    for _ in 0..10 {
        assert_eq!(served_by(&stage).await, "green");
    }
    assert_eq!(stage.number("wasm.cutover.vm_reload").await, 0);
    assert!(!stage.log().contains("wasm trap"), "{}", stage.log());
}

#[tokio::test]
async fn those_who_leave_at_the_moment_of_release_take_nothing_with_them() {
    let (stage, end) = in_window().await;
    let address = stage.envoy.listeners()[0];
    let clients = (0..30).map(async |_| {
        let mut sender = h2::<Empty<Bytes>>(address).await;
        let request = || Request::get("http://shop.example.com/").body(Empty::new());
        let answers: Vec<_> = (0..10)
            .map(|_| sender.send_request(request().unwrap()))
            .collect();
        (sender, tokio::spawn(join_all(answers)))
    });
    let clients = timeout(DEADLINE, join_all(clients)).await.unwrap();
    stage
        .until("they are held", async || stage.metric("held").await >= 300)
        .await;
    // Some leave before, some after, and some in the middle of it.
    for ((_sender, all), number) in clients.into_iter().zip(0_u64..) {
        stage.wait_for(end + number / 3 - 5).await;
        all.abort();
    }
    stage.rules(2).await;
    for _ in 0..10 {
        assert_eq!(served_by(&stage).await, "green");
    }
    assert_eq!(stage.number("wasm.cutover.vm_reload").await, 0);
    assert!(!stage.log().contains("wasm trap"), "{}", stage.log());
}
