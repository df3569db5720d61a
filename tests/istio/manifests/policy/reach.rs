//! Whom and what the policy reaches.

use super::stage::{
    ADMIN, ALICE, DRY, KINDS, Stage, TOOL, config_patch, plugin, policy, shop, two_services,
};
use crate::manifests::ask::{until, written};
use serde_json::json;

#[test]
fn an_old_file_from_git_is_refused_and_one_without_the_switch_is_not() {
    let stage = Stage::new();
    for kind in KINDS {
        let switch = json!({ "active": "green", "generation": 8, "previous": { "generation": 7, "active": "blue" } });
        let mut flip = config_patch(kind, &shop(switch));
        flip["apiVersion"] = "extensions.istio.io/v1alpha1".into();
        flip["kind"] = kind.into();
        flip["metadata"] = json!({ "name": "cutover" });
        let flip = written(&stage.folder, "flip.json", &flip.to_string());
        let as_tool = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager=cutover",
            "-f",
            &flip,
        ];
        stage.kubectl("alice", &as_tool).unwrap();

        let old = plugin(kind, "cutover", &two_services());
        let old = written(&stage.folder, "old.json", &old.to_string());
        for apply in [
            &["apply"][..],
            &["apply", "--server-side", "--force-conflicts"],
        ] {
            let refusal = stage
                .kubectl("admin", &[apply, &["-f", &old]].concat())
                .unwrap_err();
            assert!(
                refusal.contains("service shop has generation 8 and would get 7"),
                "{refusal}"
            );
        }
        let mut config = two_services();
        let shop = config["services"]["shop"].as_object_mut().unwrap();
        shop.retain(|key, _| !["active", "generation", "previous"].contains(&key.as_str()));
        shop.insert("hosts".to_owned(), json!(["www.example.com"]));
        let without = plugin(kind, "cutover", &config);
        let without = written(&stage.folder, "without.json", &without.to_string());
        stage
            .kubectl(
                "admin",
                &[
                    "apply",
                    "--server-side",
                    "--force-conflicts",
                    "-f",
                    &without,
                ],
            )
            .unwrap();
        let now = stage.config(kind);
        assert_eq!(
            now.pointer("/services/shop/hosts/0"),
            Some(&json!("www.example.com"))
        );
        assert_eq!(now.pointer("/services/shop/active"), Some(&json!("green")));
        assert_eq!(now.pointer("/services/shop/generation"), Some(&json!(8)));
    }
}

#[test]
fn the_short_form_is_a_service_too() {
    let short = json!({
        "active": "blue", "generation": 7, "blue": { "header": "blue" }, "green": { "header": "green" },
    });
    let stage = Stage::with(&short);
    stage.refuses(
        ADMIN,
        &json!({ "generation": 6 }),
        "service default has generation 7 and would get 6",
    );
    stage.refuses(
        ADMIN,
        &json!({ "active": "green" }),
        "service default has another switch under generation 7",
    );
    stage.refuses(
        ALICE,
        &json!({ "generation": 8, "hosts": ["a"] }),
        "this one changes services.default (hosts)",
    );
    stage.allows(ALICE, &json!({ "generation": 8, "active": "green" }));
}

#[test]
fn a_plugin_of_somebody_else_is_left_alone() {
    let stage = Stage::new();
    for kind in KINDS {
        let mut other = plugin(
            kind,
            "other",
            &json!({ "active": "purple", "generation": -3 }),
        );
        let wasm = if kind == "WasmPlugin" {
            "/spec/pluginName"
        } else {
            "/spec/wasm/pluginName"
        };
        *other.pointer_mut(wasm).unwrap() = "other".into();
        let file = written(&stage.folder, "other.json", &other.to_string());
        stage.kubectl("admin", &["create", "-f", &file]).unwrap();
        let change = config_patch(kind, &json!({ "active": 3, "generation": -4 }));
        stage.patch(ADMIN, kind, "other", &change).unwrap();
        stage
            .patch(TOOL, kind, "other", &json!({ "spec": { "priority": 1 } }))
            .unwrap();
    }
    for (name, spec) in [
        ("lua", json!({ "lua": { "inlineCode": "-- none" } })),
        ("empty", json!(null)),
    ] {
        let other = json!({
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "TrafficExtension",
            "metadata": { "name": name },
            "spec": spec,
        });
        let file = written(&stage.folder, "other.json", &other.to_string());
        let created = stage.kubectl("admin", &["create", "--validate=false", "-f", &file]);
        assert!(
            !created.is_err_and(|refusal| refusal.contains(policy())),
            "{name}"
        );
    }
}

#[test]
fn a_plugin_does_not_leave_the_policy_by_another_name() {
    let stage = Stage::new();
    for kind in KINDS {
        for name in [json!("other"), json!(null)] {
            let rename = json!({ "pluginName": name });
            let patch = json!({ "spec": if kind == "WasmPlugin" { rename } else { json!({ "wasm": rename }) } });
            stage.refuses_patch(ADMIN, kind, &patch, "pluginName cutover stays");
        }
    }
}

#[test]
fn a_dry_run_on_the_server_is_judged_the_same() {
    let stage = Stage::new();
    let older = config_patch("WasmPlugin", &shop(json!({ "generation": 6 })));
    stage.refuses_patch(DRY, "WasmPlugin", &older, "generations only grow");
    let newer = config_patch("WasmPlugin", &shop(json!({ "generation": 8 })));
    stage.patch(DRY, "WasmPlugin", "cutover", &newer).unwrap();
}

#[test]
fn an_administrator_can_suspend_the_policy_for_a_namespace_and_nobody_else() {
    let stage = Stage::new();
    let suspend = [
        "label",
        "namespace",
        &stage.namespace,
        "cutover.dev/policy=suspended",
    ];
    let refusal = stage.kubectl("alice", &suspend).unwrap_err();
    assert!(refusal.contains("forbidden"), "{refusal}");

    let older = |generation: u64| {
        config_patch(
            "WasmPlugin",
            &shop(json!({ "generation": generation, "previous": null })),
        )
    };
    stage.refuses_patch(ADMIN, "WasmPlugin", &older(3), "generations only grow");
    stage.bed.kubectl_says(&suspend);
    until("the policy is suspended", || {
        stage
            .patch(ADMIN, "WasmPlugin", "cutover", &older(3))
            .is_ok()
    });
    stage.bed.kubectl_says(&[
        "label",
        "namespace",
        &stage.namespace,
        "cutover.dev/policy-",
    ]);
    until("the policy is in force again", || {
        stage
            .patch(ADMIN, "WasmPlugin", "cutover", &older(2))
            .is_err_and(|refusal| refusal.contains("generations only grow"))
    });
}

#[test]
fn a_configuration_that_the_rules_cannot_read_is_refused() {
    let stage = Stage::new();
    for kind in KINDS {
        for config in [
            json!({ "services": ["shop"] }),
            json!({ "services": "shop" }),
            json!({ "services": { "shop": 3 } }),
        ] {
            let answer = stage.create(kind, "strange", &config);
            let refusal = answer.unwrap_err();
            assert!(refusal.contains(policy()), "{refusal}");
        }
    }
}

#[test]
fn the_page_on_the_policy_shows_refusals_as_they_are() {
    let page = std::fs::read_to_string(cutover_tests::root().join("docs/manifests.md")).unwrap();
    let policy = page
        .split("\n## ")
        .find(|section| section.starts_with("The policy"))
        .unwrap();
    let rows = policy
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split('`').nth(1));
    let stage = Stage::new();
    let refusals = [
        (ADMIN, shop(json!({ "generation": 6 }))),
        (ADMIN, shop(json!({ "generation": null, "previous": null }))),
        (ADMIN, shop(json!({ "active": "green" }))),
        (ADMIN, shop(json!({ "active": "purple", "generation": 8 }))),
        (
            ALICE,
            shop(json!({ "generation": 8, "blue": { "header": "v3" } })),
        ),
    ];
    let mut said: Vec<_> = refusals
        .iter()
        .map(|(writer, change)| {
            let patch = config_patch("WasmPlugin", change);
            stage
                .patch(*writer, "WasmPlugin", "cutover", &patch)
                .unwrap_err()
        })
        .collect();
    let rename = json!({ "spec": { "pluginName": "other" } });
    said.push(
        stage
            .patch(ADMIN, "WasmPlugin", "cutover", &rename)
            .unwrap_err(),
    );
    let mut shown = 0;
    for row in rows {
        assert!(
            said.iter().any(|said| said.contains(row)),
            "nobody is told: {row}"
        );
        shown += 1;
    }
    assert_eq!(shown, said.len());
}
