use super::*;
use crate::{Fleet, Seen};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};

/// What becomes of a proxy that shows this, when generation 20 (green) was written.
fn judged(generation: u64, active: Color, refused: bool) -> Option<Why> {
    let goal = Goal {
        service: "shop".to_owned(),
        generation: 20,
        active: Some(Color::Green),
    };
    let seen = Seen {
        generation: Some(generation),
        active: Some(active),
        ..Seen::default()
    };
    let stats = Stats {
        services: [("shop".to_owned(), seen)].into(),
        ..Stats::default()
    };
    judge(&stats, &goal, refused)
}

#[test]
fn only_generation_and_color_together_show_what_was_written() {
    let (blue, green) = (Some(Color::Blue), Some(Color::Green));
    assert_eq!(judged(20, Color::Green, false), None);
    assert_eq!(judged(20, Color::Green, true), None);
    let conflict = Why::Conflict { active: blue };
    assert_eq!(judged(20, Color::Blue, false), Some(conflict));
    let behind = Why::Behind {
        generation: Some(19),
        active: green,
    };
    assert_eq!(judged(19, Color::Green, false), Some(behind));
    let refused = Why::Refused {
        generation: Some(19),
        active: green,
    };
    assert_eq!(judged(19, Color::Green, true), Some(refused));
    let superseded = Why::Superseded {
        generation: 21,
        active: green,
    };
    assert_eq!(judged(21, Color::Green, false), Some(superseded));
}

/// An Envoy that shows a generation, and can be told to show another.
#[derive(Clone)]
struct Fake {
    proxy: Proxy,
    generation: Arc<AtomicU64>,
}

impl Fake {
    async fn showing(name: &str, generation: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let generation = Arc::new(AtomicU64::new(generation));
        let shown = Arc::clone(&generation);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let shown = Arc::clone(&shown);
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while matches!(stream.read(&mut buffer).await, Ok(1..)) {
                        let generation = shown.load(Ordering::SeqCst);
                        let stat = "wasmcustom.cutover.plugin.cutover.service.shop";
                        let body = format!("{stat}.active: 2\n{stat}.generation: {generation}\n");
                        let length = body.len();
                        let answer =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self {
            proxy: Proxy::in_pod("shop", name, address),
            generation,
        }
    }

    fn show(&self, generation: u64) {
        self.generation.store(generation, Ordering::SeqCst);
    }
}

/// Watches for generation 20; `meanwhile` is told of each step.
async fn watched(fleet: Fleet, mut meanwhile: impl FnMut(&Step)) -> Outcome {
    let goal = Goal {
        service: "shop".to_owned(),
        generation: 20,
        active: None,
    };
    let names = Names {
        filter: "cutover".to_owned(),
        plugin: "cutover".to_owned(),
    };
    let watched = Watched {
        fleet,
        names: vec![names],
        known: vec![],
    };
    let (steps, mut told) = mpsc::unbounded_channel();
    let (steps, interrupt) = (Some(steps), Interrupt::default());
    let until = Instant::now() + Duration::from_secs(30);
    let mut all = Box::pin(all(watched, &goal, until, &interrupt, &steps));
    loop {
        tokio::select! {
            outcome = &mut all => return outcome,
            Some(step) = told.recv() => meanwhile(&step),
        }
    }
}

fn names<'o>(proxies: impl Iterator<Item = &'o Proxy>) -> Vec<&'o str> {
    proxies.map(Proxy::name).collect()
}

#[tokio::test]
async fn a_proxy_that_leaves_is_not_waited_for_and_is_told_as_gone() {
    let (there, leaves) = (Fake::showing("a", 20).await, Fake::showing("b", 19).await);
    let proxies = vec![there.proxy.clone(), leaves.proxy.clone()];
    let (members, fleet) = Fleet::changing(proxies);
    let outcome = watched(fleet, |step| {
        if *step == Step::Shown(there.proxy.clone()) {
            members.set(vec![there.proxy.clone()]);
        }
    });
    let outcome = outcome.await;
    assert_eq!(
        names(outcome.shown.iter().map(|one| &one.proxy)),
        ["pod shop/a"]
    );
    assert_eq!(names(outcome.gone.iter()), ["pod shop/b"]);
    assert!(outcome.missing.is_empty());
}

#[tokio::test]
async fn a_proxy_that_comes_has_to_show_it_too() {
    let (first, waits) = (Fake::showing("a", 20).await, Fake::showing("b", 19).await);
    let comes = Fake::showing("c", 19).await;
    let mut all = vec![first.proxy.clone(), waits.proxy.clone()];
    let (members, fleet) = Fleet::changing(all.clone());
    all.push(comes.proxy.clone());
    let outcome = watched(fleet, |step| match step {
        Step::Shown(one) if *one == first.proxy => {
            members.set(all.clone());
        }
        Step::Came(one) if *one == comes.proxy => waits.show(20),
        Step::Shown(one) if *one == waits.proxy => comes.show(20),
        _ => {}
    });
    let outcome = outcome.await;
    let shown = names(outcome.shown.iter().map(|one| &one.proxy));
    assert_eq!(shown, ["pod shop/a", "pod shop/b", "pod shop/c"]);
    assert!(outcome.gone.is_empty());
}

#[tokio::test]
async fn a_pod_of_the_same_name_that_comes_back_is_not_told_as_gone() {
    let (old, new) = (Fake::showing("a", 19).await, Fake::showing("a", 20).await);
    let other = Fake::showing("b", 20).await;
    let (members, fleet) = Fleet::changing(vec![old.proxy.clone(), other.proxy.clone()]);
    let outcome = watched(fleet, |step| {
        if *step == Step::Shown(other.proxy.clone()) {
            members.set(vec![new.proxy.clone(), other.proxy.clone()]);
        }
    });
    let outcome = outcome.await;
    assert_eq!(outcome.shown.len(), 2);
    assert!(outcome.gone.is_empty(), "{:?}", outcome.gone);
}
