//! One thread that starts all children and never ends.
//!
//! Envoy asks the kernel to end it with the *thread* that started it (`PR_SET_PDEATHSIG`). Started
//! from a thread of the runtime's pool it would die whenever that thread is retired; started from
//! here it dies with the process, even when that is killed.

use std::io;
use std::process::{Child, Command};
use std::sync::{OnceLock, mpsc};

struct Order {
    command: Command,
    reply: mpsc::Sender<io::Result<Child>>,
}

static LAUNCHER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();

/// Starts a child from a thread that lives as long as this process, so that a child which asks the
/// kernel to end it with its parent lives as long.
///
/// # Errors
/// As [`Command::spawn`].
pub fn spawn(command: Command) -> io::Result<Child> {
    let launcher = LAUNCHER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for Order { mut command, reply } in orders {
                // Who ordered is waiting; were it gone, the child would be killed by nobody.
                if let Err(mpsc::SendError(Ok(mut child))) = reply.send(command.spawn()) {
                    drop(child.kill().and_then(|()| child.wait()));
                }
            }
        });
        sender
    });
    let (reply, answer) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts children is gone");
    launcher
        .send(Order { command, reply })
        .map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn child_is_started_and_a_missing_program_is_an_error() {
        let mut child = spawn(Command::new("true")).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(
            spawn(Command::new("/no/such")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
