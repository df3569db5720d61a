use super::*;
use serde_json::{Value, json};

fn status(code: u16, message: &str, causes: &Value) -> Status {
    serde_json::from_value(json!({
        "status": "Failure", "code": code, "message": message, "reason": "",
        "details": {"name": "shop", "causes": causes},
    }))
    .unwrap()
}

fn plugin() -> Plugin {
    Plugin::from_object(json!({
        "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
        "metadata": {"name": "shop", "namespace": "prod", "managedFields": [
            {"manager": "kubectl-client-side-apply", "operation": "Update", "time": "2026-11-21T10:00:00Z",
             "fieldsV1": {"f:spec": {"f:pluginConfig": {"f:services": {"f:shop.v1": {"f:active": {}, "f:generation": {}}}}}}},
            {"manager": "argocd-controller", "operation": "Apply", "time": "2026-11-21T11:00:00Z",
             "fieldsV1": {"f:spec": {"f:pluginConfig": {"f:services": {"f:shop.v1": {"f:active": {}}}}}}},
        ]},
        "spec": {"pluginConfig": {"services": {"shop.v1": {"active": "blue", "generation": 1}}}},
    }))
    .unwrap()
}

fn cause(manager: &str, field: &str) -> Value {
    json!({
        "reason": "FieldManagerConflict", "field": field,
        "message": format!("conflict with \"{manager}\" using extensions.istio.io/v1alpha1"),
    })
}

const ACTIVE: &str = ".spec.pluginConfig.services.shop.v1.active";
const GENERATION: &str = ".spec.pluginConfig.services.shop.v1.generation";

fn conflict(causes: &[Value]) -> ApplyError {
    let status = status(409, "Apply failed with conflicts", &json!(causes));
    ApplyError::Conflict(contested(&status, &plugin()).unwrap())
}

#[test]
fn a_conflict_names_the_owners_and_since_when() {
    let error = conflict(&[
        cause("kubectl-client-side-apply", ACTIVE),
        cause("kubectl-client-side-apply", GENERATION),
        cause("argocd-controller", ACTIVE),
    ]);
    assert_eq!(
        error.to_string(),
        format!(
            "{ACTIVE}, {GENERATION} belong to kubectl apply (kubectl-client-side-apply, since 2026-11-21T10:00:00Z); \
             {ACTIVE} belongs to Argo CD (argocd-controller, since 2026-11-21T11:00:00Z)"
        )
    );
    let advice = error.advice().unwrap();
    assert!(advice.contains("--force-conflicts"), "{advice}");
    assert!(advice.contains("ignoreDifferences"), "{advice}");
}

#[test]
fn an_owner_that_is_not_in_the_managed_fields_is_named_as_the_server_names_it() {
    let error = conflict(&[cause("somebody", ACTIVE)]);
    assert_eq!(error.to_string(), format!("{ACTIVE} belongs to `somebody`"));
}

#[test]
fn a_409_of_the_resource_version_is_no_conflict_of_owners() {
    let message = "Operation cannot be fulfilled on wasmplugins.extensions.istio.io \"shop\": the object has been modified";
    assert_eq!(
        contested(&status(409, message, &json!([])), &plugin()),
        None
    );
}

#[track_caller]
fn denied(code: u16, message: &str, expected: &str) {
    let status = status(code, message, &json!([]));
    let cluster = ClusterError::Refused {
        code,
        message: message.to_owned(),
    };
    let error = refused(&status, cluster, || ApplyError::Gone("it".to_owned()));
    assert_eq!(error.to_string(), expected);
}

#[test]
fn who_denies_is_told() {
    denied(
        403,
        "wasmplugins.extensions.istio.io \"shop\" is forbidden: User \"alice\" cannot patch resource \"wasmplugins\"",
        "the API server (RBAC) denied it: wasmplugins.extensions.istio.io \"shop\" is forbidden: \
         User \"alice\" cannot patch resource \"wasmplugins\"",
    );
    denied(
        422,
        "wasmplugins.extensions.istio.io \"shop\" is forbidden: ValidatingAdmissionPolicy 'cutover' with binding 'all' denied request: generations only grow",
        "the admission policy `cutover` denied it: generations only grow",
    );
    denied(
        403,
        "admission webhook \"guard.example\" denied the request: not on Fridays",
        "the admission webhook `guard.example` denied it: not on Fridays",
    );
    denied(
        400,
        "admission webhook \"guard.example\" denied the request without explanation",
        "the admission webhook `guard.example` denied it: without explanation",
    );
    denied(
        403,
        "wasmplugins \"shop\" is forbidden: exceeded quota",
        "the API server denied it: wasmplugins \"shop\" is forbidden: exceeded quota",
    );
}

#[test]
fn what_is_no_denial_is_told_as_what_it_is() {
    denied(
        404,
        "not found",
        "it is gone: it was deleted, or deleted and made anew",
    );
    denied(
        422,
        "spec.url: Required value",
        "the API server does not take it: spec.url: Required value",
    );
    denied(500, "etcd", "the API server refuses (500): etcd");
}
