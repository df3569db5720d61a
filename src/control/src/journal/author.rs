//! Who writes.

use rustix::{
    param::clock_ticks_per_second,
    process::{Pid, test_kill_process},
};
use serde::{Deserialize, Serialize};
use std::{
    env, fmt, fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Who switched something, as far as a process knows of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The user's name, or `uid N`; behind `sudo`, whom it acted for.
    pub user: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
}

impl Author {
    /// This process.
    pub fn this_process() -> Self {
        let uid = rustix::process::getuid().as_raw();
        let own = name_of(uid).unwrap_or_else(|| format!("uid {uid}"));
        let user = match env::var("SUDO_USER") {
            Ok(person) if uid == 0 && !person.is_empty() && person != own => {
                format!("{person} (sudo)")
            }
            _ => own,
        };
        let name = rustix::system::uname();
        Self {
            user,
            host: name.nodename().to_string_lossy().into_owned(),
            pid: std::process::id(),
        }
    }

    /// True when this process runs on the same machine.
    pub fn is_of_this_machine(&self) -> bool {
        self.host == Self::this_process().host
    }

    /// True when this was another process, on this machine, that still runs and ran `then` already:
    /// a pid may have been given to another program since, or to another run of the same.
    pub fn is_alive_elsewhere(&self, then: SystemTime) -> bool {
        let this = Self::this_process();
        if self.host != this.host || self.pid == this.pid {
            return false;
        }
        let pid = i32::try_from(self.pid).ok();
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            return false;
        };
        let answers = match test_kill_process(pid) {
            Ok(()) => true,
            Err(error) => error == rustix::io::Errno::PERM,
        };
        let (theirs, ours) = (Program::of(self.pid), Program::of(this.pid));
        // Where there is no /proc, the pid alone has to do.
        let same = match (theirs, ours) {
            (Some(theirs), Some(ours)) => {
                theirs.name == ours.name && !theirs.is_dead && theirs.started <= then + TICK
            }
            (None, Some(_)) => false,
            _ => true,
        };
        answers && same
    }
}

/// When a process started is known to within a second.
const TICK: Duration = Duration::from_secs(2);

/// What `/proc/PID/stat` says of a process (proc(5)).
struct Program {
    name: String,
    /// It has ended, and nobody has taken its exit code yet.
    is_dead: bool,
    started: SystemTime,
}

impl Program {
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses, and may contain some.
        let (name, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let state = fields.next()?;
        // Field 22, in ticks since the machine started; the state is field 3.
        let ticks: u64 = fields.nth(18)?.parse().ok()?;
        let machine = fs::read_to_string("/proc/stat").ok()?;
        let booted = machine
            .lines()
            .find_map(|line| line.strip_prefix("btime "))?;
        let seconds = booted.trim().parse::<u64>().ok()? + ticks / clock_ticks_per_second();
        Some(Self {
            name: name.split_once('(')?.1.to_owned(),
            is_dead: matches!(state, "Z" | "X"),
            started: UNIX_EPOCH + Duration::from_secs(seconds),
        })
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of {}", self.pid, self.user)
    }
}

/// The user's name, as `/etc/passwd` has it.
fn name_of(uid: u32) -> Option<String> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}
