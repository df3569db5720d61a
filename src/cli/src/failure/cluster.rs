//! What goes wrong with a cluster, and what to do about it.

use super::{Exit, Failure};
use cutover_control::{
    ApplyError, ClusterError, FindError, FlipError, Refusal, TargetError, Unshown, Why,
};
use serde_json::json;

/// Traffic does not need the API server: that has to be known by whoever finds it away.
const KEEPS: &str = "the proxies do not need it: traffic keeps its color";

/// A target in a cluster that cannot be read or changed; none for an error of a file.
pub(super) fn of_target(error: &TargetError) -> Option<Failure> {
    let message = error.to_string();
    Some(match error {
        TargetError::Connect(_) => Failure::usage(message)
            .hint("--kubeconfig PATH and --context NAME choose it, as in kubectl"),
        TargetError::Find(FindError::Cluster(error)) => of_cluster(message, error),
        TargetError::Find(FindError::NotInstalled(_)) => Failure::usage(message)
            .hint("is that the right cluster? --context NAME names another"),
        TargetError::Find(_) => Failure::usage(message).hint(
            "a target is k8s:NAMESPACE/NAME, or k8s:NAMESPACE/KIND/NAME where both kinds have that name",
        ),
        TargetError::Gone(_) => Failure::failed(message)
            .hint("nothing was written; apply the manifest again, or name another target"),
        TargetError::NoConfiguration(_) => Failure::usage(message)
            .hint("put the configuration there; `cutover lint FILE` checks a manifest"),
        TargetError::Apply(error) => of_apply(message, error),
        _ => return None,
    })
}

fn of_cluster(message: String, error: &ClusterError) -> Failure {
    let failure = Failure::environment(message);
    match error {
        ClusterError::Unreachable { .. } => {
            failure.hint(format!("{KEEPS}; try again when it answers"))
        }
        ClusterError::Forbidden(_) => failure.hint(
            "the roles in istio/access have what the tool needs; `kubectl auth can-i` tells what you may",
        ),
        _ => failure
            .hint("`kubectl get wasmplugins,trafficextensions` with the same context shows more"),
    }
}

fn of_apply(message: String, error: &ApplyError) -> Failure {
    let failed = |hint: &str| {
        Failure::failed(message.clone())
            .hint(format!("nothing was written; {hint}"))
            .details(json!({ "written": false }))
    };
    match error {
        ApplyError::Conflict(fields) => {
            let conflicts: Vec<_> = fields
                .iter()
                .map(|field| {
                    json!({
                        "field": field.path,
                        "manager": field.manager.name,
                        "tool": field.manager.tool().to_string(),
                        "operation": field.manager.operation.to_string(),
                        "since": field.manager.since.map(|since| since.to_string()),
                    })
                })
                .collect();
            let details = json!({ "written": false, "conflicts": conflicts });
            failed(&error.advice().unwrap_or_default()).details(details)
        }
        ApplyError::Outdated(_) => {
            failed("look with `cutover status` at what the other one did")
        }
        ApplyError::Denied { .. } => failed(
            "the roles in istio/access have what the tool needs; a policy says itself what it allows",
        ),
        ApplyError::Gone(_) => failed("apply the manifest again, or name another target"),
        ApplyError::Invalid(_) => Failure {
            kind: Exit::Usage,
            ..failed("`cutover lint FILE` checks a manifest")
        },
        ApplyError::Unanswered(_) => Failure::environment(message).hint(format!(
            "{KEEPS}, or takes the new one if it was written; `cutover status` tells when it answers again"
        )),
        ApplyError::Cluster(error) => {
            let failure = of_cluster(message, error);
            let hint = failure.hint.clone().unwrap_or_default();
            failure
                .hint(format!("nothing was written; {hint}"))
                .details(json!({ "written": false }))
        }
    }
}

/// A flip in a cluster that was not done.
pub(super) fn of_flip(error: FlipError) -> Failure {
    let hint = match &error {
        FlipError::Config(_) => Some(
            "nothing was written; mend its `pluginConfig`; `cutover lint FILE` checks a manifest".to_owned(),
        ),
        FlipError::Refused(refusals) => {
            let mut hints = vec!["nothing was written"];
            for hint in refusals.iter().map(refused) {
                if !hints.contains(&hint) {
                    hints.push(hint);
                }
            }
            hints.push("--force flips all the same");
            Some(hints.join("; "))
        }
        FlipError::Unreachable(_) => Some(
            "nothing was written; can the proxies be reached (`kubectl auth can-i create pods/portforward`)? \
             --no-wait only writes"
                .to_owned(),
        ),
        FlipError::Interrupted {
            written: Some(written),
            ..
        } => Some(format!(
            "the proxies take it all the same: `cutover wait --generation {}` waits on, `cutover rollback` \
             undoes it",
            written.generation
        )),
        FlipError::NotDone { missing, .. } => missing.first().map(missing_hint),
        _ => None,
    };
    let nobody_answers = matches!(&error, FlipError::NotDone { shown, missing, .. }
        if shown.is_empty() && missing.iter().all(is_silent));
    let mut failure = Failure::from(error);
    if let Some(hint) = hint {
        failure.hint = Some(hint);
    }
    if nobody_answers {
        // It is written, and nobody could say whether it has landed.
        failure.kind = Exit::Environment;
    }
    failure
}

fn is_silent(one: &Unshown) -> bool {
    matches!(one.why, Why::Silent(_))
}

/// What to do about a proxy that does not show a switch.
pub(crate) fn missing_hint(one: &Unshown) -> String {
    match &one.why {
        Why::Silent(_) => format!(
            "it is written, and {KEEPS} or takes the new one without this tool; `cutover wait` asks again"
        ),
        Why::Behind { .. } => {
            "does istiod push to it? `istioctl proxy-status` and its log tell; `cutover wait` waits on"
                .to_owned()
        }
        Why::Conflict { .. } => {
            "another writer used the same generation; `cutover flip COLOR` writes a newer one".to_owned()
        }
        Why::Refused { .. } => {
            "the proxy's log says why; `cutover lint FILE` checks a manifest".to_owned()
        }
        Why::Staged { .. } => {
            "it waits for its instant: `cutover status` shows when that is".to_owned()
        }
        Why::Superseded { .. } => {
            "another flip came after this one; look with `cutover status`".to_owned()
        }
    }
}

fn refused(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Drift { .. } | Refusal::OtherServices { .. } | Refusal::RefusedLast { .. } => {
            "it has not taken what the cluster has: `cutover status` shows more, and the proxy's log says why"
        }
        Refusal::ModulesDiffer(_) | Refusal::OtherModule { .. } => {
            "wait until all proxies have one module: `cutover status --until settled`"
        }
        other => other.hint(),
    }
}
