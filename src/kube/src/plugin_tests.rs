use super::*;
use serde_json::json;

fn wasm_plugin() -> Value {
    json!({
        "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
        "metadata": {
            "name": "shop", "namespace": "istio-ingress", "uid": "u-1", "resourceVersion": "41", "generation": 7,
            "creationTimestamp": "2026-11-21T09:00:00Z",
            "labels": {"team": "shop", "argocd.argoproj.io/instance": "shop"},
            "annotations": {"note": "ours", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
            "managedFields": [
                {"manager": "kubectl-client-side-apply", "operation": "Update", "time": "2026-11-21T09:00:00Z",
                 "fieldsV1": {"f:spec": {"f:url": {}, "f:pluginConfig": {"f:active": {}, "f:blue": {}}}}},
                {"manager": "cutover", "operation": "Apply", "time": "2026-11-21T10:00:00Z",
                 "fieldsV1": {"f:spec": {"f:pluginConfig": {"f:active": {}}}}},
            ],
        },
        "spec": {
            "selector": {"matchLabels": {"istio": "ingressgateway"}},
            "url": "oci://registry.example/cutover@sha256:00", "failStrategy": "FAIL_RELOAD",
            "pluginConfig": {"active": "blue", "blue": {"header": "blue"}, "green": {"header": "green"}},
        },
        "status": {"conditions": []},
    })
}

#[test]
fn a_wasm_plugin_is_read() {
    let plugin = Plugin::from_object(wasm_plugin()).unwrap();
    assert_eq!(plugin.to_string(), "WasmPlugin istio-ingress/shop");
    assert_eq!(plugin.typed(), "istio-ingress/wasmplugin/shop");
    assert_eq!(
        (plugin.uid.as_str(), plugin.resource_version.as_str()),
        ("u-1", "41")
    );
    assert_eq!(plugin.spec_version, 7);
    assert_eq!(plugin.config["active"], "blue");
    assert_eq!(plugin.fail_strategy.as_deref(), Some("FAIL_RELOAD"));
    assert_eq!(plugin.reach.to_string(), "labels istio=ingressgateway");
    assert!(plugin.is_ours());
    let path = plugin.switch_path(Some("shop")).join("active");
    assert_eq!(path.to_string(), ".spec.pluginConfig.services.shop.active");
}

#[test]
fn a_traffic_extension_has_its_configuration_one_step_deeper() {
    let object = json!({
        "apiVersion": "extensions.istio.io/v1alpha1", "kind": "TrafficExtension",
        "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "web"}],
            "wasm": {"url": "file:///m.wasm", "pluginConfig": {"services": {"a": {"blue": "x", "green": "y"}}}},
        },
    });
    let plugin = Plugin::from_object(object).unwrap();
    assert_eq!(plugin.url, "file:///m.wasm");
    assert_eq!(
        plugin.switch_path(None).to_string(),
        ".spec.wasm.pluginConfig"
    );
    assert_eq!(plugin.reach.to_string(), "Gateway web");
    assert!(plugin.is_ours());
    let names = [(
        "extensions.istio.io/trafficextension/shop.shop".to_owned(),
        "shop.shop".to_owned(),
    )];
    assert_eq!(plugin.names(), names);
}

#[test]
fn a_wasm_plugin_has_the_names_of_both_istios() {
    let plugin = Plugin::from_object(wasm_plugin()).unwrap();
    let names: Vec<_> = plugin
        .names()
        .into_iter()
        .map(|(resource, _)| resource)
        .collect();
    assert_eq!(
        names,
        [
            "extensions.istio.io/trafficextension/istio-ingress.shop~istio-translated-wasmplugin",
            "extensions.istio.io/wasmplugin/istio-ingress.shop",
        ]
    );
}

#[track_caller]
fn refused(object: Value, says: &str) {
    let error = Plugin::from_object(object).unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
}

#[test]
fn what_is_no_plugin_is_refused() {
    refused(
        json!({"kind": "Deployment", "apiVersion": "apps/v1"}),
        "a Deployment of apps/v1",
    );
    refused(json!({}), "without a kind");
    refused(
        json!({"kind": "WasmPlugin", "metadata": {"name": "x"}}),
        "a WasmPlugin, not",
    );
    let of = |kind: &str, rest: Value| json!({"apiVersion": "extensions.istio.io/v1alpha1", "kind": kind, "metadata": rest});
    refused(of("WasmPlugin", json!({})), "no metadata.name");
    refused(
        of("TrafficExtension", json!({"name": "x"})),
        "no `spec.wasm`",
    );
}

#[test]
fn a_plugin_without_a_selector_reaches_its_namespace() {
    for selector in [json!(null), json!({}), json!({"matchLabels": {}})] {
        let mut object = wasm_plugin();
        object["spec"]["selector"] = selector;
        assert_eq!(Plugin::from_object(object).unwrap().reach, Reach::Namespace);
    }
}

#[test]
fn the_newest_owner_wrote_last() {
    let plugin = Plugin::from_object(wasm_plugin()).unwrap();
    assert_eq!(plugin.last_writer(None).unwrap().name, "cutover");
    assert!(plugin.last_writer(Some("shop")).is_none());
    let blue = plugin.config_path().join("blue");
    let owners: Vec<_> = plugin
        .owners_of(&blue)
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(owners, ["kubectl-client-side-apply"]);
}

#[test]
fn a_manifest_has_nothing_that_only_the_server_knows() {
    let manifest = Plugin::from_object(wasm_plugin()).unwrap().manifest();
    let expected = json!({
        "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
        "metadata": {"name": "shop", "namespace": "istio-ingress", "labels": {"team": "shop"}, "annotations": {"note": "ours"}},
        "spec": wasm_plugin()["spec"],
    });
    assert_eq!(manifest, expected);
}
