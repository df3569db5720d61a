//! What can be said of a target in a cluster without one.

use crate::support::{Ran, Stage};
use insta::assert_snapshot;
use std::{fs, os::unix::fs::symlink, process::Command};

const MANIFEST: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: web, namespace: shop}
spec:
  url: oci://example.com/cutover
  pluginConfig:
    services:
      shop: {hosts: [shop.example], active: blue, generation: 7, blue: {header: blue}, green: {header: green}}
";

#[test]
fn a_manifest_is_checked_by_what_lies_in_its_plugin_configuration() {
    let stage = Stage::new();
    stage.write("web.yaml", MANIFEST);
    assert_snapshot!(stage.run(&["lint", "web.yaml"]), @"
    exit code: 0
    --- stdout
    web.yaml: WasmPlugin shop/web: good
      shop: blue active, generation 7
    next: `cutover status --target k8s:NAMESPACE/NAME --git FILE` shows what differs from it
    ");
    stage.write(
        "bad.yaml",
        &MANIFEST.replace("active: blue", "active: purple"),
    );
    assert_snapshot!(stage.run(&["lint", "bad.yaml"]), @"
    exit code: 2
    --- stderr
    error: bad.yaml: WasmPlugin shop/web: services.shop.active: unknown variant `purple`, expected `blue` or `green`
    hint: put that right: the filter would refuse it, and keep what it has
    ");
    let extension = MANIFEST.replace("WasmPlugin", "TrafficExtension");
    let extension = extension.replace("  url:", "  wasm:\n    url:");
    stage.write(
        "no-wasm.yaml",
        &MANIFEST.replace("WasmPlugin", "TrafficExtension"),
    );
    assert_snapshot!(stage.run(&["lint", "no-wasm.yaml"]), @"
    exit code: 2
    --- stderr
    error: no-wasm.yaml: it has no `spec.wasm`: it is not a Wasm plugin
    hint: name a manifest of a WasmPlugin or TrafficExtension
    ");
    let nested = extension.replace(
        "  pluginConfig:\n    services:\n      shop:",
        "    pluginConfig:\n      services:\n        shop:",
    );
    stage.write("extension.yaml", &nested);
    let ran = stage.run(&["lint", "extension.yaml", "-o", "json"]);
    assert_eq!(
        (ran.code, &ran.json()["manifest"]),
        (Some(0), &true.into()),
        "{ran}"
    );
}

#[test]
fn a_manifest_without_a_plugin_or_a_configuration_is_told() {
    let stage = Stage::new();
    stage.write(
        "map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n",
    );
    assert_snapshot!(stage.run(&["lint", "map.yaml"]), @"
    exit code: 2
    --- stderr
    error: map.yaml: it is a ConfigMap of v1, not a WasmPlugin or TrafficExtension of extensions.istio.io
    hint: name a manifest of a WasmPlugin or TrafficExtension
    ");
    let (head, _) = MANIFEST.split_once("  pluginConfig").unwrap();
    stage.write("empty.yaml", head);
    assert_snapshot!(stage.run(&["lint", "empty.yaml"]), @"
    exit code: 2
    --- stderr
    error: empty.yaml: WasmPlugin shop/web has no pluginConfig
    hint: put the configuration into its `pluginConfig`
    ");
    stage.write("torn.yaml", &MANIFEST.replace("{name: web,", "{name: web"));
    let torn = stage.run(&["lint", "torn.yaml"]);
    assert!(
        torn.stderr.contains("torn.yaml: it is not valid YAML: "),
        "{torn}"
    );
}

#[test]
fn explain_takes_a_manifest_as_it_takes_a_file() {
    let stage = Stage::new();
    stage.write("web.yaml", MANIFEST);
    let ran = stage.run(&[
        "explain",
        "web.yaml",
        "--host",
        "shop.example",
        "-o",
        "json",
    ]);
    assert_eq!(ran.json()["route"]["value"], "blue", "{ran}");
}

#[test]
fn a_name_that_is_none_is_refused() {
    let stage = Stage::new();
    assert_snapshot!(stage.run(&["status", "--target", "k8s:"]), @"
    exit code: 2
    --- stderr
    error: `k8s:` is not a target that can be used
    hint: a target is file:PATH or k8s:NAMESPACE/NAME
    ");
    assert_snapshot!(stage.run(&["status", "--target", "k8s:a/b/c/d"]), @"
    exit code: 2
    --- stderr
    error: `a/b/c/d` is not NAME, NAMESPACE/NAME or NAMESPACE/KIND/NAME
    hint: a target is file:PATH or k8s:NAMESPACE/NAME
    ");
    assert_snapshot!(stage.run(&["status", "--target", "k8s:shop/gateway/web"]), @"
    exit code: 2
    --- stderr
    error: `gateway` is not a kind of plugin: wasmplugin or trafficextension
    hint: a target is file:PATH or k8s:NAMESPACE/NAME
    ");
    assert_snapshot!(stage.run(&["status", "--target", "k8s:shop/Web"]), @"
    exit code: 2
    --- stderr
    error: `Web` cannot be the name of a plugin: lower-case letters, digits, `-` and `.` are allowed, up to 253
    hint: a target is file:PATH or k8s:NAMESPACE/NAME
    ");
}

#[test]
fn without_a_kubeconfig_no_cluster_is_meant() {
    let stage = Stage::new();
    let ran = stage.run(&["status", "--target", "k8s:shop/web", "--kubeconfig", "none"]);
    assert_snapshot!(ran, @"
    exit code: 2
    --- stderr
    error: the kubeconfig none cannot be used: No such file or directory (os error 2)
    hint: --kubeconfig PATH and --context NAME choose it, as in kubectl
    ");
}

#[test]
fn an_api_server_that_is_away_is_said_with_what_becomes_of_traffic() {
    let stage = Stage::new();
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let kubeconfig = format!(
        "{{apiVersion: v1, kind: Config, current-context: here, \
         contexts: [{{name: here, context: {{cluster: here, user: me}}}}], \
         clusters: [{{name: here, cluster: {{server: 'http://{address}'}}}}], \
         users: [{{name: me, user: {{token: t}}}}]}}"
    );
    stage.write("config", &kubeconfig);
    let there = ["--target", "k8s:shop/web", "--kubeconfig", "config"];
    let run = |arguments: &[&str]| {
        let ran = stage.run(&[arguments, &there].concat());
        Ran {
            stderr: ran.stderr.replace(&address.to_string(), "[SERVER]"),
            ..ran
        }
    };
    assert_snapshot!(run(&["flip", "green", "--yes"]), @"
    exit code: 3
    --- stderr
    error: no answer from the API server at http://[SERVER]: Connection refused (os error 111)
    hint: the proxies do not need it: traffic keeps its color; try again when it answers
    ");
    assert_eq!(run(&["rollback"]).code, Some(3));
    assert_eq!(run(&["history"]).code, Some(3));
    assert_snapshot!(run(&["status", "--context", "there"]), @"
    exit code: 2
    --- stderr
    error: the kubeconfig has no context `there`: it has here
    hint: --kubeconfig PATH and --context NAME choose it, as in kubectl
    ");
}

#[test]
fn what_means_something_in_a_cluster_alone_is_refused_of_a_file() {
    let stage = Stage::with(
        &serde_json::json!({"active": "blue", "generation": 1, "blue": "b", "green": "g"}),
    );
    let run = |arguments: &[&str]| stage.flip(arguments, &[]);
    assert_snapshot!(run(&["flip", "green", "--no-wait", "--dry-run=server"]), @"
    exit code: 2
    --- stderr
    error: --dry-run=server goes with a target in a cluster, and this one is a file
    hint: --dry-run shows what would be written to the file
    ");
    assert_snapshot!(run(&["status", "--context", "here"]), @"
    exit code: 2
    --- stderr
    error: --context goes with a target in a cluster, and this one is a file
    hint: say --target k8s:NAMESPACE/NAME
    ");
    assert_snapshot!(run(&["status", "--git", "web.yaml"]), @"
    exit code: 2
    --- stderr
    error: --git goes with a target in a cluster, and this one is a file
    hint: say --target k8s:NAMESPACE/NAME
    ");
}

#[test]
fn as_a_plugin_of_kubectl_it_names_its_commands_so() {
    let stage = Stage::new();
    let plugin = stage.path("kubectl-cutover");
    symlink(env!("CARGO_BIN_EXE_cutover"), &plugin).unwrap();
    stage.write("web.yaml", MANIFEST);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&plugin);
        command
            .env_clear()
            .current_dir(stage.path(""))
            .args(arguments);
        stage.ran(command.output().unwrap())
    };
    assert_snapshot!(run(&["lint", "web.yaml"]), @"
    exit code: 0
    --- stdout
    web.yaml: WasmPlugin shop/web: good
      shop: blue active, generation 7
    next: `kubectl cutover status --target k8s:NAMESPACE/NAME --git FILE` shows what differs from it
    ");
    let help = run(&["wait", "--help"]).stdout;
    assert!(help.contains("Usage: kubectl cutover wait"), "{help}");
    assert!(
        help.contains("\n  kubectl cutover wait --generation"),
        "{help}"
    );
    assert!(!help.contains("\n  cutover "), "{help}");
    let refused = run(&["frip"]).stderr;
    assert!(refused.contains("kubectl cutover"), "{refused}");
    fs::remove_file(plugin).unwrap();
}
