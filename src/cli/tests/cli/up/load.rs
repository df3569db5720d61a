//! Clients that keep their connection, and ask until they are told to stop.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Some clients at work.
pub(super) struct Load {
    over: Arc<AtomicBool>,
    /// Of each client.
    answers: Vec<Arc<AtomicU64>>,
    clients: Vec<JoinHandle<Seen>>,
}

/// What one client has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The colors, in order, each as often as it came anew.
    pub(super) colors: Vec<String>,
    /// What went wrong. A connection that was refused is not among it.
    pub(super) failures: Vec<String>,
    /// Whether a connection was refused, or reset before it was accepted: then the client went.
    pub(super) refused: bool,
    /// Answers that said goodbye.
    pub(super) goodbyes: u64,
}

impl Load {
    /// Starts clients with this pause between their requests.
    pub(super) fn start(address: SocketAddr, clients: usize, pause: Duration) -> Self {
        let over = Arc::<AtomicBool>::default();
        let answers: Vec<_> = (0..clients).map(|_| Arc::<AtomicU64>::default()).collect();
        let client = |answers: &Arc<AtomicU64>| {
            let (over, answers) = (Arc::clone(&over), Arc::clone(answers));
            thread::spawn(move || client(address, &over, &answers, pause))
        };
        let clients = answers.iter().map(client).collect();
        Self {
            over,
            answers,
            clients,
        }
    }

    /// Answers so far, of each client.
    fn answers(&self) -> Vec<u64> {
        let answers = self.answers.iter();
        answers.map(|one| one.load(Ordering::Relaxed)).collect()
    }

    /// Waits until so many more were answered, and each client has asked once more and was answered.
    #[track_caller]
    pub(super) fn wait_for(&self, more: u64) {
        let before = self.answers();
        let until = before.iter().sum::<u64>() + more;
        super::stage::wait_for("answers", || {
            let now = self.answers();
            // The first of a client's answers may be to what it had asked before.
            let each = now
                .iter()
                .zip(&before)
                .all(|(now, before)| *now > before + 1);
            each && now.iter().sum::<u64>() >= until
        });
    }

    /// Tells the clients to stop.
    pub(super) fn stop(self) -> Vec<Seen> {
        self.over.store(true, Ordering::Relaxed);
        self.clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    }

    /// Waits until every client was refused.
    pub(super) fn until_refused(self) -> Vec<Seen> {
        self.clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    }
}

fn client(address: SocketAddr, over: &AtomicBool, answers: &AtomicU64, pause: Duration) -> Seen {
    let mut seen = Seen::default();
    let mut connection: Option<BufReader<TcpStream>> = None;
    while !over.load(Ordering::Relaxed) {
        let stream = connection
            .take()
            .map_or_else(|| TcpStream::connect(address).map(BufReader::new), Ok);
        let Ok(stream) = stream else {
            seen.refused = true;
            return seen;
        };
        match ask(stream) {
            Ok(answer) => {
                answers.fetch_add(1, Ordering::Relaxed);
                if seen.colors.last() != Some(&answer.color) {
                    seen.colors.push(answer.color);
                }
                seen.goodbyes += u64::from(answer.connection.is_none());
                connection = answer.connection;
            }
            Err(error) => seen.failures.push(error.to_string()),
        }
        thread::sleep(pause);
    }
    seen
}

struct Answer {
    color: String,
    /// None when the answer said goodbye.
    connection: Option<BufReader<TcpStream>>,
}

fn ask(mut stream: BufReader<TcpStream>) -> io::Result<Answer> {
    stream
        .get_ref()
        .set_read_timeout(Some(Duration::from_secs(30)))?;
    stream
        .get_mut()
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    let (mut length, mut close) = (None, false);
    let mut status = String::new();
    stream.read_line(&mut status)?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::Error::other(format!("cut in the head: {status:?}")));
        }
        let line = line.trim().to_ascii_lowercase();
        match line.split_once(": ") {
            _ if line.is_empty() => break,
            Some(("content-length", number)) => length = number.parse().ok(),
            Some(("connection", "close")) => close = true,
            _ => {}
        }
    }
    let length: usize = length.ok_or_else(|| io::Error::other("no length"))?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    if !status.contains(" 200 ") {
        return Err(io::Error::other(status.trim().to_owned()));
    }
    Ok(Answer {
        color: String::from_utf8_lossy(&body).into_owned(),
        connection: (!close).then_some(stream),
    })
}
