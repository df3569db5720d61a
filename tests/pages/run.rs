//! Types a page's commands, and compares what is shown with what the page says.

use crate::compare::{begins, same, shows};
use crate::page::{Act, Block, Page, Step};
use crate::stage::Stage;
use crate::terminal::{Seen, Terminal};
use std::time::{Duration, Instant};

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a command showed, by its place on the page: block and step.
pub(crate) type Screens = Vec<Vec<Vec<String>>>;

/// Runs all blocks in their order; the first thing that goes wrong ends it.
pub(crate) fn run(page: &Page, compare: bool) -> Result<Screens, String> {
    let mut names: Vec<&str> = vec![];
    for block in &page.blocks {
        if !names.contains(&block.terminal.as_str()) {
            names.push(&block.terminal);
        }
    }
    let mut stage = Stage::new(names.len(), page.needs)?;
    let mut screens = vec![];
    for block in &page.blocks {
        let at = names.iter().position(|name| *name == block.terminal);
        let Some(terminal) = at.and_then(|at| stage.terminals.get_mut(at)) else {
            continue;
        };
        let mut shown = vec![];
        for (at, step) in block.steps.iter().enumerate() {
            let last = at + 1 == block.steps.len();
            let next = block.steps.get(at + 1);
            let interrupted = next.is_some_and(|step| step.act == Act::Interrupt);
            let told = |(what, seen): (String, Seen)| {
                let act = match &step.act {
                    Act::Type(command) => format!("$ {command}"),
                    Act::Interrupt => "^C".to_owned(),
                    Act::Wait => "(until it ends)".to_owned(),
                };
                let mut lines = vec![format!("line {}: {what}\n    {act}", step.line)];
                lines.extend(seen.screen.iter().map(|line| format!("    {line}")));
                lines.join("\n")
            };
            let played = play(terminal, step, block, last, interrupted, compare).map_err(told)?;
            shown.push(played.screen);
        }
        screens.push(shown);
    }
    for (terminal, name) in stage.terminals.iter().zip(names) {
        if let Some(code) = terminal.now().code.filter(|_| terminal.busy) {
            return Err(format!(
                "what keeps running in terminal {name} has ended, with {code}"
            ));
        }
    }
    Ok(screens)
}

/// Types, answers what is asked, waits for the end or for what is to be shown, and compares.
fn play(
    terminal: &mut Terminal,
    step: &Step,
    block: &Block,
    last: bool,
    interrupted: bool,
    compare: bool,
) -> Result<Seen, (String, Seen)> {
    let gone = |error| (format!("the terminal is gone: {error}"), Seen::default());
    let keeps_running = interrupted || block.keeps_running && last;
    match &step.act {
        Act::Type(_) if terminal.busy => {
            let problem = format!("something runs still in terminal {}", block.terminal);
            return Err((problem, Seen::default()));
        }
        Act::Type(command) => terminal.type_line(command).map_err(gone)?,
        Act::Interrupt => terminal.interrupt().map_err(gone)?,
        Act::Wait => {}
    }
    let deadline = Instant::now() + PATIENCE;
    let mut questions = step.shown.iter().filter_map(|line| question(line));
    let mut seen = loop {
        let asked = questions.next();
        let asks = |seen: &Seen| {
            let line = seen.screen.last();
            asked.is_some_and(|(before, _)| line.is_some_and(|line| same(before, line)))
        };
        let enough = |seen: &Seen| {
            let there = keeps_running && begins(&seen.screen, &step.shown);
            seen.code.is_some() || asks(seen) || there
        };
        let late = |seen| (format!("this is all after {} s", PATIENCE.as_secs()), seen);
        let seen = terminal.until(deadline, enough).map_err(late)?;
        match asked.filter(|_| seen.code.is_none() && asks(&seen)) {
            Some((_, answer)) => terminal.type_line(answer).map_err(gone)?,
            None => break seen,
        }
    };
    terminal.busy = seen.code.is_none();
    if step.act == Act::Interrupt {
        // What draws in place draws over it.
        let pressed = seen.screen.iter().rposition(|line| line.starts_with("^C"));
        seen.screen.drain(..pressed.unwrap_or(0));
        // Output goes on in the line in which the key was echoed.
        if let Some(first) = seen.screen.first().and_then(|line| line.strip_prefix("^C")) {
            let first = (!first.is_empty()).then(|| first.to_owned());
            seen.screen.splice(..1, first);
        }
    }
    let Some(code) = seen.code else {
        return Ok(seen);
    };
    terminal.next();
    let expected = if last { block.exits_with } else { None };
    let expected = expected.or((step.act != Act::Interrupt).then_some(0));
    if keeps_running {
        Err((format!("it has ended, with {code}"), seen))
    } else if expected.is_some_and(|expected| expected != code) {
        Err((format!("exits with {code}"), seen))
    } else if compare && !step.shown.is_empty() && !shows(&seen.screen, &step.shown) {
        Err(("the page says otherwise; this is shown".to_owned(), seen))
    } else {
        Ok(seen)
    }
}

/// A question and its answer, `Go on? [y/N] y`: what stands before the answer, and the answer.
fn question(line: &str) -> Option<(&str, &str)> {
    let (before, answer) = line.rsplit_once("] ")?;
    let asks = before.contains('?') && before.contains('[') && !answer.contains(' ');
    asks.then_some((line.get(..=before.len())?, answer))
}
