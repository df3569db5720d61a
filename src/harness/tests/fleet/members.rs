//! Proxies that come, leave and fall while the load goes on.

use std::time::{Duration, Instant};

use cutover_checker::{Rule, Verdict};
use cutover_harness::{Fleet, NotedFlip, Place};
use cutover_history::Color;

use crate::played::{Played, Register, Speech};
use crate::support::{Bed, DEADLINE, assert_unbroken, flip, judged, place};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_comes_late_has_to_know_what_was_decided() {
    let with_newcomer = async |generation: u64, color| {
        let register = Register::new(7, Color::Blue);
        let bed = Bed::of(&[&register, &register], Speech::Both).await;
        let mut fleet = Fleet::start(bed.plan()).await.unwrap();
        flip(&mut fleet, &[&register], 8, Color::Green).await;
        let newcomer = Played::start(&Register::new(generation, color), Speech::Both).await;
        fleet.join(place(&newcomer, 2)).unwrap();
        assert!(fleet.join(place(&newcomer, 2)).is_err());
        let start = Instant::now();
        while !fleet.has_come("p2") {
            assert!(start.elapsed() < DEADLINE);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fleet.linger().await;
        let summary = fleet.finish().await.unwrap();
        assert_eq!(summary.never_came, Vec::<String>::new());
        judged(&bed.history())
    };
    assert_unbroken(&with_newcomer(8, Color::Green).await);
    let outdated = with_newcomer(7, Color::Blue).await;
    assert!(matches!(outdated.verdict, Verdict::Violated(_)));
    assert!(outdated.figures.violations.contains_key(&Rule::Stale));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_was_to_come_and_did_not_leaves_the_verdict_open() {
    let register = Register::new(7, Color::Blue);
    let bed = Bed::of(&[&register], Speech::Both).await;
    let mut fleet = Fleet::start(bed.plan()).await.unwrap();
    fleet
        .join(Place::parse("http://127.0.0.1:9/").unwrap().named("late"))
        .unwrap();
    flip(&mut fleet, &[&register], 8, Color::Green).await;
    let summary = fleet.finish().await.unwrap();
    assert_eq!(summary.never_came, ["late"]);
    let verdict = judged(&bed.history()).verdict;
    let Verdict::Inconclusive(reasons) = verdict else {
        panic!("{verdict:?}")
    };
    assert!(
        reasons[0].contains("with 0 reads before and 0 after it"),
        "{reasons:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_left_is_not_missed_and_one_that_fell_is() {
    let ended = async |leaves: bool| {
        let register = Register::new(7, Color::Blue);
        let mut bed = Bed::of(&[&register, &register], Speech::Both).await;
        let mut fleet = Fleet::start(bed.plan()).await.unwrap();
        if leaves {
            fleet.leave("p1");
        }
        fleet.linger().await;
        bed.proxies.pop();
        let (invoked, generation, color) = (Instant::now(), 8, Color::Green);
        register.set(generation, color);
        let acknowledged = None;
        fleet
            .note(NotedFlip {
                generation,
                color,
                invoked,
                acknowledged,
            })
            .await;
        fleet.finish().await.unwrap();
        judged(&bed.history())
    };
    assert_unbroken(&ended(true).await);
    let fell = ended(false).await;
    assert!(fell.figures.violations.contains_key(&Rule::Failed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_to_a_proxy_that_was_killed_may_fail_and_others_may_not() {
    let with_fall = async |noted: bool| {
        let register = Register::new(7, Color::Blue);
        let mut bed = Bed::of(&[&register, &register], Speech::Both).await;
        let mut fleet = Fleet::start(bed.plan()).await.unwrap();
        let from = Instant::now();
        let address = bed.proxies.pop().unwrap().address();
        let failed = fleet.tally();
        while failed.failed() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bed.proxies
            .push(Played::start_at(address, &register, Speech::Both).await);
        fleet.linger().await;
        if noted {
            fleet.killed("p1", from, Instant::now()).await;
        }
        flip(&mut fleet, &[&register], 8, Color::Green).await;
        fleet.finish().await.unwrap();
        judged(&bed.history())
    };
    let noted = with_fall(true).await;
    assert_unbroken(&noted);
    assert!(noted.figures.total().excused > 0);
    let silent = with_fall(false).await;
    assert!(silent.figures.violations.contains_key(&Rule::Failed));
}
