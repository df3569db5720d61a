//! A terminal with bash in it, as a person has one: what is typed is echoed, what is asked can be answered, and a
//! tool finds that it talks to a terminal.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Tall enough that nothing of one command is ever scrolled away.
const ROWS: u16 = 1000;
const COLUMNS: u16 = 132;

/// What bash writes before a command's first output and after its last, and no terminal shows.
const BEGINS: &[u8] = b"\x1b]133;C\x07";
const ENDS: &[u8] = b"\x1b]133;D;";

/// What bash is started with, so that it writes those.
pub(crate) const RC_FILE: &str = r"PS1='$ ' PS2='> ' PS0='\e]133;C\a' PROMPT_COMMAND='printf \\e]133\;D\;$?\\a'
unset HISTFILE
";

/// A terminal; what came out of it so far is kept.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// Where a process inside finds it.
    pub(crate) path: String,
    master: File,
    /// Paths that differ from run to run, and what they are shown as.
    names: Vec<(String, &'static str)>,
    came: Arc<Came>,
    /// A command runs in it, and the page has gone on.
    pub(crate) busy: bool,
    /// How much of what came belongs to commands that are over.
    over: usize,
}

#[derive(Debug, Default)]
struct Came {
    bytes: Mutex<Vec<u8>>,
    more: Condvar,
}

/// A command that was typed, so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What stands on the screen, from the line after the command.
    pub(crate) screen: Vec<String>,
    /// The exit code, once it has ended.
    pub(crate) code: Option<i32>,
}

impl Terminal {
    /// A terminal in which nothing runs yet.
    pub(crate) fn open(names: Vec<(String, &'static str)>) -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let path = ptsname(&master, vec![])?.to_string_lossy().into_owned();
        let size = Winsize {
            ws_row: ROWS,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size)?;
        let master = File::from(master);
        let came = Arc::new(Came::default());
        let (mut reader, keeper) = (master.try_clone()?, Arc::clone(&came));
        thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            // An error says that nobody has the terminal open any more.
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                let mut bytes = keeper.bytes.lock().unwrap_or_else(PoisonError::into_inner);
                bytes.extend(buffer.iter().take(length));
                keeper.more.notify_all();
            }
        });
        Ok(Self {
            path,
            master,
            names,
            came,
            busy: false,
            over: 0,
        })
    }

    /// Waits for bash's first prompt.
    pub(crate) fn ready(&mut self, deadline: Instant) -> Result<(), String> {
        self.until(deadline, |seen| seen.code.is_some())
            .map_err(|seen| format!("no shell came up: {}", seen.screen.join("\n")))?;
        self.next();
        Ok(())
    }

    /// Types text as it stands, with a line feed.
    pub(crate) fn type_line(&mut self, text: &str) -> io::Result<()> {
        self.master.write_all(format!("{text}\n").as_bytes())
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&mut self) -> io::Result<()> {
        self.master.write_all(b"\x03")
    }

    /// What can be seen without waiting.
    pub(crate) fn now(&self) -> Seen {
        self.until(Instant::now(), |_| true).unwrap_or_default()
    }

    /// Waits until something is true of the command that runs; else gives what is there at the deadline.
    pub(crate) fn until(
        &self,
        deadline: Instant,
        mut enough: impl FnMut(&Seen) -> bool,
    ) -> Result<Seen, Seen> {
        let mut bytes = self
            .came
            .bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut seen = look(bytes.get(self.over..).unwrap_or_default());
            for line in &mut seen.screen {
                for (path, name) in &self.names {
                    *line = line.replace(path, name);
                }
            }
            if enough(&seen) {
                return Ok(seen);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Err(seen);
            }
            let waited = self.came.more.wait_timeout(bytes, left);
            bytes = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The command that ran is over, and what it showed was seen.
    pub(crate) fn next(&mut self) {
        let bytes = self
            .came
            .bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let rest = bytes.get(self.over..).unwrap_or_default();
        self.over += find(rest, ENDS).map_or(rest.len(), |at| at + ENDS.len());
    }
}

/// What a command has shown by now. Bytes are those since the command before it was over.
fn look(bytes: &[u8]) -> Seen {
    let (begin, end) = (find(bytes, BEGINS), find(bytes, ENDS));
    let begin = begin.map_or(0, |at| at + BEGINS.len());
    let code = end.and_then(|end| {
        let code = bytes.get(end + ENDS.len()..)?;
        let code = code.get(..code.iter().position(|byte| *byte == b'\x07')?)?;
        std::str::from_utf8(code).ok()?.parse().ok()
    });
    let shown = bytes
        .get(begin..end.unwrap_or(bytes.len()))
        .unwrap_or_default();
    let size = |size| NonZeroU16::new(size).unwrap_or(NonZeroU16::MIN);
    let mut parser = vt100::Parser::new(size(ROWS), size(COLUMNS), 0);
    parser.process(shown);
    let screen = parser.screen().contents();
    let screen = screen
        .trim_end()
        .lines()
        .map(|line| line.trim_end().to_owned());
    Seen {
        screen: screen.collect(),
        code,
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
