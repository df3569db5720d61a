//! What goes wrong, in words and as an exit code.

mod cluster;

use cutover_control::{
    FlipError, InvalidDocument, InvalidInstant, JournalError, Proxy, Refusal, Shown, StateError,
    Target, TargetError, Unshown, Why, Written, state,
};
use cutover_core::Color;
use serde_json::{Value, json};
use std::process::ExitCode;

/// How a command ended. This is the one place where exit codes are given their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: it holds, it is done.
    Good = 0,
    /// 1: it is violated, it failed, someone else was ahead.
    Failed = 1,
    /// 2: bad use or a bad configuration. Nothing was changed.
    Usage = 2,
    /// 3: inconclusive, or the environment is in the way: no Envoy, an admin interface that is
    /// silent, a file that cannot be written.
    Environment = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked to: a sentence, and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Exit,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// More keys for `-o json`.
    pub(crate) details: Value,
}

impl Failure {
    /// Bad use or a bad configuration.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something around the tool is missing or broken.
    pub(crate) fn environment(message: impl Into<String>) -> Self {
        Self::new(Exit::Environment, message)
    }

    /// It did not come to what was asked for.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(crate) fn new(kind: Exit, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            details: json!({}),
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// The object of `-o json`; the next step is the hint.
    pub(crate) fn to_json(&self) -> Value {
        let mut object = json!({
            "error": self.message,
            "hint": self.hint,
            "exit_code": self.kind as u8,
            "next": self.hint,
        });
        if let (Some(object), Value::Object(details)) = (object.as_object_mut(), &self.details) {
            object.extend(details.clone());
        }
        object
    }
}

/// What to do about a state folder without a whole configuration.
pub(crate) const RESTORES: &str =
    "stop `cutover up` and start it again: it restores the file from its journal";

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        if let Some(failure) = cluster::of_target(&error) {
            return failure;
        }
        let (kind, hint) = match &error {
            TargetError::Missing(_) => (
                Exit::Usage,
                "`cutover init` writes one; --target file:PATH names another",
            ),
            TargetError::NotAFile(_) => (
                Exit::Usage,
                "name the ECDS file itself, such as file:envoy/cutover.json",
            ),
            TargetError::SymbolicLink { .. } => (
                Exit::Usage,
                "name the file that it points to; a file from a ConfigMap is changed in Kubernetes",
            ),
            TargetError::Locked { .. } => (
                Exit::Failed,
                "nothing was written; look with `cutover status`, then try again",
            ),
            TargetError::Io { action: "read", .. } => {
                (Exit::Environment, "look at its rights, and who runs this")
            }
            TargetError::Io { .. } => (
                Exit::Environment,
                "nothing was written; look at the rights and the space of the file's folder",
            ),
            TargetError::Document {
                path,
                reason: InvalidDocument::Json(_) | InvalidDocument::NotText,
            } if path.with_file_name(state::LOCK).exists() => (Exit::Usage, RESTORES),
            _ => (
                Exit::Usage,
                "`cutover lint PATH` checks a file; `cutover init` writes a good one",
            ),
        };
        Self::new(kind, error.to_string()).hint(hint)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        let (kind, hint) = match &error {
            StateError::Taken { .. } => (
                Exit::Failed,
                "`cutover status` shows what it does; another --state DIR is another Envoy",
            ),
            StateError::Io { .. } => (
                Exit::Environment,
                "look at the rights and the space of the state folder; --state DIR names another",
            ),
        };
        Self::new(kind, error.to_string()).hint(hint)
    }
}

impl Failure {
    /// A flip that was not done, in the words of where its configuration lives.
    pub(crate) fn of_flip(error: FlipError, target: &Target) -> Self {
        if target.kube().is_some() {
            cluster::of_flip(error)
        } else {
            error.into()
        }
    }
}

impl From<FlipError> for Failure {
    fn from(error: FlipError) -> Self {
        let message = error.to_string();
        match error {
            FlipError::Target(error) => error.into(),
            FlipError::Config(invalid) => Self::usage(message)
                .hint("nothing was written; `cutover lint PATH` checks the file")
                .details(json!({
                    "path": invalid.path(), "value": invalid.value(), "problem": invalid.problem(),
                })),
            FlipError::Service(_) => Self::usage(message).hint("name it with --service NAME"),
            FlipError::Ahead { found, active, .. } => Self::new(Exit::Failed, message)
                .hint("nothing was written; look with `cutover status` at what the other one did")
                .details(
                    json!({ "written": false, "found": { "generation": found, "active": active } }),
                ),
            FlipError::Closed { .. } => Self::usage(message)
                .hint("nothing was written; take the color out of `closed` first")
                .details(json!({ "written": false })),
            FlipError::Generation(_) => Self::usage(message).hint(
                "nothing was written; no generation is left above this one: give the service another \
                 name, or take `generation` and `previous` out of the file and restart the Envoys",
            ),
            FlipError::NotNewer { .. } => Self::new(Exit::Failed, message)
                .hint("nothing was written; leave --generation out, or name a greater one")
                .details(json!({ "written": false })),
            FlipError::Raced { .. } => Self::failed(message)
                .hint("nothing was written; look with `cutover history` at what the other one did")
                .details(json!({ "written": false })),
            FlipError::Refused(refusals) => {
                let mut hints = vec!["nothing was written"];
                for hint in refusals.iter().map(Refusal::hint) {
                    if !hints.contains(&hint) {
                        hints.push(hint);
                    }
                }
                hints.push("--force flips all the same");
                let refusals = refusals.iter();
                let refusals =
                    refusals.map(|one| json!({ "kind": one.kind(), "message": one.to_string() }));
                Self::failed(message)
                    .hint(hints.join("; "))
                    .details(json!({
                        "written": false,
                        "refusals": refusals.collect::<Vec<_>>(),
                    }))
            }
            FlipError::Journal(error) => Self::from(error).details(json!({ "written": false })),
            FlipError::Interrupted { written: None, .. } => Self::environment(message)
                .hint("run it again when you are ready")
                .details(json!({ "written": false })),
            FlipError::Interrupted {
                written: Some(written),
                shown,
                missing,
            } => Self::environment(message)
                .hint(format!(
                    "an Envoy that reads the file takes it all the same: `cutover wait --generation {}` waits on, \
                     `cutover rollback` undoes it",
                    written.generation
                ))
                .details(written_details(&written, &shown, &missing)),
            FlipError::Instant(reason) => Self::usage(message)
                .hint(instant_hint(&reason))
                .details(json!({ "written": false })),
            FlipError::NothingStaged(_) => Self::usage(message)
                .hint("nothing was written; `cutover history` tells what came of the last one")
                .details(json!({ "written": false })),
            FlipError::StagedApart(_) => Self::usage(message)
                .hint("nothing was written; name those of one instant with --service NAME")
                .details(json!({ "written": false })),
            FlipError::TooLate { at, .. } => Self::failed(message)
                .hint("nothing was written; `cutover rollback` goes back at once")
                .details(json!({ "written": false, "at": at })),
            FlipError::NotCancelled { at, .. } => Self::failed(message)
                .hint(
                    "`cutover flip --cancel` tries again; once it has activated, `cutover rollback` goes back at once",
                )
                .details(json!({ "written": true, "at": at })),
            FlipError::Unreachable(_) => Self::environment(message)
                .hint("nothing was written; is Envoy up, and is that its admin address?")
                .details(json!({ "written": false })),
            FlipError::NotDone {
                written,
                shown,
                missing,
            } => {
                let hint = missing
                    .first()
                    .map(|proxy| what_next(&proxy.why, written.active));
                Self::new(Exit::Failed, message)
                    .hint(hint.unwrap_or_default())
                    .details(written_details(&written, &shown, &missing))
            }
        }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let hint = match &error {
            JournalError::Kube(_) => {
                "nothing was written; the roles in istio/access have the rights on ConfigMaps; `cutover rollback` works \
                 without a journal"
            }
            JournalError::File { action: "read", .. } => {
                "look at its rights; `cutover rollback` works without a journal"
            }
            JournalError::File { .. } => {
                "nothing was written; look at the rights and the space of its folder; `cutover rollback` \
                 works without a journal"
            }
        };
        Self::environment(error.to_string()).hint(hint)
    }
}

fn instant_hint(reason: &InvalidInstant) -> &'static str {
    match reason {
        InvalidInstant::Past { .. } => "nothing was written; say a later --at, such as +10s",
        InvalidInstant::Near { .. } => {
            "nothing was written; say a later --at, or a shorter --margin; --now switches each as it reaches it"
        }
        InvalidInstant::Far { .. } => {
            "nothing was written; run it later: a staged switch needs somebody who looks after it"
        }
        InvalidInstant::Hold(_) => "nothing was written; say a shorter --hold",
    }
}

fn written_details(written: &Written, shown: &[Shown], missing: &[Unshown]) -> Value {
    let shown: Vec<_> = shown.iter().map(|p| p.proxy.name()).collect();
    let missing: Vec<_> = (missing.iter()).map(unshown).collect();
    let details = json!({
        "written": true,
        "service": written.service,
        "generation": written.generation,
        "active": written.active,
        "shown": shown,
        "missing": missing,
        "warnings": written.warnings,
    });
    with_gone(details, &written.gone)
}

/// The same with those that went away, where there are any.
pub(crate) fn with_gone(mut details: Value, gone: &[Proxy]) -> Value {
    if let Value::Object(details) = &mut details
        && !gone.is_empty()
    {
        details.insert("gone".to_owned(), json!(gone));
    }
    details
}

/// An Envoy that does not show it, as programs read it.
pub(crate) fn unshown(one: &Unshown) -> Value {
    let mut json = one.proxy.to_json();
    if let Value::Object(json) = &mut json {
        json.insert("why".to_owned(), one.to_string().into());
    }
    json
}

/// A flip to the same color waits, or pushes again. A second rollback would go forth again.
fn what_next(why: &Why, active: Color) -> String {
    match why {
        Why::Silent(_) => {
            format!("is that Envoy up? when it is back, `cutover flip {active}` makes sure")
        }
        Why::Behind { .. } => {
            "does that Envoy watch the folder of this very file? `cutover status` shows more"
                .to_owned()
        }
        Why::Conflict { .. } => {
            format!("another writer used the same generation; run `cutover flip {active}`")
        }
        Why::Refused { .. } => format!(
            "Envoy's log says why; once that is mended, `cutover flip {active} --force` pushes again"
        ),
        Why::Staged { .. } => {
            "it waits for its instant: `cutover status` shows when that is".to_owned()
        }
        Why::Superseded { .. } => {
            "another flip came after this one; look with `cutover status`".to_owned()
        }
    }
}
