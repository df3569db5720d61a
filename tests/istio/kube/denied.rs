//! Whoever may not, and what is said then.

use super::{Stage, connect, one_service, to_green};
use cutover_kube::{
    Apply, ApplyError, ClusterError, Denier, EventKind, EventNote, FindError, JournalError,
};
use serde_json::json;
use std::time::{Duration, Instant};

const FORCE: Apply = Apply {
    force: true,
    dry_run: false,
};

#[tokio::test]
async fn nobody_learns_more_than_that_they_may_not() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    let plugin = stage.find("shop").await;
    let mallory = connect(stage.bed.text("/users/mallory")).await;

    let found = mallory.find(&stage.name("shop")).await;
    assert!(
        matches!(found, Err(FindError::Cluster(ClusterError::Forbidden(_)))),
        "{found:?}"
    );
    let said = found.unwrap_err().to_string();
    assert!(
        said.contains("User \"mallory\" cannot get resource \"wasmplugins\""),
        "{said}"
    );

    let applied = mallory.apply(&plugin, &to_green(None, 2), FORCE).await;
    let Err(ApplyError::Denied {
        by: Denier::Rbac,
        reason,
    }) = applied
    else {
        panic!("{applied:?}");
    };
    assert!(reason.contains("cannot patch resource"), "{reason}");

    let note = EventNote {
        kind: EventKind::Normal,
        reason: "Flipped".to_owned(),
        note: String::new(),
    };
    let event = mallory.event(&plugin, &note).await;
    assert!(
        matches!(event, Err(ClusterError::Forbidden(_))),
        "{event:?}"
    );
    let noted = mallory.append_journal(&plugin, "line").await;
    let forbidden = matches!(
        noted,
        Err(JournalError::Cluster {
            source: ClusterError::Forbidden(_),
            ..
        })
    );
    assert!(forbidden, "{noted:?}");
    let pods = mallory.proxies(&plugin).await;
    assert!(matches!(pods, Err(ClusterError::Forbidden(_))), "{pods:?}");
}

#[tokio::test]
async fn whoever_may_read_one_kind_alone_finds_that() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    stage.kubectl(&[
        "create",
        "role",
        "reader",
        "--verb=get",
        "--resource=wasmplugins.extensions.istio.io",
    ]);
    stage.kubectl(&[
        "create",
        "rolebinding",
        "reader",
        "--role=reader",
        "--user=alice",
    ]);
    let alice = connect(stage.bed.text("/users/alice")).await;
    let name = stage.name("shop");
    let found = until(async || alice.find(&name).await.ok()).await;
    assert_eq!(found.config["active"], "blue");
}

#[tokio::test]
async fn a_policy_that_refuses_is_named_with_its_message() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    let (policy, namespace) = (format!("{}-no-green", stage.namespace), &stage.namespace);
    let object = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": policy},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["extensions.istio.io"], "apiVersions": ["*"],
                "operations": ["UPDATE"], "resources": ["wasmplugins"],
            }]},
            "validations": [{
                "expression": "object.spec.pluginConfig.active != 'green'",
                "message": "no green on Fridays",
            }],
        },
    });
    stage.bed.apply(&object, &[]);
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": policy},
        "spec": {
            "policyName": policy,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}},
        },
    });
    stage.bed.apply(&binding, &[]);
    let dry = Apply {
        dry_run: true,
        ..FORCE
    };
    // The API server takes a moment to know its new policy; a dry run asks it without writing.
    let plugin = stage.find("shop").await;
    let error = until(async || {
        stage
            .cluster
            .apply(&plugin, &to_green(None, 2), dry)
            .await
            .err()
    })
    .await;
    let applied = stage
        .cluster
        .apply(&plugin, &to_green(None, 2), FORCE)
        .await;
    for error in [error, applied.unwrap_err()] {
        let ApplyError::Denied {
            by: Denier::Policy { name, .. },
            reason,
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!((name, reason.as_str()), (&policy, "no green on Fridays"));
    }
}

/// Asks until there is an answer.
async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within 30 s");
    }
}
