//! One file that reaches many folders, each in its own time.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// A version of the file, and when it is to be there.
type Parcel = (Instant, Vec<u8>);

/// What brings each new version of a file to others; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Pushes {
    roads: mpsc::UnboundedSender<mpsc::UnboundedSender<Parcel>>,
    withheld: Vec<watch::Sender<bool>>,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl Pushes {
    /// Looks for new versions of a file, the first of which is known everywhere. Each takes up to `skew` to each
    /// place, but none overtakes another on its way to the same one.
    pub(super) fn watch(file: &Path, first: Vec<u8>, skew: Duration, seed: u64) -> Self {
        let (roads, built) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let watching = follow(file.to_owned(), first, built, skew, seed);
        tokio::spawn(stop.clone().run_until_cancelled_owned(watching));
        Self {
            roads,
            withheld: Vec::new(),
            _stop: stop.clone().drop_guard(),
            stop,
        }
    }

    /// Brings new versions to one more place.
    pub(super) fn reach(&mut self, place: PathBuf) {
        let (road, parcels) = mpsc::unbounded_channel();
        let (gate, withheld) = watch::channel(false);
        self.withheld.push(gate);
        // Whoever looks for versions lives as long as this.
        drop(self.roads.send(road));
        let carrying = carry(place, parcels, withheld);
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(carrying));
    }

    /// Whether a place is to get nothing for the time being.
    pub(super) fn withhold(&mut self, place: usize, withheld: bool) {
        if let Some(place) = self.withheld.get(place) {
            place.send_replace(withheld);
        }
    }
}

async fn follow(
    file: PathBuf,
    mut known: Vec<u8>,
    mut built: mpsc::UnboundedReceiver<mpsc::UnboundedSender<Parcel>>,
    skew: Duration,
    seed: u64,
) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut roads: Vec<mpsc::UnboundedSender<Parcel>> = Vec::new();
    loop {
        tokio::time::sleep(LOOK).await;
        while let Ok(road) = built.try_recv() {
            roads.push(road);
        }
        // It is replaced as a whole, so that half of it is never read.
        let Ok(now) = std::fs::read(&file) else {
            continue;
        };
        if now == known {
            continue;
        }
        for road in &roads {
            let delay = skew.mul_f64(random.random_range(0.0..1.0));
            drop(road.send((Instant::now() + delay, now.clone())));
        }
        known = now;
    }
}

async fn carry(
    place: PathBuf,
    mut parcels: mpsc::UnboundedReceiver<Parcel>,
    mut withheld: watch::Receiver<bool>,
) {
    while let Some((due, version)) = parcels.recv().await {
        tokio::time::sleep_until(due).await;
        if withheld.wait_for(|withheld| !withheld).await.is_err() {
            return;
        }
        // A folder that is being removed ends the run anyway.
        drop(deliver(&place, &version));
    }
}

/// Moves a version into the folder that is watched, from outside of it: what is written inside could be seen in parts.
fn deliver(place: &Path, version: &[u8]) -> io::Result<()> {
    let outside = place
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."));
    let beside = outside.join("pushed");
    std::fs::write(&beside, version)?;
    std::fs::rename(beside, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(place: &Path) -> String {
        std::fs::read_to_string(place).unwrap_or_default()
    }

    async fn until(is_true: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_true() {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(LOOK).await;
        }
    }

    #[tokio::test]
    async fn versions_reach_every_place_in_order_and_what_was_withheld_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let places: Vec<_> = (0..3)
            .map(|place| {
                let watched = folder.path().join(format!("{place}/watched"));
                std::fs::create_dir_all(&watched).unwrap();
                watched.join("file")
            })
            .collect();
        std::fs::write(&file, "1").unwrap();
        let mut pushes = Pushes::watch(&file, b"1".to_vec(), Duration::from_millis(50), 7);
        for place in &places {
            pushes.reach(place.clone());
        }
        pushes.withhold(2, true);
        for version in ["2", "3"] {
            let beside = folder.path().join("beside");
            std::fs::write(&beside, version).unwrap();
            std::fs::rename(beside, &file).unwrap();
            until(|| places[..2].iter().all(|place| said(place) == version)).await;
        }
        assert_eq!(said(&places[2]), "");
        pushes.withhold(2, false);
        until(|| said(&places[2]) == "3").await;
    }
}
