//! Text for people, JSON for programs; the result on standard output, all else on standard error.

use crate::failure::{Exit, Failure};
use serde_json::Value;
use std::{
    io::{self, Write as _},
    process::ExitCode,
};

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

/// What a command has to say.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) json: Value,
    pub(crate) exit: Exit,
}

impl Report {
    pub(crate) fn good(text: String, json: Value) -> Self {
        Self {
            text,
            json,
            exit: Exit::Good,
        }
    }
}

/// Prints a report or a failure, and gives the exit code.
pub(crate) fn print(format: Format, outcome: Result<Report, Failure>) -> ExitCode {
    let printed = match (&outcome, format) {
        (Ok(report), Format::Text) => write_out(&report.text),
        (Ok(report), Format::Json) => write_out(&format!("{:#}", report.json)),
        (Err(failure), Format::Json) => {
            complain(failure);
            write_out(&format!("{:#}", failure.to_json()))
        }
        (Err(failure), Format::Text) => {
            complain(failure);
            Ok(())
        }
    };
    match (printed, outcome) {
        // Whoever read us has seen enough (`| head`): the work is done all the same.
        (Err(error), _) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&Failure::environment(format!(
                "the result cannot be printed: {error}"
            )));
            Exit::Environment.into()
        }
        (_, Ok(report)) => report.exit.into(),
        (_, Err(failure)) => failure.kind.into(),
    }
}

/// Writes lines to standard output.
pub(crate) fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.trim_end())?;
    out.flush()
}

/// Writes to standard error; nobody is left to tell if that fails.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn complain(failure: &Failure) {
    say(&format!("error: {}", failure.message));
    if let Some(hint) = failure.hint.as_deref().filter(|hint| !hint.is_empty()) {
        say(&format!("hint: {hint}"));
    }
}
