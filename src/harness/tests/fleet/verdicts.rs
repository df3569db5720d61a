//! What a load on a fleet finds out of its flips.

use std::time::{Duration, Instant};

use cutover_checker::{FlipSummary, Rule, Verdict};
use cutover_harness::{
    Answers, Backend, Fleet, FleetError, FleetPlan, FleetSummary, NotedFlip, Place,
};
use cutover_history::{Color, Inferred};

use crate::played::{Register, Speech};
use crate::support::{Bed, DEADLINE, assert_unbroken, flip, judged, some_answers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_that_switches_at_one_instant_holds() {
    let register = Register::new(7, Color::Blue);
    let bed = Bed::of(&[&register, &register, &register], Speech::Both).await;
    let mut plan = bed.plan();
    plan.flips = Some(2);
    plan.places[2] = plan.places[2].clone().anew();
    let mut fleet = Fleet::start(plan).await.unwrap();
    flip(&mut fleet, &[&register], 8, Color::Green).await;
    flip(&mut fleet, &[&register], 9, Color::Blue).await;
    let FleetSummary {
        flips,
        counts,
        never_came,
        ..
    } = fleet.finish().await.unwrap();
    assert_eq!((flips, never_came.len()), (2, 0));
    let certificate = judged(&bed.history());
    assert_unbroken(&certificate);
    assert_eq!(certificate.header.inferred, []);
    assert!(counts[0].1.answered > 300, "{counts:?}");
    // One for the first question, and one that the client keeps, or one for each request.
    for proxy in &bed.proxies[..2] {
        assert_eq!(proxy.connections(), 2);
    }
    assert!(bed.proxies[2].connections() > 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_proxy_that_lags_is_caught_with_its_window() {
    let (ahead, behind) = (Register::new(7, Color::Blue), Register::new(7, Color::Blue));
    let bed = Bed::of(&[&ahead, &ahead, &behind], Speech::Exposed).await;
    let mut fleet = Fleet::start(bed.plan()).await.unwrap();
    flip(&mut fleet, &[&ahead, &behind], 8, Color::Green).await;
    fleet.finish().await.unwrap();
    let certificate = judged(&bed.history());
    let Verdict::Violated(witness) = &certificate.verdict else {
        panic!("{:?}", certificate.verdict)
    };
    assert_eq!(witness.rule, Rule::Stale);
    assert_eq!(witness.evidence.last().unwrap().proxy, "p2");
    let FlipSummary {
        mixed_ns,
        stale,
        first_new_ns,
        last_proxy_ns,
        ..
    } = &certificate.figures.flips[0];
    assert!(mixed_ns.unwrap() > 0 && *stale > 0);
    assert!(last_proxy_ns > first_new_ns);
    // Nobody said who served.
    assert_eq!(certificate.header.inferred, [Inferred::Served]);
    assert!(
        certificate
            .claims
            .iter()
            .any(|claim| claim.contains("did not show who served"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_never_follows_is_named() {
    let (ahead, behind) = (Register::new(7, Color::Blue), Register::new(7, Color::Blue));
    let bed = Bed::of(&[&ahead, &behind], Speech::Both).await;
    let fleet = Fleet::start(bed.plan()).await.unwrap();
    ahead.set(8, Color::Green);
    let began = Instant::now();
    while fleet.shows()[0].generation != Some(8) {
        assert!(began.elapsed() < DEADLINE, "{:?}", fleet.shows());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let lagging = fleet
        .shown_by_all(8, Duration::from_millis(300))
        .await
        .unwrap_err();
    assert_eq!(
        lagging.to_string(),
        "p1 still answers with generation 7 (blue)"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colors_alone_are_taken_for_flips_that_alternate() {
    let run = async |registers: &[&Register], played: &[&Register]| {
        let bed = Bed::of(played, Speech::ColorOnly).await;
        let mut plan = bed.plan();
        plan.answers = Answers::Colors;
        let mut fleet = Fleet::start(plan).await.unwrap();
        for (generation, color) in [(2, Color::Green), (3, Color::Blue)] {
            let invoked = Instant::now();
            for register in registers {
                register.set(generation, color);
                if registers.len() > 1 {
                    // The other one is still at the color before.
                    some_answers(&fleet).await;
                }
            }
            let rest = Duration::from_millis(300);
            fleet.settled(color, rest, DEADLINE).await.unwrap();
            let acknowledged = Some(Instant::now());
            fleet
                .note(NotedFlip {
                    generation,
                    color,
                    invoked,
                    acknowledged,
                })
                .await;
            fleet.linger().await;
        }
        fleet.finish().await.unwrap();
        judged(&bed.history())
    };
    let one = Register::new(0, Color::Blue);
    let held = run(&[&one], &[&one, &one]).await;
    assert_unbroken(&held);
    assert_eq!(held.header.inferred, [Inferred::Generation]);
    assert!(
        held.claims
            .iter()
            .any(|claim| claim.contains("colors alone"))
    );
    let (one, other) = (Register::new(0, Color::Blue), Register::new(0, Color::Blue));
    let mixed = run(&[&one, &other], &[&one, &other]).await;
    assert!(matches!(mixed.verdict, Verdict::Violated(_)));
    assert!(
        mixed
            .figures
            .flips
            .iter()
            .all(|flip| flip.mixed_ns > Some(0))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_may_be_asked_by_http2() {
    let register = Register::new(7, Color::Blue);
    let bed = Bed::of(&[&register], Speech::Both).await;
    let mut plan = bed.plan();
    plan.http2 = true;
    let mut fleet = Fleet::start(plan).await.unwrap();
    flip(&mut fleet, &[&register], 8, Color::Green).await;
    let summary = fleet.finish().await.unwrap();
    assert_eq!(summary.counts[0].0, cutover_history::Kind::H2);
    assert_unbroken(&judged(&bed.history()));
    // A proxy that is asked for nothing by anyone decides nothing.
    let backend = Backend::start(Color::Blue).await.unwrap();
    let place = Place::parse(&format!("http://{}/", backend.address())).unwrap();
    let mut plan = FleetPlan::new(vec![place], bed.history());
    plan.patience = Duration::ZERO;
    let refused = Fleet::start(plan).await.unwrap_err();
    assert!(matches!(refused, FleetError::Unsaid { .. }), "{refused}");
}
