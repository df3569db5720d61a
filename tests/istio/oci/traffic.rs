//! Requests to one proxy without a pause, and what they are answered, as it changes.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Asks a proxy for the shop until it is dropped.
#[derive(Debug)]
pub(crate) struct Traffic {
    answers: Arc<Mutex<Answers>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What was answered since it was forgotten last.
#[derive(Debug, Default)]
struct Answers {
    /// Each answer that was another than the one before.
    changes: Vec<String>,
    count: usize,
}

impl Traffic {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let (answers, ends) = (
            Arc::<Mutex<Answers>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (into, end) = (Arc::clone(&answers), Arc::clone(&ends));
        let thread = thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let answer = ask(address);
                let mut seen = into.lock().unwrap_or_else(PoisonError::into_inner);
                seen.count += 1;
                if seen.changes.last() != Some(&answer) {
                    seen.changes.push(answer);
                }
                drop(seen);
                // Some 100 a second: this is to be seen, not to be loaded.
                thread::sleep(Duration::from_millis(10));
            }
        });
        Self {
            answers,
            ends,
            thread: Some(thread),
        }
    }

    /// Forgets what was answered; what follows was asked later than this.
    pub(crate) fn forget(&self) {
        *self.seen() = Answers::default();
    }

    /// The answers since then, each that was another than the one before: colors, or statuses that are errors.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.seen().changes.clone()
    }

    /// How many there were since then.
    pub(crate) fn count(&self) -> usize {
        self.seen().count
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// One request on a connection of its own.
fn ask(address: SocketAddr) -> String {
    let answer = || -> std::io::Result<String> {
        let mut connection = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        connection
            .write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = answer().unwrap_or_default();
    let status = answer.split(' ').nth(1).unwrap_or("no answer");
    let color = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-backend-color: "));
    match (status, color) {
        ("200", Some(color)) => color.to_owned(),
        (status, _) => status.to_owned(),
    }
}
