use super::*;
use serde_json::{Value, json};

#[track_caller]
fn is(pod: Value, expected: Option<Phase>) {
    let pod: Pod = serde_json::from_value(pod).unwrap();
    assert_eq!(pod.phase(), expected);
}

fn sidecar(phase: &str, state: &Value, restarts: u32) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1"},
        "spec": {"containers": [{"name": "app"}], "initContainers": [{"name": "istio-init"}, {"name": "istio-proxy", "restartPolicy": "Always"}]},
        "status": {"phase": phase, "initContainerStatuses": [{"name": "istio-proxy", "restartCount": restarts, "state": state}]},
    })
}

#[test]
fn a_native_sidecar_and_a_container_are_proxies() {
    is(
        sidecar(
            "Running",
            &json!({"running": {"startedAt": "2026-11-21T10:00:00Z"}}),
            0,
        ),
        Some(Phase::Running),
    );
    is(
        json!({
            "spec": {"containers": [{"name": "istio-proxy"}]},
            "status": {"phase": "Running", "containerStatuses": [{"name": "istio-proxy", "state": {"running": {}}}]},
        }),
        Some(Phase::Running),
    );
}

#[test]
fn a_pod_without_a_proxy_is_none() {
    is(
        json!({"spec": {"containers": [{"name": "app"}]}, "status": {"phase": "Running"}}),
        None,
    );
    // An init container that ends is no sidecar.
    is(
        json!({"spec": {"initContainers": [{"name": "istio-proxy"}]}, "status": {"phase": "Running"}}),
        None,
    );
}

#[test]
fn a_pod_that_has_ended_is_none() {
    is(sidecar("Succeeded", &json!({"terminated": {}}), 0), None);
    is(sidecar("Failed", &json!({"terminated": {}}), 0), None);
}

#[test]
fn starting_and_crashing_are_told_apart() {
    is(
        sidecar(
            "Pending",
            &json!({"waiting": {"reason": "PodInitializing"}}),
            0,
        ),
        Some(Phase::Starting),
    );
    is(
        sidecar(
            "Running",
            &json!({"waiting": {"reason": "CrashLoopBackOff"}}),
            3,
        ),
        Some(Phase::Down),
    );
    is(
        sidecar("Running", &json!({"terminated": {"exitCode": 1}}), 0),
        Some(Phase::Down),
    );
    let mut new = sidecar("Pending", &json!({}), 0);
    new["status"] = json!({});
    is(new, Some(Phase::Starting));
}

#[test]
fn a_pod_that_is_being_deleted_is_stopping() {
    let mut pod = sidecar("Running", &json!({"running": {}}), 0);
    pod["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z".into();
    is(pod, Some(Phase::Stopping));
}
