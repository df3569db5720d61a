//! What can be said on the command line.

mod instant;
mod place;

pub(crate) use instant::Instant;
pub(crate) use place::{Envoys, State, Target};

use crate::{
    called,
    failure::{Exit, Failure},
    module,
    output::{self, Events, Format},
    paint::ColorChoice,
    verbs::Verb,
};
use clap::{
    Args, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
    error::ErrorKind,
};
use cutover_control::ModuleId;
use cutover_core::Color;
use std::{
    collections::HashSet, env, ffi::OsString, path::PathBuf, process::ExitCode, time::Duration,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  it holds, it is done
  1  it is violated, it failed, or another writer was ahead
  2  bad use or a bad configuration; nothing was changed
  3  inconclusive, or the environment is in the way (no Envoy, a silent one)

With -o json or yaml standard output is one value, for a failure too, such as \
{\"error\": …, \"hint\": …, \"exit_code\": …, \"next\": …}; all else goes to standard error. \
With -o jsonl it is one object a line: each {\"event\": …}, at last {\"event\": \"result\", …}.";

/// Switches all traffic from blue to green inside Envoy, at one instant, and proves that it did
#[derive(Debug, Parser)]
#[command(name = "cutover", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    /// How results are printed
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "FORMAT",
        help = "How results are printed: text, json, yaml or jsonl",
        display_order = 900
    )]
    output: Format,

    /// When to use colors
    #[arg(
        id = "when",
        long = "color",
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "WHEN",
        help = "Colors: auto, always or never; NO_COLOR is heeded",
        display_order = 901
    )]
    color: ColorChoice,

    #[command(subcommand)]
    verb: Verb,
}

/// A command line that was not understood, or a request for help.
#[derive(Debug)]
pub(crate) struct Refused(clap::Error);

/// All that can be said on the command line.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// Reads the command line.
pub(crate) fn parse() -> Result<(Events, Verb), Refused> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let colors = match said(&arguments, None, "--color").unwrap_or_default() {
        ColorChoice::Auto => clap::ColorChoice::Auto,
        ColorChoice::Always => clap::ColorChoice::Always,
        ColorChoice::Never => clap::ColorChoice::Never,
    };
    let command = command().color(colors).long_version(version());
    let mut command = command.mut_subcommands(|verb| verb.mut_args(without_empty_variable));
    if called::is_kubectl_plugin() {
        command = command.bin_name("kubectl cutover");
    }
    let matches = command.try_get_matches();
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    cli.map(|cli| (Events::new(cli.output, cli.color), cli.verb))
        .map_err(Refused)
}

/// A variable that is empty counts as one that is not set, as in a shell's `VARIABLE= cutover …`.
fn without_empty_variable(argument: clap::Arg) -> clap::Arg {
    let value = argument.get_env().and_then(env::var_os);
    if value.is_some_and(|value| value.is_empty()) {
        return argument.env(None::<&str>);
    }
    argument
}

/// The tool's version, and the module that it carries.
fn version() -> &'static str {
    let version = env!("CARGO_PKG_VERSION");
    let carried = module::module(None).ok();
    match carried.and_then(|module| ModuleId::of_wasm(&module)) {
        // Made once, and needed until the process ends.
        Some(id) => format!("{version}, module {id}").leak(),
        None => version,
    }
}

impl Refused {
    /// Prints help to standard output, complaints to standard error.
    pub(crate) fn print(&self) -> ExitCode {
        let asked_for = matches!(
            self.0.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
        );
        if called::is_kubectl_plugin() {
            let text = called::as_called(&self.0.to_string());
            let _ = if asked_for {
                output::write_out(&text)
            } else {
                output::say(&text);
                Ok(())
            };
        } else {
            let _ = self.0.print();
        }
        if asked_for {
            return Exit::Good.into();
        }
        let arguments: Vec<_> = env::args_os().skip(1).collect();
        let format = said(&arguments, Some("-o"), "--output").unwrap_or_default();
        if format != Format::Text {
            let text = self.0.to_string();
            let sentence = text.lines().next().unwrap_or_default();
            let message = sentence.trim_start_matches("error: ").to_owned();
            let failure = Failure::usage(message).hint("--help tells what can be said");
            let object = output::object(failure.to_json());
            let _ = output::write_out(&output::in_format(format, object));
        }
        Exit::Usage.into()
    }
}

/// Looks for one option in arguments that as a whole may not be understood.
fn said<T: ValueEnum>(arguments: &[OsString], short: Option<&str>, long: &str) -> Option<T> {
    let words: Vec<_> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let value = words.iter().enumerate().find_map(|(at, word)| {
        if *word == long || Some(*word) == short {
            return words.get(at + 1).copied();
        }
        let beside = word
            .strip_prefix(long)
            .and_then(|rest| rest.strip_prefix('='));
        beside.or_else(|| {
            let rest = word.strip_prefix(short?)?;
            Some(rest.strip_prefix('=').unwrap_or(rest))
        })
    })?;
    T::from_str(value, false).ok()
}

/// What all flips have in common.
#[derive(Debug, Args)]
pub(crate) struct Flip {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) envoys: Envoys,
    /// The service; may be left out when the configuration has only one. Several switch at one instant
    #[arg(
        short,
        long = "service",
        value_name = "NAME",
        value_delimiter = ',',
        help = "The service; may be left out when there is only one; several (a,b) switch at one instant"
    )]
    pub(crate) services: Vec<String>,
    /// Refuse unless the file has this generation and no Envoy shows a newer one
    #[arg(long, value_name = "N")]
    pub(crate) expect_generation: Option<u64>,
    /// How long the Envoys may take to show it
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) deadline: Duration,
    /// Only write: ask no Envoy, and know nothing
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Why, for `cutover history`
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Show what would be written, and write nothing; `server`: ask the API server what it says to it
    #[arg(
        long,
        value_name = "WHO",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "client",
        hide_possible_values = true,
        help = "Show what would be written, and write nothing; =server asks the API server, too"
    )]
    pub(crate) dry_run: Option<DryRun>,
}

impl Flip {
    /// Leaves out a service that was named before.
    pub(crate) fn name_each_service_once(&mut self) {
        let mut named = HashSet::new();
        self.services.retain(|name| named.insert(name.clone()));
    }
}

/// Who says what a write would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DryRun {
    /// This tool
    Client,
    /// The API server as well
    Server,
}

/// Which color.
#[derive(Debug, Args)]
pub(crate) struct To {
    /// Which color
    #[arg(value_parser = color(), value_name = "COLOR")]
    pub(crate) color: Color,
}

/// Which color; left out where a switch that is staged already is meant.
#[derive(Debug, Args)]
pub(crate) struct ToOrStaged {
    /// Which color
    #[arg(
        value_parser = color(),
        value_name = "COLOR",
        required_unless_present_any = ["resume", "cancel"],
        conflicts_with_all = ["resume", "cancel"]
    )]
    pub(crate) color: Option<Color>,
}

/// What a preview is made for.
#[derive(Debug, Args)]
pub(crate) struct Preview {
    #[command(flatten)]
    pub(crate) to: To,
    #[command(flatten)]
    pub(crate) target: Target,
    /// The service; may be left out when the configuration has only one
    #[arg(short, long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// How long the token is good for
    #[arg(long = "for", value_name = "TIME", default_value = "15m", value_parser = duration)]
    pub(crate) life: Duration,
    /// Id of the key that signs; may be left out when only one is at hand
    #[arg(long, value_name = "ID")]
    pub(crate) key: Option<String>,
    /// File with the key's bytes, instead of the variable `CUTOVER_KEY_<ID>`; a line end is dropped
    #[arg(long, value_name = "PATH")]
    pub(crate) key_file: Option<PathBuf>,
    /// What the curl line asks for
    #[arg(
        long,
        value_name = "URL",
        help = "What the curl line asks for [default: where `cutover up` listens, or http://127.0.0.1:10000]"
    )]
    pub(crate) url: Option<String>,
}

/// A color; a misspelled one gets a suggestion.
pub(crate) fn color() -> impl TypedValueParser<Value = Color> {
    PossibleValuesParser::new(Color::ALL.map(Color::as_str)).try_map(|word| word.parse::<Color>())
}

/// An address to listen on.
pub(crate) fn address(text: &str) -> Result<std::net::SocketAddr, String> {
    text.parse()
        .map_err(|_| "an address is IP:PORT, such as 127.0.0.1:10000 or [::1]:10000".to_owned())
}

/// A time such as `500ms`, `10s`, `15m` or `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    let positive = parsed
        .and_then(|time| Duration::try_from(time).ok())
        .filter(|t| !t.is_zero());
    positive.ok_or_else(|| "a time is a number with a unit, such as 500ms, 10s or 15m".to_owned())
}
