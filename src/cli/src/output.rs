//! Text for people, JSON and YAML for programs; the result on standard output, all else on standard
//! error.

use crate::{
    called,
    failure::{Exit, Failure},
    paint::{self, ColorChoice},
    screen::Screen,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Map, Value, json};
use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use terminal_size::{Width, terminal_size_of};

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON value
    Json,
    /// One YAML document
    Yaml,
    /// One JSON object a line: each event as it happens, the result last
    Jsonl,
}

/// What a command has to say.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) text: String,
    /// An object; `exit_code` and `next` are added when it is printed.
    pub(crate) json: Value,
    pub(crate) exit: Exit,
    /// What to do now, as a command or a sentence: the last line of the text.
    pub(crate) next: Option<String>,
    /// What stands before the next step in the text.
    pub(crate) next_mark: &'static str,
    /// The text is the result in any format, and nothing is added to it.
    pub(crate) is_whole: bool,
}

impl Report {
    pub(crate) fn new(exit: Exit, text: impl Into<String>, json: Value) -> Self {
        Self {
            text: text.into(),
            json,
            exit,
            next: None,
            next_mark: "next: ",
            is_whole: false,
        }
    }

    /// A text that programs read, whatever the format.
    pub(crate) fn as_it_is(text: impl Into<String>) -> Self {
        Self {
            is_whole: true,
            ..Self::new(Exit::Good, text, Value::Null)
        }
    }

    pub(crate) fn good(text: impl Into<String>, json: Value) -> Self {
        Self::new(Exit::Good, text, json)
    }

    pub(crate) fn next(mut self, step: impl Into<String>) -> Self {
        self.next = Some(step.into());
        self
    }

    fn in_words(&self) -> String {
        let text = self.text.trim_end();
        called::as_called(&match &self.next {
            Some(step) if text.is_empty() => format!("{}{step}", self.next_mark),
            Some(step) => format!("{text}\n{}{step}", self.next_mark),
            None => text.to_owned(),
        })
    }

    fn as_object(&self) -> Map<String, Value> {
        let mut object = object(self.json.clone());
        object.insert("exit_code".to_owned(), (self.exit as u8).into());
        let next = self.next.as_deref().map(called::as_called);
        object.insert("next".to_owned(), next.into());
        object
    }
}

/// Takes what happens on the way, and the outcome at the end, to whoever asked.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    pub(crate) format: Format,
    color: ColorChoice,
    reader_is_gone: Arc<AtomicBool>,
}

impl Events {
    pub(crate) fn new(format: Format, color: ColorChoice) -> Self {
        Self {
            format,
            color,
            reader_is_gone: Arc::default(),
        }
    }

    /// Tells of something that happened: with jsonl as a line on standard output, else as `text`
    /// (if there is any) on standard error. `details` is an object.
    pub(crate) fn emit(&self, event: &str, details: Value, text: &str) {
        if self.format == Format::Jsonl {
            let mut details = object(details);
            let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
            details.insert("at".to_owned(), now.to_string().into());
            let _ = self.write_out(&line(event, details));
        } else if !text.is_empty() {
            self.say(text);
        }
    }

    /// Asks on standard error; the answer is typed behind it.
    pub(crate) fn ask(&self, question: &str) {
        let colors = self.color.is_wanted(&io::stderr());
        let question = if colors {
            paint::words(question)
        } else {
            question.to_owned()
        };
        let mut err = io::stderr().lock();
        let _ = write!(err, "{question}").and_then(|()| err.flush());
    }

    /// Says something on standard error.
    pub(crate) fn say(&self, text: &str) {
        let colors = self.color.is_wanted(&io::stderr());
        say(&if colors {
            paint::words(text)
        } else {
            text.to_owned()
        });
    }

    /// Tells of something that happened, where that is what was asked for: as a line on standard
    /// output. Only what reads one JSON or YAML value gets it on standard error.
    pub(crate) fn tell(&self, event: &str, details: Value, text: &str) {
        match self.format {
            Format::Text => {
                let _ = self.write_out(&self.painted(text));
            }
            _ => self.emit(event, details, text),
        }
    }

    /// How wide standard output is, where it is a terminal that people read.
    pub(crate) fn columns(&self) -> Option<usize> {
        let out = io::stdout();
        if self.format != Format::Text || !out.is_terminal() {
            return None;
        }
        let (Width(columns), _) = terminal_size_of(out)?;
        (columns > 0).then(|| columns.into())
    }

    /// A screen to draw on, where standard output is one.
    pub(crate) fn screen(&self) -> Option<Screen> {
        let is_screen = self.format == Format::Text && paint::can_be_drawn_on(&io::stdout());
        is_screen.then(|| Screen::new(self.color.is_wanted(&io::stdout())))
    }

    /// True once standard output was closed by whoever read it: a watch ends then.
    pub(crate) fn reader_is_gone(&self) -> bool {
        // A pipe that nobody reads is in error, also before something is written to it.
        let mut out = [PollFd::from_borrowed_fd(
            rustix::stdio::stdout(),
            PollFlags::empty(),
        )];
        let polled = poll(&mut out, Some(&Timespec::default()));
        let gone = polled.is_ok() && out.iter().any(|out| out.revents().contains(PollFlags::ERR));
        gone || self.reader_is_gone.load(Ordering::Relaxed)
    }

    /// Notes that standard output was closed.
    pub(crate) fn reader_left(&self) {
        self.reader_is_gone.store(true, Ordering::Relaxed);
    }

    fn painted(&self, text: &str) -> String {
        if self.color.is_wanted(&io::stdout()) {
            paint::words(text)
        } else {
            text.to_owned()
        }
    }

    /// Prints a report or a failure, and gives the exit code.
    pub(crate) fn finish(&self, outcome: Result<Report, Failure>) -> ExitCode {
        let (exit, text, object) = match outcome {
            Ok(report) if report.is_whole => {
                let printed = self.write_out(&report.text);
                return self.printed(printed, report.exit);
            }
            Ok(report) => {
                let text = self.painted(&report.in_words());
                (report.exit, Some(text), report.as_object())
            }
            Err(failure) => {
                self.complain(&failure);
                (
                    failure.kind,
                    None,
                    object(called::value_as_called(failure.to_json())),
                )
            }
        };
        let printed = match self.format {
            Format::Text => text.map_or(Ok(()), |text| self.write_out(&text)),
            format => self.write_out(&in_format(format, object)),
        };
        self.printed(printed, exit)
    }

    fn printed(&self, printed: io::Result<()>, exit: Exit) -> ExitCode {
        match printed {
            Ok(()) => exit.into(),
            Err(error) => {
                self.complain(
                    &Failure::environment(format!("the result cannot be printed: {error}")).hint(
                        "is there space left where standard output goes? the work itself is done",
                    ),
                );
                Exit::Environment.into()
            }
        }
    }

    /// Writes lines to standard output. Whoever read us may have seen enough (`| head`): that is no
    /// error, for the work is done all the same.
    fn write_out(&self, text: &str) -> io::Result<()> {
        match write_out(text) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.reader_left();
                Ok(())
            }
            printed => printed,
        }
    }

    fn complain(&self, failure: &Failure) {
        let mut text = format!("error: {}", failure.message);
        if let Some(hint) = failure.hint.as_deref().filter(|hint| !hint.is_empty()) {
            let _ = write!(text, "\nhint: {hint}");
        }
        self.say(&called::as_called(&text));
    }
}

/// A result as programs read it; text stays JSON.
pub(crate) fn in_format(format: Format, object: Map<String, Value>) -> String {
    match format {
        Format::Yaml => {
            // Only a map with keys that are no strings could fail, and there is none.
            yaml_serde::to_string(&object).unwrap_or_else(|error| format!("error: {error}"))
        }
        Format::Jsonl => line("result", object),
        Format::Text | Format::Json => format!("{:#}", Value::from(object)),
    }
}

/// One line of jsonl, its kind first, where eyes look for it.
fn line(event: &str, details: Map<String, Value>) -> String {
    let details = Value::from(details).to_string();
    let rest = details.strip_prefix('{').unwrap_or_default();
    let comma = if rest == "}" { "" } else { "," };
    format!("{{\"event\":{}{comma}{rest}", Value::from(event))
}

/// The members of an object; anything else becomes the one member `value`.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        Value::Null => Map::new(),
        other => object(json!({ "value": other })),
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
