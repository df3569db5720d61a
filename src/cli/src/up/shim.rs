//! The first moment of an Envoy: this program, which asks the kernel to end it with its parent, and
//! becomes Envoy.
//!
//! Envoy would ask itself, but only for hot restart, which leaves files in shared memory behind; and
//! only after a while, in which the parent may die unseen.

use crate::{
    failure::{Exit, Failure},
    output,
};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::{
    ffi::OsString,
    fs::File,
    io::{self, Seek as _, Write as _},
    os::{
        fd::AsFd as _,
        unix::process::{CommandExt as _, parent_id},
    },
    process::{Command, ExitCode},
};

/// What this program is called when it is to become an Envoy. No verb: nobody should say it.
const NAME: &str = "cutover-becomes-envoy";

/// A command that becomes the Envoy. Its standard input is a file to write the process id into.
pub(super) fn command(envoy: &std::path::Path) -> Command {
    // The link leads to this very program, also when an upgrade has replaced the file.
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(NAME)
        .arg(std::process::id().to_string())
        .arg(envoy);
    command
}

/// Becomes an Envoy, if that is what this process was started for; comes back if it was not, or
/// cannot.
pub(crate) fn enter() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    if arguments.next()? != NAME {
        return None;
    }
    let failure = match become_envoy(arguments) {
        Err(error) => Failure::environment(format!("Envoy cannot be started: {error}")),
        Ok(never) => match never {},
    };
    output::say(&failure.message);
    Some(Exit::Environment.into())
}

fn become_envoy(
    mut arguments: impl Iterator<Item = OsString>,
) -> io::Result<std::convert::Infallible> {
    let incomplete = || io::Error::from(io::ErrorKind::InvalidInput);
    let parent = arguments.next().ok_or_else(incomplete)?;
    let envoy = arguments.next().ok_or_else(incomplete)?;
    // SIGKILL, for an Envoy that hangs or is stopped would outlive anything else.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before it was asked for.
    if parent != *parent_id().to_string() {
        return Err(io::Error::other("who wanted it is gone"));
    }
    let mut pid_file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    pid_file.set_len(0)?;
    pid_file.rewind()?;
    write!(pid_file, "{}", std::process::id())?;
    Err(Command::new(envoy).args(arguments).exec())
}
