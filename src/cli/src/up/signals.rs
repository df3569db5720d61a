//! What the process is told from outside.

use crate::failure::Failure;
use std::{fs, io};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that mean something here; from the first moment on none of them ends the process.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
    reopen: Signal,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Stop: the signal's name.
    Stop(&'static str),
    /// Open the log files anew: somebody has moved them away.
    ReopenLogs,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = || -> io::Result<Self> {
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                // Under nohup a terminal that closes is no reason to stop.
                hangup: if hangup_is_ignored() {
                    None
                } else {
                    Some(signal(SignalKind::hangup())?)
                },
                reopen: signal(SignalKind::user_defined1())?,
            })
        };
        listen().map_err(|error| {
            Failure::environment(format!("signals cannot be listened to: {error}"))
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Order {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Order::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Order::Stop("SIGINT"),
            _ = hangup => Order::Stop("SIGHUP"),
            _ = self.reopen.recv() => Order::ReopenLogs,
        }
    }

    /// Waits until it is told to stop; says by which signal.
    pub(crate) async fn stop(&mut self) -> &'static str {
        loop {
            if let Order::Stop(name) = self.next().await {
                return name;
            }
        }
    }
}

/// `SigIgn` of `/proc/self/status` is a mask; SIGHUP is 1, its lowest bit.
fn hangup_is_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}
