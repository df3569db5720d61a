//! `cutover history`.

use super::plan::number;
use crate::{
    args,
    failure::Failure,
    output::{Events, Report},
    table::table_within,
};
use clap::Args;
use cutover_control::{Chapter, Entry, Fate, Kind, TargetError};
use serde_json::{Value, json};
use std::time::SystemTime;

/// What a narrow terminal does without, the least first.
const LEAST: &[&str] = &["GENERATION", "FROM", "SERVICE", "REASON", "BY"];

const EXAMPLE: &str = "\
Example:
  cutover history --target file:envoy/cutover.json
  cutover history --service shop --last 5 -o json

It reads PATH.journal beside the file, which flip and rollback write: one line before the file is \
replaced, one when it is known what came of it. A switch whose command died in between is told as \
unknown, with what the file says.

Exit codes: 0 shown, 2 bad use, 3 the journal cannot be read";

/// Show who switched what, when, and what came of it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct History {
    #[command(flatten)]
    target: args::Target,
    /// Only this service
    #[arg(short, long, value_name = "NAME")]
    service: Option<String>,
    /// How many of the newest
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: usize,
}

impl History {
    pub(crate) async fn run(&self, events: &Events) -> Result<Report, Failure> {
        let target = self.target.open().await?;
        let entries = target.entries().await?;
        let now = target.read().await;
        if entries.is_empty()
            && let Err(missing @ TargetError::Missing(_)) = now
        {
            return Err(missing.into());
        }
        // A configuration that cannot be read tells nothing.
        let now = now.ok().and_then(|document| document.plan().ok());
        let mut chapters = Chapter::of(&entries, |service| {
            Some(now.as_ref()?.service(service)?.switch().into())
        });
        if let Some(service) = &self.service {
            chapters.retain(|chapter| chapter.begun.service == *service);
        }
        let chapters = chapters.split_off(chapters.len().saturating_sub(self.last));
        let path = target.journal();
        let json = json!({
            "journal": path,
            "switches": chapters.iter().map(as_json).collect::<Vec<_>>(),
        });
        if chapters.is_empty() {
            let text = format!("no switch is noted in {path}");
            return Ok(Report::good(text, json)
                .next("`cutover plan COLOR` shows what a flip would change"));
        }
        let head = [
            "AT",
            "BY",
            "VERB",
            "SERVICE",
            "FROM",
            "TO",
            "GENERATION",
            "OUTCOME",
            "REASON",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(chapters.iter().map(row));
        Ok(
            Report::good(table_within(events.columns(), rows, LEAST), json)
                .next("`cutover status` shows what is true now"),
        )
    }
}

fn row(chapter: &Chapter) -> Vec<String> {
    let begun = &chapter.begun;
    vec![
        time(begun.at, "%Y-%m-%d %H:%M:%SZ"),
        format!("{}@{}", begun.by.user, begun.by.host),
        begun.verb.clone(),
        begun.service.clone(),
        begun.from.active.to_string(),
        begun.to.active.to_string(),
        number(begun.to.generation),
        outcome(chapter),
        begun.reason.clone().unwrap_or_default(),
    ]
}

fn outcome(chapter: &Chapter) -> String {
    let end = match &chapter.fate {
        Fate::UnderWay => return "under way".to_owned(),
        Fate::Unknown { written } => {
            let by = &chapter.begun.by;
            // Whether a process of another machine still runs cannot be seen from here.
            let why = if by.is_of_this_machine() {
                "the process died".to_owned()
            } else {
                format!("{} has noted no end", by.host)
            };
            let file = match written {
                Some(true) => "the file has that generation",
                Some(false) => "the file has not that generation",
                None => "nothing tells whether it was written",
            };
            return format!("unknown: {why}; {file}");
        }
        Fate::Noted(end) => end,
    };
    let all = end.shown.len() + end.missing.len();
    let missing: Vec<_> = end.missing.iter().map(|one| one.admin.clone()).collect();
    let some = format!(
        "on {} of {all}, missing {}",
        end.shown.len(),
        missing.join(" ")
    );
    match end.kind {
        Kind::Begun => "begun".to_owned(),
        Kind::Done => {
            let took = end.milliseconds.unwrap_or_default();
            format!("done on {all} of {all} in {took} ms")
        }
        Kind::Written if !end.gone.is_empty() => {
            "written; every Envoy went away before it showed it".to_owned()
        }
        Kind::Written => "written, no Envoy was asked".to_owned(),
        Kind::Missing => some,
        Kind::Interrupted if !end.in_doubt.is_empty() => format!(
            "interrupted while it was taken back, in doubt {}",
            end.in_doubt.join(" ")
        ),
        Kind::Interrupted => format!("interrupted: {some}"),
        Kind::Failed => "failed: nothing was written".to_owned(),
        Kind::Staged => "staged".to_owned(),
        Kind::Activated => format!(
            "activated on {all} of {all} at {}",
            time_of_day(end.activate_at)
        ),
        Kind::Cancelled => format!("taken back before {}", time_of_day(end.activate_at)),
        Kind::InDoubt => {
            let doubtful = if end.in_doubt.is_empty() {
                &missing
            } else {
                &end.in_doubt
            };
            let doubtful = doubtful.join(" ");
            match end.activate_at {
                Some(at) => format!(
                    "taken back, in doubt {doubtful} at {}",
                    time_of_day(Some(at))
                ),
                // The cancel itself, which waits for no instant.
                None => format!("not shown in time by {doubtful}"),
            }
        }
        Kind::Restaged => "staged again with a longer hold".to_owned(),
        Kind::NotCancelled => format!(
            "could not be taken back, activates at {}",
            time_of_day(end.activate_at)
        ),
        Kind::Superseded => "another switch came in between".to_owned(),
    }
}

/// The time of an instant, to the millisecond.
fn time_of_day(unix_ms: Option<u64>) -> String {
    let at = i64::try_from(unix_ms.unwrap_or_default()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(at).map_or_else(
        |_| "-".to_owned(),
        |at| at.strftime("%H:%M:%S%.3fZ").to_string(),
    )
}

fn as_json(chapter: &Chapter) -> Value {
    let begun = &chapter.begun;
    let (kind, written, end): (&str, Option<bool>, Option<&Entry>) = match &chapter.fate {
        Fate::UnderWay => ("under-way", None, None),
        Fate::Unknown { written } => ("unknown", *written, None),
        Fate::Noted(end) => (word(end.kind), Some(end.kind != Kind::Failed), Some(end)),
    };
    json!({
        "at": time(begun.at, "%Y-%m-%dT%H:%M:%S%.3fZ"),
        "by": begun.by,
        "verb": begun.verb,
        "service": begun.service,
        "from": begun.from,
        "to": begun.to,
        "reason": begun.reason,
        "outcome": kind,
        "written": written,
        "shown": end.map(|end| &end.shown),
        "missing": end.map(|end| &end.missing),
        "activate_at": begun.activate_at,
        "hold": begun.hold,
        "in_doubt": end.map(|end| &end.in_doubt),
        "milliseconds": end.and_then(|end| end.milliseconds),
    })
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Begun => "begun",
        Kind::Done => "done",
        Kind::Written => "written",
        Kind::Missing => "missing",
        Kind::Interrupted => "interrupted",
        Kind::Failed => "failed",
        Kind::Staged => "staged",
        Kind::Activated => "activated",
        Kind::Cancelled => "cancelled",
        Kind::InDoubt => "in-doubt",
        Kind::Restaged => "restaged",
        Kind::NotCancelled => "not-cancelled",
        Kind::Superseded => "superseded",
    }
}

fn time(at: SystemTime, format: &str) -> String {
    let at = jiff::Timestamp::try_from(at);
    at.map_or_else(|_| "-".to_owned(), |at| at.strftime(format).to_string())
}
