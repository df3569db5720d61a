//! A question before something is written.

use crate::{failure::Failure, output::Events};
use cutover_control::Interrupt;
use std::io::{self, BufRead as _, IsTerminal as _};
use tokio::sync::oneshot;

/// True where somebody is there who can be asked.
pub(crate) fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks, and fails unless the answer is yes.
pub(crate) async fn ask(
    events: &Events,
    question: &str,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    events.ask(&format!("{question} [y/N] "));
    let (sender, answer) = oneshot::channel();
    // A thread that nobody waits for: a read from a terminal cannot be called off.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line).map(|_| line);
        sender.send(read)
    });
    let answer = tokio::select! {
        () = interrupt.raised() => {
            events.say("");
            return Err(Failure::environment("interrupted: nothing was written")
                .hint("run it again when you are ready"));
        }
        answer = answer => answer,
    };
    let said = match answer {
        Ok(Ok(line)) => line.trim().to_ascii_lowercase(),
        _ => String::new(),
    };
    if said == "y" || said == "yes" {
        return Ok(());
    }
    Err(Failure::failed("not agreed: nothing was written")
        .hint("answer y to go on; --yes says so beforehand"))
}
