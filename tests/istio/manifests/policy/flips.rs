//! What a flip may change.

use super::stage::{ADMIN, ALICE, KINDS, Stage, TOOL, config_patch, shop, two_services};
use crate::manifests::ask::written;
use serde_json::{Value, json};

#[test]
fn a_flip_touches_the_switch_alone() {
    let stage = Stage::new();
    for writer in [ALICE, TOOL] {
        let v3 = json!({ "header": "v3" });
        for (config, path) in [
            (
                shop(json!({ "generation": 8, "blue": v3 })),
                "services.shop (blue)",
            ),
            (
                shop(json!({ "closed": ["green"] })),
                "services.shop (closed)",
            ),
            (shop(json!({ "hosts": null })), "services.shop (hosts)"),
            (shop(json!(null)), "services.shop (removed)"),
            (
                json!({ "services": { "new": { "active": "blue" } } }),
                "services.new (added)",
            ),
            (json!({ "expose": { "response_header": true } }), "expose"),
            (json!({ "version": null }), "version"),
        ] {
            let words =
                format!("and nothing else: this one changes {path}. The rest is changed by");
            stage.refuses(writer, &config, &words);
        }
        let short = json!({ "services": null, "active": "blue" });
        stage.refuses(
            writer,
            &short,
            "and nothing else: this one changes services, ",
        );
        for kind in KINDS {
            let wasm = |fields: Value| match kind {
                "WasmPlugin" => json!({ "spec": fields }),
                _ => json!({ "spec": { "wasm": fields } }),
            };
            let inside = if kind == "WasmPlugin" {
                "spec"
            } else {
                "spec.wasm"
            };
            for (patch, path) in [
                (
                    wasm(json!({ "url": "oci://example.com/mine:latest" })),
                    format!("{inside}.url"),
                ),
                (
                    wasm(json!({ "failStrategy": "FAIL_OPEN" })),
                    format!("{inside}.failStrategy"),
                ),
                (
                    wasm(json!({ "vmConfig": { "env": [] } })),
                    format!("{inside}.vmConfig"),
                ),
                (
                    json!({ "spec": { "priority": 3 } }),
                    "spec.priority".to_owned(),
                ),
                (
                    json!({ "spec": { "match": [{ "mode": "SERVER" }] } }),
                    "spec.match".to_owned(),
                ),
                (
                    json!({ "spec": { "selector": { "matchLabels": { "a": "b" } } } }),
                    "spec.selector".to_owned(),
                ),
                (
                    json!({ "metadata": { "labels": { "a": "b" } } }),
                    "metadata.labels".to_owned(),
                ),
                (
                    json!({ "metadata": { "annotations": { "a": "b" } } }),
                    "metadata.annotations".to_owned(),
                ),
            ] {
                let words =
                    format!("and nothing else: this one changes {path}. The rest is changed by");
                stage.refuses_patch(writer, kind, &patch, &words);
            }
        }
    }
    // All of it at once is what whoever may update the plugin may do, under another name than the tool's.
    let mut change = two_services();
    change["services"]["shop"]["blue"] = json!({ "header": "v3" });
    change["services"]["api"] = json!(null);
    change["expose"] = json!({ "response_header": true });
    stage.allows(ADMIN, &change);
    for kind in KINDS {
        let labels = json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "priority": 3 } });
        stage.patch(ADMIN, kind, "cutover", &labels).unwrap();
    }
}

#[test]
fn a_server_side_apply_of_the_switch_is_let_through_and_one_that_lets_go_of_more_is_not() {
    let stage = Stage::new();
    for kind in KINDS {
        let apply = |user: &str, switch: Value| {
            let mut object = config_patch(kind, &shop(switch));
            object["apiVersion"] = "extensions.istio.io/v1alpha1".into();
            object["kind"] = kind.into();
            object["metadata"] = json!({ "name": "cutover" });
            let file = written(&stage.folder, "applied.json", &object.to_string());
            let apply = [
                "apply",
                "--server-side",
                "--force-conflicts",
                "--field-manager=cutover",
                "-f",
                &file,
            ];
            stage.kubectl(user, &apply)
        };
        let green = json!({ "active": "green", "generation": 8, "previous": { "generation": 7, "active": "blue" } });
        apply("alice", green.clone()).unwrap();
        let config = stage.config(kind);
        assert_eq!(config.pointer("/services/shop/generation"), Some(&json!(8)));
        assert_eq!(
            config.pointer("/services/shop/blue/header"),
            Some(&json!("blue"))
        );

        // The tool's name on more than the switch, and the next apply leaves that out: server-side apply removes it.
        let mut more = json!({ "active": "blue", "generation": 9, "previous": { "generation": 8, "active": "green" } });
        more["closed"] = json!(["green"]);
        let refusal = apply("admin", more).unwrap_err();
        assert!(
            refusal.contains("this one changes services.shop (closed)"),
            "{refusal}"
        );
    }
}
