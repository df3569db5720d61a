//! A fleet of played proxies, its load and its verdict.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cutover_checker::{Certificate, Verdict};
use cutover_harness::{Fleet, FleetPlan, NotedFlip, Place};
use cutover_history::{Color, Reader};
use tempfile::TempDir;

use crate::played::{Played, Register, Speech};

/// How long a condition is waited for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Bed {
    folder: TempDir,
    pub(crate) proxies: Vec<Played>,
}

impl Bed {
    pub(crate) async fn of(registers: &[&Register], speech: Speech) -> Self {
        let mut proxies = Vec::new();
        for register in registers {
            proxies.push(Played::start(register, speech).await);
        }
        let folder = tempfile::tempdir().unwrap();
        Self { folder, proxies }
    }

    pub(crate) fn history(&self) -> PathBuf {
        self.folder.path().join("history.jsonl")
    }

    pub(crate) fn plan(&self) -> FleetPlan {
        let places = self.proxies.iter().enumerate();
        let places = places.map(|(index, proxy)| place(proxy, index)).collect();
        let mut plan = FleetPlan::new(places, self.history());
        // A machine that has other work stops all of it for a while.
        plan.window = Duration::from_millis(400);
        plan
    }
}

pub(crate) fn place(proxy: &Played, index: usize) -> Place {
    let place = Place::parse(&format!("http://{}/", proxy.address())).unwrap();
    place.named(format!("p{index}"))
}

pub(crate) fn judged(history: &Path) -> Certificate {
    let reader = Reader::new(BufReader::new(File::open(history).unwrap())).unwrap();
    Certificate::of("history.jsonl", reader).unwrap()
}

/// Flips registers one after the other, the last of them only when all others have answered.
pub(crate) async fn flip(
    fleet: &mut Fleet,
    registers: &[&Register],
    generation: u64,
    color: Color,
) {
    let invoked = Instant::now();
    let (last, others) = registers.split_last().unwrap();
    for register in others {
        register.set(generation, color);
    }
    if !others.is_empty() {
        some_answers(fleet).await;
    }
    last.set(generation, color);
    fleet.shown_by_all(generation, DEADLINE).await.unwrap();
    let acknowledged = Some(Instant::now());
    let noted = NotedFlip {
        generation,
        color,
        invoked,
        acknowledged,
    };
    fleet.note(noted).await;
    fleet.linger().await;
}

/// Waits until every proxy has answered some more.
pub(crate) async fn some_answers(fleet: &Fleet) {
    let before = fleet.tally().requests();
    // Each client hands over 128 answers at a time.
    while fleet.tally().requests() < before + 512 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// No rule was broken. Only a machine that stood still for longer than the window leaves it open
/// whether one could have been.
#[track_caller]
pub(crate) fn assert_unbroken(certificate: &Certificate) {
    assert!(
        certificate.figures.violations.is_empty(),
        "{:?}",
        certificate.verdict
    );
    match &certificate.verdict {
        Verdict::Holds => {}
        Verdict::Inconclusive(reasons) => {
            let stood_still = |reason: &String| {
                reason.contains("too thin")
                    && !reason.contains("with 0 reads")
                    && !reason.contains("and 0 after")
            };
            assert!(reasons.iter().all(stood_still), "{reasons:?}");
        }
        Verdict::Violated(witness) => panic!("{witness}"),
    }
}
