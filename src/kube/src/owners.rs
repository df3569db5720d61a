//! Who owns which field, in words that people know.

use crate::{FIELD_MANAGER, FieldPath, FieldSet};
use jiff::Timestamp;
use serde_json::Value;
use std::fmt;

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq)]
pub struct Manager {
    /// The field manager's name.
    pub name: String,
    /// How it writes.
    pub operation: Operation,
    /// Its last write of these fields.
    pub since: Option<Timestamp>,
    /// `status`, for what a controller tells of an object.
    pub subresource: Option<String>,
    /// What it owns.
    pub fields: FieldSet,
}

/// How a manager writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Server-side apply: conflicts are refused, what is left out is removed.
    Apply,
    /// Any other write.
    Update,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        })
    }
}

/// What a manager is, by the names that the tools give themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tool {
    /// This tool.
    Cutover,
    /// `kubectl apply`, with or without `--server-side`.
    KubectlApply {
        /// With `--server-side`.
        server_side: bool,
    },
    /// `kubectl edit`, `patch`, `replace`, …: once, by hand.
    Kubectl(&'static str),
    /// Argo CD.
    ArgoCd,
    /// Flux: its kustomize or helm controller.
    Flux(&'static str),
    /// Helm.
    Helm,
    /// Terraform or `OpenTofu`.
    Terraform,
    /// Whoever wrote before server-side apply came to the object.
    BeforeFirstApply,
    /// Any other.
    Other(String),
}

impl Tool {
    fn of(name: &str, operation: Operation) -> Self {
        match name {
            FIELD_MANAGER => Self::Cutover,
            "kubectl-client-side-apply" | "kubectl-last-applied" => {
                Self::KubectlApply { server_side: false }
            }
            "kubectl" if operation == Operation::Apply => Self::KubectlApply { server_side: true },
            "kubectl" | "kubectl-patch" => Self::Kubectl("patch"),
            "kubectl-edit" => Self::Kubectl("edit"),
            "kubectl-create" => Self::Kubectl("create"),
            "kubectl-replace" => Self::Kubectl("replace"),
            "kubectl-label" => Self::Kubectl("label"),
            "kubectl-annotate" => Self::Kubectl("annotate"),
            "argocd-controller" | "argocd-application-controller" | "argocd-server" | "argocd" => {
                Self::ArgoCd
            }
            "kustomize-controller" => Self::Flux("kustomization"),
            "helm-controller" => Self::Flux("helmrelease"),
            "helm" | "Helm" => Self::Helm,
            "before-first-apply" => Self::BeforeFirstApply,
            _ if name.starts_with("Terraform") || name.starts_with("OpenTofu") => Self::Terraform,
            _ => Self::Other(name.to_owned()),
        }
    }

    /// Whether it writes the object again by itself, from what stands in Git.
    pub fn is_gitops(&self) -> bool {
        matches!(self, Self::ArgoCd | Self::Flux(_))
    }

    /// What to do about a switch that this one owns, so that a flip can take it and keep it.
    pub fn advice(&self) -> String {
        const FIELDS: &str = "`active`, `generation` and `previous`";
        match self {
            Self::Cutover => "another flip wrote it: look at `status` and try again".to_owned(),
            Self::KubectlApply { .. } => format!(
                "flip once with --force-conflicts, which makes Cutover the owner, and take {FIELDS} out of the file that is applied, \
                 or the next apply {}",
                match self {
                    Self::KubectlApply { server_side: true } => "is refused with this conflict",
                    _ => "writes them back",
                }
            ),
            Self::Kubectl(_) | Self::BeforeFirstApply => {
                "flip once with --force-conflicts, which makes Cutover the owner".to_owned()
            }
            Self::ArgoCd => format!(
                "either flip in Git (`-o yaml` prints what to commit), or leave the switch to Cutover: \
                 `ignoreDifferences` with `managedFieldsManagers: [cutover]` and the sync option \
                 `RespectIgnoreDifferences=true` in the Application, then flip once with --force-conflicts and take {FIELDS} out of Git"
            ),
            Self::Flux(kind) => format!(
                "either flip in Git (`-o yaml` prints what to commit), or leave the switch to Cutover: \
                 `flux suspend {kind} NAME`, flip once with --force-conflicts, take {FIELDS} out of Git, `flux resume {kind} NAME`"
            ),
            Self::Helm => format!(
                "flip once with --force-conflicts, which makes Cutover the owner, and take {FIELDS} out of the chart, \
                 or the next upgrade writes them back or is refused"
            ),
            Self::Terraform => format!(
                "flip once with --force-conflicts, and let Terraform ignore {FIELDS} (`ignore_changes`, `computed_fields`), \
                 or its next run writes them back"
            ),
            Self::Other(_) => format!(
                "find out whether it writes again by itself; if it does, take {FIELDS} from it first; then flip once with --force-conflicts"
            ),
        }
    }
}

/// As people call it.
impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cutover => f.write_str("Cutover"),
            Self::KubectlApply { server_side: false } => f.write_str("kubectl apply"),
            Self::KubectlApply { server_side: true } => f.write_str("kubectl apply --server-side"),
            Self::Kubectl(verb) => write!(f, "kubectl {verb}"),
            Self::ArgoCd => f.write_str("Argo CD"),
            Self::Flux(_) => f.write_str("Flux"),
            Self::Helm => f.write_str("Helm"),
            Self::Terraform => f.write_str("Terraform"),
            Self::BeforeFirstApply => f.write_str("an earlier write"),
            Self::Other(name) => write!(f, "`{name}`"),
        }
    }
}

impl Manager {
    /// Reads `metadata.managedFields`; an entry that cannot be read is left out.
    pub(crate) fn all_of(object: &Value) -> Vec<Self> {
        let entries = object.pointer("/metadata/managedFields");
        let entries = entries.and_then(Value::as_array);
        entries.into_iter().flatten().filter_map(Self::of).collect()
    }

    fn of(entry: &Value) -> Option<Self> {
        let text = |key| entry.get(key).and_then(Value::as_str);
        Some(Self {
            name: text("manager").unwrap_or_default().to_owned(),
            operation: match text("operation")? {
                "Apply" => Operation::Apply,
                _ => Operation::Update,
            },
            since: text("time").and_then(|time| time.parse().ok()),
            subresource: text("subresource")
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
            fields: FieldSet::new(entry.get("fieldsV1").cloned().unwrap_or_default()),
        })
    }

    /// Whether that is Cutover's own entry for switches.
    pub fn is_ours(&self) -> bool {
        self.name == FIELD_MANAGER
            && self.operation == Operation::Apply
            && self.subresource.is_none()
    }

    /// What it is.
    pub fn tool(&self) -> Tool {
        Tool::of(&self.name, self.operation)
    }

    /// Whether it owns that field, or something below it.
    pub fn owns(&self, path: &FieldPath) -> bool {
        self.fields.owns(path)
    }
}

/// The tool, its field manager where that says more, and since when: `Argo CD (argocd-controller, since 2026-11-21T10:00:00Z)`.
impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tool = self.tool();
        write!(f, "{tool}")?;
        let name = !matches!(tool, Tool::Other(_));
        match (name, self.since) {
            (true, Some(since)) => write!(f, " ({}, since {since})", self.name),
            (true, None) => write!(f, " ({})", self.name),
            (false, Some(since)) => write!(f, " (since {since})"),
            (false, None) => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "owners_tests.rs"]
mod tests;
