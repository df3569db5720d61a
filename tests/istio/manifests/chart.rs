//! The Helm chart: the same as the kustomizations, and an upgrade that moves no traffic.

use super::tree::{Tree, objects};
use super::{
    ask::{Answer, answer, written},
    fresh_namespace,
};
use crate::bed::Bed;
use serde_json::{Value, json};
use std::{collections::BTreeMap, process::Command};
use tempfile::TempDir;

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Runs Helm on the chart, with values and a home of its own.
fn helm(bed: Option<&Bed>, verb: &str, values: &Value, arguments: &[&str]) -> Answer {
    let home = TempDir::new().unwrap();
    let values = written(&home, "values.json", &values.to_string());
    let mut helm = Command::new(Bed::program("helm"));
    helm.env("HOME", home.path())
        .current_dir(cutover_tests::root());
    if let Some(bed) = bed {
        helm.env("KUBECONFIG", bed.text("/kubeconfig"));
    }
    helm.args([verb, "cutover", "istio/chart", "--values", &values])
        .args(arguments);
    answer(&helm.output().unwrap())
}

/// Values that make what the overlay for ingress gateways has.
fn values(kind: &str) -> Value {
    json!({
        "kind": kind,
        "image": { "digest": DIGEST },
        "selector": { "matchLabels": { "istio": "ingressgateway" } },
        "services": { "shop": {
            "hosts": ["shop.example.com", "shop.shop.svc.cluster.local", "shop.shop.svc", "shop.shop"],
            "active": "blue",
            "generation": 1,
            "blue": { "header": "blue" },
            "green": { "header": "green" },
        } },
        "access": { "viewers": ["cutover-viewers"], "users": ["cutover-users"] },
    })
}

/// Objects by kind and name, without what only Helm writes.
fn by_name(yaml: &str) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for mut object in objects(yaml).into_iter().filter(|object| !object.is_null()) {
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.remove("annotations");
        let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
        all.insert(name, object);
    }
    all
}

#[test]
fn the_chart_makes_what_the_kustomization_makes() {
    let tree = Tree::new();
    for kind in ["WasmPlugin", "TrafficExtension"] {
        let overlay = format!("overlays/ingress-gateway/{}", kind.to_lowercase());
        let chart = helm(
            None,
            "template",
            &values(kind),
            &["--namespace=istio-ingress"],
        )
        .unwrap();
        let (chart, overlay) = (by_name(&chart), by_name(&tree.rendered(&overlay)));
        assert_eq!(
            chart.keys().collect::<Vec<_>>(),
            overlay.keys().collect::<Vec<_>>()
        );
        for (name, object) in &chart {
            assert_eq!(object, overlay.get(name).unwrap(), "{name}");
        }
    }
}

#[test]
fn the_chart_refuses_what_it_cannot_do_without() {
    let mut without = values("WasmPlugin");
    without["image"]["digest"] = "".into();
    let refusal = helm(None, "template", &without, &[]).unwrap_err();
    assert!(
        refusal.contains("image.digest: sha256:…, of the image"),
        "{refusal}"
    );
    let mut without = values("WasmPlugin");
    without["services"] = json!({});
    let refusal = helm(None, "template", &without, &[]).unwrap_err();
    assert!(refusal.contains("services: name at least one"), "{refusal}");
}

#[test]
fn every_value_of_the_chart_reaches_the_plugin() {
    let values = json!({
        "url": "file:///etc/cutover/cutover.wasm",
        "failStrategy": "FAIL_OPEN",
        "targetRefs": [{ "group": "", "kind": "Service", "name": "shop" }],
        "match": [{ "mode": "CLIENT" }],
        "env": [{ "name": "CUTOVER_KEY_k1", "valueFrom": "HOST" }],
        "services": { "shop": { "active": "blue", "blue": "a", "green": "b" } },
        "expose": { "response_header": true },
        "access": { "create": false },
    });
    let made = objects(&helm(None, "template", &values, &[]).unwrap());
    assert_eq!(made.len(), 1, "{made:?}");
    let expected = json!({
        "pluginName": "cutover",
        "url": "file:///etc/cutover/cutover.wasm",
        "failStrategy": "FAIL_OPEN",
        "targetRefs": [{ "group": "", "kind": "Service", "name": "shop" }],
        "match": [{ "mode": "CLIENT" }],
        "vmConfig": { "env": [{ "name": "CUTOVER_KEY_k1", "valueFrom": "HOST" }] },
        "pluginConfig": {
            "version": 1,
            "services": { "shop": { "active": "blue", "blue": "a", "green": "b" } },
            "expose": { "response_header": true },
        },
    });
    assert_eq!(made[0]["spec"], expected);
    let mut secret = self::values("WasmPlugin");
    secret["image"]["pullSecret"] = "registry".into();
    let made = helm(None, "template", &secret, &[]).unwrap();
    assert!(made.contains("imagePullSecret: registry"), "{made}");
}

#[test]
fn an_upgrade_of_the_chart_keeps_the_switch_of_the_cluster() {
    let bed = Bed::here();
    for kind in ["WasmPlugin", "TrafficExtension"] {
        let namespace = fresh_namespace(&bed);
        let values = values(kind);
        let in_namespace = format!("--namespace={namespace}");
        // The gateways of the bed are in another namespace.
        helm(Some(&bed), "install", &values, &[&in_namespace]).unwrap();
        let switch = json!({ "active": "green", "generation": 1_763_722_800_001_u64, "previous": {
            "generation": 1, "active": "blue",
        } });
        let wasm = json!({ "pluginConfig": { "services": { "shop": switch } } });
        let spec = if kind == "WasmPlugin" {
            wasm
        } else {
            json!({ "wasm": wasm })
        };
        let patch = json!({ "spec": spec }).to_string();
        let object = [kind, "cutover"];
        bed.kubectl_says(&[
            "patch",
            &in_namespace,
            kind,
            "cutover",
            "--type=merge",
            "-p",
            &patch,
        ]);

        let upgraded = [
            "--set=failStrategy=FAIL_OPEN",
            "--set=services.shop.green.header=v3",
            &in_namespace,
        ];
        helm(Some(&bed), "upgrade", &values, &upgraded).unwrap();
        let now = bed.kubectl_says(&[&["get", &in_namespace, "-o=json"], &object[..]].concat());
        let now: Value = serde_json::from_str(&now).unwrap();
        let plugin = now.pointer("/spec/wasm").unwrap_or(&now["spec"]);
        let shop = &plugin["pluginConfig"]["services"]["shop"];
        assert_eq!(plugin["failStrategy"], "FAIL_OPEN");
        assert_eq!(shop["green"]["header"], "v3");
        for (field, value) in switch.as_object().unwrap() {
            assert_eq!(&shop[field], value, "{field}");
        }
    }
}
