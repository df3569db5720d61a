//! Being told to stop: Ctrl-C, `kill`, a terminal that closes.

use crate::failure::Failure;
use cutover_control::Interrupt;
use tokio::signal::unix::{SignalKind, signal};

/// Raised by each SIGINT, SIGTERM and SIGHUP, which from here on end nothing by themselves.
pub(crate) fn interrupt() -> Result<Interrupt, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| {
            Failure::environment(format!("signals cannot be listened to: {error}"))
        })
    };
    let mut int = listen(SignalKind::interrupt())?;
    let mut term = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
                _ = hang_up.recv() => {}
            }
            raised.raise();
        }
    });
    Ok(interrupt)
}
