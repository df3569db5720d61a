//! Every file, as it stands.

use super::tree::{Tree, objects};
use super::{
    ask::{answer, written},
    fresh_namespace,
};
use crate::bed::Bed;
use serde_json::Value;
use std::{collections::BTreeSet, fs, process::Command};

/// What each component is tried with.
const COMPONENTS: [(&str, &str); 6] = [
    (
        "components/fail-open",
        "../istio/overlays/sidecars/wasmplugin",
    ),
    ("components/module-volume", "client.yaml"),
    ("components/module-volume-gateway", "../istio/routes/colors"),
    ("components/preview-key-gateway", "../istio/routes/colors"),
    (
        "components/preview-signed",
        "../istio/overlays/ingress-gateway/wasmplugin",
    ),
    (
        "components/preview-unsigned",
        "../istio/overlays/ingress-gateway/trafficextension",
    ),
];

/// A Deployment as somebody has it: the one thing here that is no file of `istio/`.
const CLIENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: client }
spec:
  selector: { matchLabels: { app: client } }
  template:
    metadata: { labels: { app: client } }
    spec: { containers: [{ name: client, image: client }] }
";

/// Every kustomization in the namespaces that it names, and every component with what it changes.
fn all(tree: &Tree) -> Vec<(String, String)> {
    let mut all: Vec<_> = tree
        .kustomizations()
        .into_iter()
        .map(|name| (name.clone(), tree.rendered(&name)))
        .collect();
    assert_eq!(
        tree.components(),
        COMPONENTS.map(|(name, _)| name),
        "a component that is not tried"
    );
    for (component, with) in COMPONENTS {
        let name = component.replace('/', "-");
        let own = tree.with(
            &name,
            &format!("resources: [{with}]\ncomponents: [../istio/{component}]\n"),
        );
        fs::write(format!("{own}/client.yaml"), CLIENT).unwrap();
        all.push((component.to_owned(), tree.rendered(&own)));
    }
    all
}

/// The plugin configuration of an object, when it is a plugin.
fn plugin_config(object: &Value) -> Option<&Value> {
    object
        .pointer("/spec/pluginConfig")
        .or_else(|| object.pointer("/spec/wasm/pluginConfig"))
}

#[test]
fn no_file_of_the_manifests_is_left_out() {
    let tree = Tree::new();
    for path in cutover_tests::files_below(&tree.root()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let folder = path.parent().unwrap();
        let in_chart = path.strip_prefix(tree.root()).unwrap().starts_with("chart");
        if in_chart || ["kustomization.yaml", "README.md"].contains(&name) {
            continue; // Kustomizations are found by their name, and the chart has a test of its own.
        }
        let kustomization = fs::read_to_string(folder.join("kustomization.yaml"));
        let kustomization = kustomization
            .unwrap_or_else(|_| panic!("{}: no kustomization beside it", path.display()));
        let words: BTreeSet<_> = kustomization.split([' ', ',', '[', ']', '\n']).collect();
        assert!(
            words.contains(name),
            "{} is in no kustomization",
            path.display()
        );
    }
}

#[test]
fn the_api_server_takes_every_manifest() {
    let bed = Bed::here();
    let tree = Tree::new();
    let namespace = fresh_namespace(&bed);
    let mut kinds = BTreeSet::new();
    for name in tree.kustomizations() {
        let in_namespace = tree.in_namespace(&name, &namespace);
        let mut arguments = vec![
            "apply",
            "--server-side",
            "--force-conflicts",
            "-k",
            &in_namespace,
        ];
        if name == "policy" {
            arguments.push("--dry-run=server"); // It would judge what other tests do.
        }
        bed.kubectl_says(&arguments);
        if name != "policy" {
            bed.kubectl_says(&["delete", "--wait=false", "-k", &in_namespace]);
        }
        kinds.extend(
            objects(&tree.rendered(&name))
                .iter()
                .map(|object| object["kind"].to_string()),
        );
    }
    assert!(
        kinds.contains("\"EnvoyFilter\"") && kinds.contains("\"HTTPRoute\""),
        "{kinds:?}"
    );
}

#[test]
fn the_api_server_takes_every_component() {
    let bed = Bed::here();
    let tree = Tree::new();
    let namespace = fresh_namespace(&bed);
    let folder = tempfile::tempdir().unwrap();
    for (name, yaml) in all(&tree)
        .into_iter()
        .filter(|(name, _)| name.starts_with("components"))
    {
        let mut items = objects(&yaml);
        for item in &mut items {
            item["metadata"]["namespace"] = namespace.as_str().into();
        }
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items});
        let file = written(&folder, "list.json", &list.to_string());
        let applied =
            bed.kubectl_says(&["apply", "--server-side", "--dry-run=server", "-f", &file]);
        assert!(applied.contains("serverside-applied"), "{name}: {applied}");
    }
}

#[test]
fn manifests_are_applied_by_the_client_too_and_again() {
    let bed = Bed::here();
    let tree = Tree::new();
    let namespace = fresh_namespace(&bed);
    let overlay = tree.in_namespace("overlays/sidecars/trafficextension", &namespace);
    let applied = |is: &str| {
        let said = bed.kubectl_says(&["apply", "-k", &overlay]);
        assert!(said.lines().all(|line| line.ends_with(is)), "{said}");
    };
    applied("created");
    applied("unchanged");
}

#[test]
fn the_api_server_refuses_a_plugin_with_a_misspelled_field() {
    let bed = Bed::here();
    let tree = Tree::new();
    let namespace = fresh_namespace(&bed);
    let patch = "\
patches:
  - target: { kind: WasmPlugin }
    patch: |-
      - { op: add, path: /spec/failStrategie, value: FAIL_RELOAD }
";
    let plugin = format!("namespace: {namespace}\nresources: [../istio/base/wasmplugin]\n{patch}");
    let wrong = tree.with("wrong", &plugin);
    let refusal = answer(&bed.kubectl(&["apply", "--server-side", "-k", &wrong])).unwrap_err();
    assert!(
        refusal.contains("failStrategie: field not declared in schema"),
        "{refusal}"
    );
}

#[test]
fn istioctl_validates_and_analyzes_every_manifest() {
    let tree = Tree::new();
    let folder = tempfile::tempdir().unwrap();
    let istioctl = |arguments: &[String]| {
        let mut istioctl = Command::new(Bed::program("istioctl"));
        istioctl
            .env("HOME", folder.path())
            .args(arguments)
            .output()
            .unwrap()
    };
    // What it says of every EnvoyFilter is why that variant is marked as advanced.
    let analyze = |file: &str| -> Vec<String> {
        let known = "--suppress=IST0133=EnvoyFilter istio-ingress/cutover-cluster-header";
        let all = [
            "analyze",
            "--use-kube=false",
            "--all-namespaces",
            "--failure-threshold=Warning",
            known,
            file,
        ];
        all.map(str::to_owned).to_vec()
    };
    for (name, yaml) in all(&tree) {
        let file = written(&folder, "all.yaml", &yaml);
        for arguments in [
            ["validate", "-f", &file].map(str::to_owned).to_vec(),
            analyze(&file),
        ] {
            let output = istioctl(&arguments);
            let said =
                String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{name}: istioctl {arguments:?}: {said}"
            );
        }
    }
    // It would have said so: a subset that no DestinationRule has.
    let routes = tree
        .rendered("routes/subsets")
        .replace("subset: green", "subset: grean");
    let file = written(&folder, "all.yaml", &routes);
    let output = istioctl(&analyze(&file));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && said.contains("IST0101"),
        "{said}"
    );
}

#[test]
fn the_filter_takes_every_plugin_configuration() {
    let mut plugins = BTreeSet::new();
    for (name, yaml) in all(&Tree::new()) {
        for object in objects(&yaml) {
            let Some(config) = plugin_config(&object) else {
                continue;
            };
            let parsed = cutover_core::Plan::parse(config.to_string().as_bytes());
            let plan = parsed.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(
                plan.services()[0].switch().generation.is_some(),
                "{name}: a switch without order"
            );
            plugins.insert((name.clone(), object["kind"].to_string()));
        }
    }
    assert!(plugins.len() >= 12, "{plugins:?}");
}

#[test]
fn every_plugin_says_how_it_fails_and_pins_its_module() {
    for (name, yaml) in all(&Tree::new()) {
        for object in objects(&yaml)
            .iter()
            .filter(|object| plugin_config(object).is_some())
        {
            let plugin = object.pointer("/spec/wasm").unwrap_or(&object["spec"]);
            let fails = if name == "components/fail-open" {
                "FAIL_OPEN"
            } else {
                "FAIL_RELOAD"
            };
            assert_eq!(plugin["failStrategy"], fails, "{name}");
            assert_eq!(plugin["pluginName"], "cutover", "{name}");
            let url = plugin["url"].as_str().unwrap();
            if !url.starts_with("file:///") {
                assert!(
                    url.starts_with("oci://") && url.contains("@sha256:"),
                    "{name}: {url}"
                );
                assert_eq!(plugin["imagePullPolicy"], "IfNotPresent", "{name}");
            }
        }
    }
}

#[test]
fn both_kinds_of_an_overlay_say_the_same() {
    let tree = Tree::new();
    let places: BTreeSet<_> = tree
        .kustomizations()
        .into_iter()
        .filter_map(|name| Some(name.strip_suffix("/wasmplugin")?.to_owned()))
        .collect();
    assert_eq!(places.len(), 7, "{places:?}");
    for place in places {
        let plugin = |kind: &str| {
            let rendered = objects(&tree.rendered(&format!("{place}/{kind}")));
            let is_plugin = |object: &Value| plugin_config(object).is_some();
            let mut plugin = rendered.into_iter().find(is_plugin).unwrap();
            let wasm = plugin["spec"].as_object_mut().unwrap().remove("wasm");
            for (key, value) in wasm.iter().flat_map(|wasm| wasm.as_object().unwrap()) {
                plugin["spec"][key] = value.clone();
            }
            (plugin["metadata"].clone(), plugin["spec"].clone())
        };
        assert_eq!(plugin("wasmplugin"), plugin("trafficextension"), "{place}");
    }
}

#[test]
fn an_image_is_replaced_by_its_name() {
    let tree = Tree::new();
    let digest = format!("sha256:{}", "1".repeat(64));
    for kind in ["wasmplugin", "trafficextension"] {
        let image = format!(
            "resources: [../istio/overlays/gateway-api/{kind}]\nimages:\n  - name: oci://ghcr.io/OWNER/cutover\n    \
             newName: oci://registry.example.com/team/cutover\n    digest: {digest}\n"
        );
        let rendered = tree.rendered(&tree.with(kind, &image));
        let expected = format!("url: oci://registry.example.com/team/cutover@{digest}");
        assert!(rendered.contains(&expected), "{rendered}");
    }
}

#[test]
fn every_route_has_one_color_for_what_nobody_decided() {
    let mut routes = 0;
    for (name, yaml) in all(&Tree::new()) {
        for object in objects(&yaml) {
            let rules = match object["kind"].as_str().unwrap() {
                "VirtualService" => &object["spec"]["http"],
                "HTTPRoute" => &object["spec"]["rules"],
                _ => continue,
            };
            let last = rules.as_array().unwrap().last().unwrap();
            assert_eq!(last["name"], "undecided", "{name}");
            assert!(
                last["match"].is_null() && last["matches"].is_null(),
                "{name}: {last}"
            );
            let backends = last["route"]
                .as_array()
                .or(last["backendRefs"].as_array())
                .unwrap();
            assert_eq!(backends.len(), 1, "{name}: {last}");
            routes += 1;
        }
    }
    assert!(routes >= 4, "{routes}");
}
