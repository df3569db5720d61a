//! Why a switch was not applied.

use crate::{ClusterError, FieldSet, Manager, Operation, Plugin};
use kube::core::Status;
use std::fmt;

/// A switch that was not applied, or is not known to have been.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Others own fields of the switch. Nothing was written.
    #[error("{}", conflict_in_words(.0))]
    Conflict(Vec<ContestedField>),
    /// The specification was changed since it was read. Nothing was written.
    #[error("{} was changed in between{}", .0, by(.0))]
    Outdated(Box<Plugin>),
    /// It is not allowed. Nothing was written.
    #[error("{by} denied it: {reason}")]
    Denied {
        /// Who says so.
        by: Denier,
        /// In its words.
        reason: String,
    },
    /// The object was deleted, or deleted and made anew. Nothing was written.
    #[error("{0} is gone: it was deleted, or deleted and made anew")]
    Gone(String),
    /// The API server does not take it. Nothing was written.
    #[error("the API server does not take it: {0}")]
    Invalid(String),
    /// It was sent, and no answer came: it may have been written, or be written yet.
    #[error("it is not known whether the switch was written: {0}")]
    Unanswered(ClusterError),
    /// Nothing was written, for another reason.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// A field that somebody else owns.
#[derive(Clone, Debug, PartialEq)]
pub struct ContestedField {
    /// Where: `.spec.pluginConfig.active`.
    pub path: String,
    /// Whose.
    pub manager: Manager,
}

/// Who denied a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denier {
    /// The rights of whoever asked.
    Rbac,
    /// A `ValidatingAdmissionPolicy`.
    Policy {
        /// Its name.
        name: String,
        /// The name of its binding.
        binding: String,
    },
    /// An admission webhook.
    Webhook(String),
    /// Something else in the API server.
    Other,
}

impl fmt::Display for Denier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rbac => f.write_str("the API server (RBAC)"),
            Self::Policy { name, .. } => write!(f, "the admission policy `{name}`"),
            Self::Webhook(name) => write!(f, "the admission webhook `{name}`"),
            Self::Other => f.write_str("the API server"),
        }
    }
}

impl ApplyError {
    /// What to do next, where that can be told.
    pub fn advice(&self) -> Option<String> {
        let Self::Conflict(fields) = self else {
            return None;
        };
        let mut advice: Vec<String> = Vec::new();
        for (manager, _) in by_manager(fields) {
            let one = manager.tool().advice();
            if !advice.contains(&one) {
                advice.push(one);
            }
        }
        Some(advice.join("; "))
    }
}

/// Who owns which fields, in the order in which they come.
fn by_manager(fields: &[ContestedField]) -> Vec<(&Manager, Vec<&str>)> {
    let mut all: Vec<(&Manager, Vec<&str>)> = Vec::new();
    for ContestedField { path, manager } in fields {
        match all.iter_mut().find(|(known, _)| *known == manager) {
            Some((_, paths)) => paths.push(path),
            None => all.push((manager, vec![path])),
        }
    }
    all
}

fn conflict_in_words(fields: &[ContestedField]) -> String {
    let all: Vec<_> = by_manager(fields)
        .into_iter()
        .map(|(manager, paths)| {
            let verb = if paths.len() == 1 {
                "belongs"
            } else {
                "belong"
            };
            format!("{} {verb} to {manager}", paths.join(", "))
        })
        .collect();
    all.join("; ")
}

fn by(now: &Plugin) -> String {
    let newest = now
        .managers
        .iter()
        .filter(|manager| manager.subresource.is_none())
        .max_by_key(|manager| manager.since);
    newest.map_or_else(String::new, |manager| format!(" by {manager}"))
}

/// The fields of a conflict; none when the 409 is about the resource version.
///
/// Source: k8s.io/apimachinery, `NewApplyConflict`, and the message of structured-merge-diff's conflicts.
pub(super) fn contested(status: &Status, plugin: &Plugin) -> Option<Vec<ContestedField>> {
    let causes = status.details.as_ref().map(|details| &details.causes)?;
    let fields: Vec<_> = causes
        .iter()
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| {
            let name = quoted(&cause.message, '"').unwrap_or_default();
            let owner = plugin.managers.iter().find(|manager| {
                manager.name == name && !manager.is_ours() && owns(manager, &cause.field)
            });
            ContestedField {
                path: cause.field.clone(),
                manager: owner.cloned().unwrap_or_else(|| Manager {
                    name: name.to_owned(),
                    operation: Operation::Update,
                    since: None,
                    subresource: None,
                    fields: FieldSet::default(),
                }),
            }
        })
        .collect();
    (!fields.is_empty()).then_some(fields)
}

/// Whether a manager owns the field that the API server writes so. Names may have dots in them, so that the
/// text is compared with what is owned, and not taken apart.
fn owns(manager: &Manager, field: &str) -> bool {
    manager.fields.any_shown_as(field)
}

/// What a status other than a conflict means.
pub(super) fn refused(
    status: &Status,
    error: ClusterError,
    gone: impl FnOnce() -> ApplyError,
) -> ApplyError {
    let message = status.message.trim();
    if let Some((before, reason)) = message.split_once(" denied request: ")
        && let Some((_, policy)) = before.split_once("ValidatingAdmissionPolicy ")
    {
        let mut names = policy.split('\'').skip(1).step_by(2);
        let mut name = || names.next().unwrap_or_default().to_owned();
        return ApplyError::Denied {
            by: Denier::Policy {
                name: name(),
                binding: name(),
            },
            reason: reason.to_owned(),
        };
    }
    if let Some((before, reason)) = message.split_once(" denied the request") {
        return ApplyError::Denied {
            by: Denier::Webhook(quoted(before, '"').unwrap_or_default().to_owned()),
            reason: match reason.trim_start_matches([':', ' ']) {
                "" => "without a reason".to_owned(),
                reason => reason.to_owned(),
            },
        };
    }
    match status.code {
        403 => ApplyError::Denied {
            by: if message.contains(" cannot ") {
                Denier::Rbac
            } else {
                Denier::Other
            },
            reason: message.to_owned(),
        },
        404 => gone(),
        400 | 422 => ApplyError::Invalid(message.to_owned()),
        _ => error.into(),
    }
}

/// What stands in the first pair of quotes.
fn quoted(text: &str, quote: char) -> Option<&str> {
    text.split(quote).nth(1)
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
