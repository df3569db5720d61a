//! Who may do what, and an API server that is not there.

use super::stage::Stage;
use crate::assert_said;
use serde_json::json;

#[test]
fn whoever_may_not_is_told_by_whom_and_nothing_is_written() {
    let stage = Stage::with("WasmPlugin", "control-rights");
    let refused = stage.cutover_as("mallory", &["flip", "green", "--now", "--yes"]);
    assert_said!(refused, @r#"
    exit code: 3
    error: the API server does not allow it: wasmplugins.extensions.istio.io "control-rights" is forbidden: User "mallory" cannot get resource "wasmplugins" in API group "extensions.istio.io" in the namespace "shop"
    hint: the roles in istio/access have what the tool needs; `kubectl auth can-i` tells what you may
    "#);
    assert_eq!(stage.switch()["active"], "blue");
}

#[test]
fn an_api_server_that_is_away_is_said_with_what_becomes_of_traffic() {
    let stage = Stage::with("WasmPlugin", "control-away");
    let kubeconfig = std::fs::read_to_string(stage.bed.text("/kubeconfig")).unwrap();
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | ',');
    let mut words = kubeconfig.split(is_end);
    let server = words.find(|word| word.starts_with("https://")).unwrap();
    let changed = kubeconfig.replace(server, &format!("https://{address}"));
    let path = stage.write("away.kubeconfig", &serde_json::Value::Null);
    std::fs::write(&path, changed).unwrap();
    let away = stage.cutover(&["status", "--kubeconfig", &path]);
    assert_said!(away, @r#"
    exit code: 3
    error: no answer from the API server at [SERVER]: Connection refused (os error 111)
    hint: the proxies do not need it: traffic keeps its color; try again when it answers
    "#);
}

#[test]
fn whoever_may_not_watch_pods_is_told_that_some_may_come_unseen() {
    let stage = Stage::with("WasmPlugin", "control-blind");
    let about = json!({ "name": "control-blind", "namespace": "shop" });
    let rbac = "rbac.authorization.k8s.io";
    let plugins = json!({
        "apiGroups": ["extensions.istio.io"], "resources": ["wasmplugins", "trafficextensions"],
        "resourceNames": ["control-blind"], "verbs": ["get"],
    });
    let pods = json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] });
    let tunnel =
        json!({ "apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"] });
    let mallory = json!({ "apiGroup": rbac, "kind": "User", "name": "mallory" });
    let role = json!({ "apiGroup": rbac, "kind": "Role", "name": "control-blind" });
    for object in [
        json!({ "kind": "Role", "apiVersion": format!("{rbac}/v1"), "metadata": about, "rules": [plugins, pods, tunnel] }),
        json!({ "kind": "RoleBinding", "apiVersion": format!("{rbac}/v1"), "metadata": about, "roleRef": role, "subjects": [mallory] }),
        // Nobody runs it: its status is written as a kubelet would.
        json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": { "name": "control-blind", "namespace": "shop", "labels": { "istio": "ingressgateway" } },
            "spec": { "containers": [{ "name": "istio-proxy", "image": "none" }] },
        }),
    ] {
        stage.bed.apply(&object, &[]);
    }
    let running = json!({ "running": { "startedAt": "2026-11-21T10:00:00Z" } });
    let status = json!({ "status": { "phase": "Running", "containerStatuses": [{
        "name": "istio-proxy", "image": "none", "imageID": "", "ready": true, "restartCount": 0, "state": running,
    }] } });
    let patch = format!("--patch={status}");
    let pod = [
        "--namespace",
        "shop",
        "patch",
        "pod",
        "control-blind",
        "--type=merge",
    ];
    stage
        .bed
        .kubectl_says(&[&pod[..], &["--subresource=status", &patch]].concat());
    let kubeconfig = stage.bed.text("/users/mallory");
    let mut wait = stage.command(&["wait", "--deadline", "10s"]);
    let waited = stage.said(wait.env("KUBECONFIG", kubeconfig).env("CUTOVER_ADMIN", ""));
    assert_eq!(waited.code, 3, "{waited}");
    let blind = "warning: pods that came or went were not seen: the API server does not allow it: pods is forbidden";
    assert!(waited.err.contains(blind), "{waited}");
}
