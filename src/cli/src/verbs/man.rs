//! `cutover man`: a manual page for the tool, and one a verb.

use crate::{args, failure::Failure, output::Report};
use clap::{Args, Command};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};
use serde_json::json;
use std::{fs, io, path::PathBuf};

const EXAMPLE: &str = "\
Example:
  cutover man | man -l -
  cutover man ~/.local/share/man/man1

Without DIR the page of the tool is printed. With DIR its page and those of all verbs are written \
there, as cutover.1, cutover-flip.1 and so on; pages of these names are replaced.

Exit codes: 0 printed or written, 2 bad use, 3 the folder cannot be written";

/// Print the manual page, or write those of all verbs into a folder
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Manual {
    /// The folder to write into
    dir: Option<PathBuf>,
    /// Only tell which files would be written
    #[arg(long, requires = "dir")]
    dry_run: bool,
}

impl Manual {
    pub(crate) fn run(&self) -> Result<Report, Failure> {
        let tool = args::command().disable_help_subcommand(true);
        let mut tool = tool
            .subcommand_help_heading("COMMANDS")
            .subcommand_value_name("command");
        tool.build();
        let Some(dir) = &self.dir else {
            let page = page(&tool);
            return Ok(Report::good(page.clone(), json!({ "page": page })));
        };
        let verbs = tool
            .get_subcommands()
            .filter(|verb| verb.get_name() != "help");
        let pages = std::iter::once(&tool).chain(verbs);
        let pages: Vec<_> = pages
            .map(|command| (dir.join(format!("{}.1", name(command))), page(command)))
            .collect();
        if !self.dry_run {
            fs::create_dir_all(dir).map_err(|error| cannot(dir, &error))?;
            for (path, page) in &pages {
                fs::write(path, page).map_err(|error| cannot(path, &error))?;
            }
        }
        let files: Vec<_> = pages
            .iter()
            .map(|(path, _)| path.display().to_string())
            .collect();
        let what = if self.dry_run { "would write" } else { "wrote" };
        let text = format!("{what} {} pages:\n  {}", files.len(), files.join("\n  "));
        let next = match (self.dry_run, files.first()) {
            (false, Some(first)) => format!("man -l {first}"),
            _ => format!("cutover man {} writes them", dir.display()),
        };
        let json = json!({ "files": files, "written": !self.dry_run });
        Ok(Report::good(text, json).next(next))
    }
}

fn cannot(path: &std::path::Path, error: &io::Error) -> Failure {
    let message = format!("{} cannot be written: {error}", path.display());
    Failure::environment(message).hint("name a folder that you may write to")
}

/// `cutover`, or `cutover-flip`.
fn name(command: &Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

/// One page, as roff.
fn page(command: &Command) -> String {
    let man = Man::new(command.clone())
        .title(name(command).to_uppercase())
        .date(" ")
        .source(concat!("cutover ", env!("CARGO_PKG_VERSION")))
        .manual("Cutover");
    let mut page = vec![];
    let sections = [
        Man::render_title,
        Man::render_name_section,
        Man::render_synopsis_section,
        Man::render_description_section,
        Man::render_options_section,
    ];
    // Writing into memory does not fail.
    for section in sections {
        let _ = section(&man, &mut page);
    }
    if command.has_subcommands() {
        let _ = man.render_subcommands_section(&mut page);
    }
    let _ = after_help(command).to_writer(&mut page);
    String::from_utf8_lossy(&page).into_owned()
}

/// Examples, notes and exit codes: what stands below the options in `--help`.
fn after_help(command: &Command) -> Roff {
    let help = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let (notes, codes) = help.split_once("Exit codes:").unwrap_or((&help, ""));
    let mut roff = Roff::new();
    let mut paragraphs = notes.trim().split("\n\n").peekable();
    if let Some(examples) = paragraphs.next_if(|first| first.starts_with("Example:\n")) {
        roff.control("SH", ["EXAMPLES"]);
        roff.control("nf", []);
        for line in examples.lines().skip(1) {
            roff.text([roman(line.trim_start())]);
        }
        roff.control("fi", []);
    }
    if paragraphs.peek().is_some_and(|first| !first.is_empty()) {
        roff.control("SH", ["NOTES"]);
        for paragraph in paragraphs {
            roff.control("PP", []);
            roff.text([roman(one_line(paragraph))]);
        }
    }
    roff.control("SH", ["EXIT STATUS"]);
    let (codes, more) = codes.trim().split_once("\n\n").unwrap_or((codes, ""));
    for (code, meaning) in exit_codes(&one_line(codes)) {
        roff.control("TP", []);
        roff.text([roman(code)]);
        roff.text([roman(meaning)]);
    }
    if !more.is_empty() {
        roff.control("PP", []);
        roff.text([roman(one_line(more))]);
    }
    if !command.has_subcommands() {
        roff.control("SH", ["SEE ALSO"]);
        roff.text([roman("cutover(1)")]);
    }
    roff
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The codes and their meanings in `0 done, 1 refused, or not shown, 2 bad use`.
fn exit_codes(text: &str) -> Vec<(String, String)> {
    let mut codes: Vec<(String, String)> = vec![];
    let words = text.split(' ').filter(|word| !word.is_empty());
    for word in words {
        let is_next = matches!(word, "0" | "1" | "2" | "3");
        match codes.last_mut() {
            _ if is_next => codes.push((word.to_owned(), String::new())),
            Some((_, meaning)) => {
                if !meaning.is_empty() {
                    meaning.push(' ');
                }
                meaning.push_str(word);
            }
            None => {}
        }
    }
    for (_, meaning) in &mut codes {
        let end = meaning.trim_end_matches(',').len();
        meaning.truncate(end);
    }
    codes
}
