//! `cutover check`: a verdict that needs no trust in whoever made it.

use crate::{
    failure::{Exit, Failure},
    output::Report,
    picture, proof,
};
use clap::Args;
use cutover_checker::{Certificate, Refused};
use cutover_history::{InvalidHistory, Reader};
use cutover_report::Judged;
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

const EXAMPLE: &str = "\
Example:
  cutover check cutover-verify/certificate.json
  cutover check cutover-verify/history.jsonl -o json | jq .verdict
  cutover check cutover-verify/history.jsonl --report pictures

A certificate is checked against its history, which lies beside it: all of it is judged and \
counted again. A history that differs by one byte is refused, and so is a certificate that says \
anything else.

Exit codes: 0 holds, 1 violated or refused, 2 not a history or certificate, 3 inconclusive";

/// Judge a history or a certificate again, offline
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Check {
    /// A history (JSON lines) or a certificate (JSON)
    file: PathBuf,
    /// The certificate's history, if it does not lie beside it under its own name
    #[arg(long, value_name = "PATH")]
    history: Option<PathBuf>,
    /// Draw the run: one page, report.html, in this folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

impl Check {
    pub(crate) fn run(&self) -> Result<Report, Failure> {
        let mut file = open(&self.file)?;
        if is_history(&mut file) {
            if self.history.is_some() {
                return Err(Failure::usage(
                    "--history goes with a certificate, and this is a history",
                )
                .hint("leave --history out"));
            }
            let name = name_of(&self.file);
            let judged = Reader::new(file)
                .and_then(|reader| Judged::of(&name, reader))
                .map_err(|invalid| not_a_history(&self.file, &invalid))?;
            let page = self.draw(&judged, &self.file)?;
            return Ok(self.report(&judged.certificate, "history", "", page.as_deref()));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| {
            Failure::environment(format!("{} cannot be read: {error}", self.file.display()))
                .hint("look at its disk, then try again")
        })?;
        let certificate = Certificate::parse(&bytes).map_err(|invalid| {
            Failure::usage(format!("{}: {invalid}", self.file.display()))
                .hint("`cutover verify` writes history.jsonl and certificate.json")
        })?;
        let path = self.history.clone().unwrap_or_else(|| {
            // Only a name beside it: a certificate from elsewhere must not choose what is opened.
            self.file
                .with_file_name(name_of(Path::new(&certificate.history.file)))
        });
        let history = open(&path).map_err(|missing| Failure {
            hint: Some("--history PATH names the certificate's history".to_owned()),
            ..missing
        })?;
        let name = &certificate.history.file;
        let judged = Reader::new(history)
            .and_then(|reader| Judged::of(name, reader))
            .map_err(Refused::from)
            .and_then(|judged| certificate.compare(&judged.certificate).map(|()| judged))
            .map_err(|refused| {
                let message = format!("{} is refused: {refused}", self.file.display());
                Failure::new(Exit::Failed, message)
                    .hint("the certificate or its history was changed; make the run again")
                    .details(json!({ "stands": false }))
            })?;
        let page = self.draw(&judged, &path)?;
        let stands = format!(
            "The certificate stands: {} gives the same again.\n\n",
            path.display()
        );
        Ok(self.report(&certificate, "certificate", &stands, page.as_deref()))
    }

    fn draw(&self, judged: &Judged, history: &Path) -> Result<Option<PathBuf>, Failure> {
        let Some(folder) = &self.report else {
            return Ok(None);
        };
        picture::folder(folder)?;
        picture::draw(judged, history, folder).map(Some)
    }

    fn report(
        &self,
        certificate: &Certificate,
        kind: &str,
        head: &str,
        page: Option<&Path>,
    ) -> Report {
        let exit = proof::exit(&certificate.verdict);
        let mut json = as_json(certificate);
        if let Some(object) = json.as_object_mut() {
            object.insert("checked".to_owned(), kind.into());
            if let Some(page) = page {
                object.insert("report_file".to_owned(), page.display().to_string().into());
            }
        }
        let drawn = page.map_or_else(String::new, |page| format!("\nreport: {}", page.display()));
        let text = format!("{head}{}{drawn}", proof::in_words(certificate));
        Report::new(exit, text, json).next(proof::next(&certificate.verdict, &self.file, page))
    }
}

/// A certificate as JSON.
pub(super) fn as_json(certificate: &Certificate) -> Value {
    // Only a map with keys that are no strings cannot become JSON, and there is none.
    serde_json::to_value(certificate).unwrap_or_default()
}

fn open(path: &Path) -> Result<BufReader<File>, Failure> {
    let cannot = |why: String| {
        Failure::usage(format!("{} cannot be read: {why}", path.display()))
            .hint("name a history or a certificate that `cutover verify` wrote")
    };
    let file = File::open(path).map_err(|error| cannot(error.to_string()))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(cannot("it is a folder".to_owned()));
    }
    Ok(BufReader::with_capacity(1 << 20, file))
}

/// Looks at the first line, and takes nothing away.
fn is_history(file: &mut BufReader<File>) -> bool {
    let start = file.fill_buf().unwrap_or_default();
    let line = start
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let header = serde_json::from_slice::<Value>(line);
    // A torn header is a history all the same, if it begins like one.
    header.map_or_else(
        |_| line.starts_with(b"{\"cutover_history\""),
        |header| header.get("cutover_history").is_some(),
    )
}

fn not_a_history(path: &Path, invalid: &InvalidHistory) -> Failure {
    Failure::usage(format!("{}: {invalid}", path.display()))
        .hint("a history is judged whole or not at all; make the run again")
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
