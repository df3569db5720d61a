//! From many clients to one history, without a lock on a request's way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cutover_history::{Operation, Outcome};
use tokio::sync::mpsc;

use crate::fleet::Sight;

/// Operations that a client keeps before it hands them over.
const BATCH: usize = 128;
/// Batches that may wait for the writer; clients wait when the disk is slower.
const WAITING: usize = 256;

/// Counts of what was recorded so far, for a progress bar: readable at any time.
#[derive(Debug, Default)]
pub struct Tally {
    requests: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    /// Requests recorded, failed ones too.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that failed or timed out.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    fn count(&self, batch: &[Operation]) {
        let (mut requests, mut failed) = (0, 0);
        for operation in batch {
            if let Operation::Request(request) = operation {
                requests += 1;
                failed += u64::from(!matches!(request.outcome, Outcome::Answered { .. }));
            }
        }
        self.requests.fetch_add(requests, Ordering::Relaxed);
        self.failed.fetch_add(failed, Ordering::Relaxed);
    }
}

/// One client's end of the recording: a buffer of its own, handed over when it is full.
#[derive(Debug)]
pub(crate) struct Recorder {
    buffer: Vec<Operation>,
    sender: mpsc::Sender<Vec<Operation>>,
    tally: Arc<Tally>,
    sight: Option<Arc<Sight>>,
}

/// Makes a recorder, to be cloned for each client, and the end that a writer reads batches from.
pub(crate) fn recording(tally: Arc<Tally>) -> (Recorder, mpsc::Receiver<Vec<Operation>>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (
        Recorder {
            buffer: Vec::new(),
            sender,
            tally,
            sight: None,
        },
        receiver,
    )
}

impl Recorder {
    /// Another client's end, which also tells at once what its proxy answers.
    pub(crate) fn watched_by(&self, sight: Arc<Sight>) -> Self {
        Self {
            sight: Some(sight),
            ..self.clone()
        }
    }

    /// Records one operation.
    pub(crate) async fn record(&mut self, operation: Operation) {
        if let Some(sight) = &self.sight {
            sight.saw(&operation);
        }
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(BATCH);
        }
        self.buffer.push(operation);
        if self.buffer.len() >= BATCH {
            self.flush().await;
        }
    }

    /// Hands over what is left; to be called when the client ends.
    pub(crate) async fn flush(&mut self) {
        let batch = std::mem::take(&mut self.buffer);
        self.tally.count(&batch);
        // The writer ends early only on an error of the disk, which it reports itself.
        drop(self.sender.send(batch).await);
    }
}

impl Clone for Recorder {
    /// Another client's end, with an empty buffer.
    fn clone(&self) -> Self {
        Self {
            buffer: Vec::new(),
            sender: self.sender.clone(),
            tally: Arc::clone(&self.tally),
            sight: self.sight.clone(),
        }
    }
}
