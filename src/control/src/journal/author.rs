//! Who writes.

use serde::{Deserialize, Serialize};
use std::{env, fmt, fs};

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

    /// True when this was another process, on this machine, that still runs. A pid that has been
    /// given to another program since does not count.
    pub fn is_alive_elsewhere(&self) -> bool {
        let this = Self::this_process();
        if self.host != this.host || self.pid == this.pid {
            return false;
        }
        let pid = i32::try_from(self.pid).ok();
        let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else {
            return false;
        };
        let runs = match rustix::process::test_kill_process(pid) {
            Ok(()) => true,
            Err(error) => error == rustix::io::Errno::PERM,
        };
        let program = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        let same = match (program(self.pid), program(this.pid)) {
            (Some(theirs), Some(ours)) => theirs == ours,
            _ => true,
        };
        runs && same
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
