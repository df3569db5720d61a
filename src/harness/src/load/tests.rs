//! Clients against backends, without a proxy in between.

use std::sync::Arc;

use cutover_history::{Color, Outcome, Request};

use super::*;
use crate::backend::Backend;
use crate::recorder::{Tally, recording};

fn only(kind: Kind, rate: Rate, forged: f64) -> Load {
    let none = Rate {
        per_second: 0.0,
        clients: 0,
    };
    let mut load = Load {
        h1: none,
        h2: none,
        upload: none,
        sse: none,
        websocket: none,
        grpc: none,
        shares: Shares {
            forged,
            overridden: 0.0,
            invalid: 0.0,
        },
        stream_for: Duration::from_millis(80),
        ..Load::default()
    };
    let slot = match kind {
        Kind::H1 => &mut load.h1,
        Kind::H2 => &mut load.h2,
        Kind::Upload => &mut load.upload,
        Kind::Sse => &mut load.sse,
        Kind::WebSocket => &mut load.websocket,
        Kind::Grpc => &mut load.grpc,
    };
    *slot = rate;
    load
}

/// Runs a load for 400 ms, in steps: a busy machine that stops all of it for a while makes only one of them longer.
async fn requests(load: &Load, addresses: &[Vec<SocketAddr>]) -> Vec<Request> {
    let tally = Arc::new(Tally::default());
    let (recorder, mut batches) = recording(Arc::clone(&tally));
    let stop = CancellationToken::new();
    let clients = start(load, 7, addresses, Clock::start(), &recorder, &stop);
    drop(recorder);
    let (ended, requests) = tokio::join!(
        async {
            for _ in 0..80 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stop.cancel();
            clients.join_all().await.len()
        },
        async {
            let mut requests = Vec::new();
            while let Some(batch) = batches.recv().await {
                requests.extend(batch.into_iter().map(|operation| match operation {
                    Operation::Request(request) => request,
                    other => panic!("{other:?}"),
                }));
            }
            requests
        }
    );
    assert!(ended > 0);
    assert_eq!(tally.requests(), requests.len() as u64);
    requests
}

#[tokio::test]
async fn each_kind_is_answered_by_the_color_that_it_reaches() {
    let blue = Backend::start(Color::Blue).await.unwrap();
    let green = Backend::start(Color::Green).await.unwrap();
    let addresses = [vec![blue.address()], vec![green.address()]];
    for kind in Kind::ALL {
        let load = only(
            kind,
            Rate {
                per_second: 200.0,
                clients: 4,
            },
            1.0,
        );
        let requests = requests(&load, &addresses).await;
        assert!(requests.len() > 20, "{kind:?}: {}", requests.len());
        for request in requests {
            assert!(request.intended <= request.start, "{request:?}");
            assert!(request.start < request.end, "{request:?}");
            assert_eq!(request.contrary, [], "{request:?}");
            let Outcome::Answered {
                served,
                decision: Some(decision),
            } = request.outcome
            else {
                panic!("{kind:?}: {:?}", request.outcome)
            };
            let expected = if request.proxy == 0 {
                Color::Blue
            } else {
                Color::Green
            };
            assert_eq!(served, expected);
            // Every client forges here, and no filter removes it: the backend repeats it.
            assert_eq!(decision.generation, 9_007_199_254_740_991);
        }
    }
}

#[tokio::test]
async fn stream_that_changes_its_word_is_recorded_as_contrary() {
    let turncoat = Backend::start_turncoat(Color::Blue).await.unwrap();
    for kind in [Kind::Sse, Kind::WebSocket, Kind::Grpc] {
        let load = only(
            kind,
            Rate {
                per_second: 40.0,
                clients: 2,
            },
            0.0,
        );
        let requests = requests(&load, &[vec![turncoat.address()]]).await;
        assert!(!requests.is_empty());
        let contrary = requests.iter().filter(|request| {
            request
                .contrary
                .iter()
                .any(|decision| decision.color == Color::Green)
        });
        // Streams that the end of the load cut off before their first message show nothing.
        assert!(
            contrary.count() * 2 > requests.len(),
            "{kind:?}: {requests:?}"
        );
    }
}

#[tokio::test]
async fn refused_connection_and_silent_server_are_recorded() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = [
        vec![silent.local_addr().unwrap()],
        vec![closed.local_addr().unwrap()],
    ];
    drop(closed);
    for kind in Kind::ALL {
        let mut load = only(
            kind,
            Rate {
                per_second: 100.0,
                clients: 2,
            },
            0.0,
        );
        load.timeout = Duration::from_millis(50);
        let requests = requests(&load, &addresses).await;
        for proxy in [0, 1] {
            assert!(
                requests.iter().any(|request| request.proxy == proxy),
                "{kind:?}"
            );
        }
        for request in requests {
            match request.outcome {
                Outcome::TimedOut => assert_eq!(request.proxy, 0),
                Outcome::Failed {
                    status: None,
                    error,
                } if request.proxy == 1 => {
                    assert!(error.contains("refused"), "{error}");
                }
                other => panic!("{kind:?} {other:?}"),
            }
        }
    }
}
