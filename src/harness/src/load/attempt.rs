//! One request, from its intended time to its line in the history.

use std::sync::Arc;
use std::time::Duration;

use cutover_history::{Kind, Operation, Outcome, Request};
use hyper::HeaderMap;
use hyper::StatusCode;
use tokio_util::sync::CancellationToken;

use super::disguise::Disguise;
use super::door::Door;
use crate::clock::Clock;
use crate::testimony::Seen;

/// A request that is due.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) client: u32,
    pub(super) proxy: u32,
    pub(super) kind: Kind,
    pub(super) door: Arc<Door>,
    pub(super) intended: u64,
    /// Set by [`Attempt::started`]; before that, the intended time.
    pub(super) start: u64,
    pub(super) disguise: Disguise,
    pub(super) timeout: Duration,
    pub(super) stream_for: Duration,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// In words, with the status when there was one.
    Failed(Option<u16>, String),
    /// The client gave up.
    TimedOut,
}

impl Trouble {
    /// From any error of a library.
    pub(super) fn from_error(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut words = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            words.push_str(": ");
            words.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::Failed(None, words)
    }
}

impl Attempt {
    /// Notes that its first byte is about to be handed to the connection.
    pub(super) fn started(&mut self) {
        self.start = self.clock.now();
    }

    /// Waits for something, until the client gives up.
    pub(super) async fn in_time<T, E>(
        &self,
        wait: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Trouble>
    where
        E: std::error::Error + 'static,
    {
        match tokio::time::timeout(self.timeout, wait).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(Trouble::from_error(&error)),
            Err(_elapsed) => Err(Trouble::TimedOut),
        }
    }

    /// Reads response headers as seen at this instant.
    pub(super) fn read(
        status: StatusCode,
        expected: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Seen, Trouble> {
        if status != expected {
            return Err(Trouble::Failed(
                Some(status.as_u16()),
                format!("status {status}"),
            ));
        }
        Seen::from_headers(headers).ok_or_else(|| {
            Trouble::Failed(
                Some(status.as_u16()),
                "an answer that names no backend".to_owned(),
            )
        })
    }

    /// The line of the history, for headers (or trouble) seen at `end`.
    pub(super) fn record(&self, end: u64, seen: Result<Seen, Trouble>) -> Operation {
        let (outcome, contrary) = match seen {
            Ok(seen) => seen.into_parts(),
            Err(Trouble::Failed(status, error)) => (Outcome::Failed { status, error }, Vec::new()),
            Err(Trouble::TimedOut) => (Outcome::TimedOut, Vec::new()),
        };
        Operation::Request(Request {
            client: self.client,
            proxy: self.proxy,
            kind: self.kind,
            intended: self.intended,
            start: self.start,
            end,
            outcome,
            contrary,
        })
    }
}
