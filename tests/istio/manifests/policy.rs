//! The policy of `istio/policy`, tried: each of its rules in both kinds, with what is let through beside it.

use super::tree::{Tree, objects};
use super::{
    ask::{Answer, answer, until, written},
    fresh_name,
};
use crate::bed::Bed;
use serde_json::{Value, json};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A namespace for which the policy is in force, with a plugin of each kind.
struct Stage {
    bed: Bed,
    namespace: String,
    folder: TempDir,
}

/// Who writes, and in whose name (the field manager).
#[derive(Clone, Copy)]
struct Writer {
    user: &'static str,
    manager: &'static str,
    /// `server`: asks what the answer would be.
    dry: &'static str,
}

/// May do anything.
const ADMIN: Writer = Writer {
    user: "admin",
    manager: "kubectl",
    dry: "none",
};
/// The tool, in the hands of an administrator.
const TOOL: Writer = Writer {
    user: "admin",
    manager: "cutover",
    dry: "none",
};
/// The administrator, who only asks.
const DRY: Writer = Writer {
    user: "admin",
    manager: "kubectl",
    dry: "server",
};
/// Bound to the flip role.
const ALICE: Writer = Writer {
    user: "alice",
    manager: "kubectl",
    dry: "none",
};

const KINDS: [&str; 2] = ["WasmPlugin", "TrafficExtension"];
const DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A plugin of a kind with a configuration.
fn plugin(kind: &str, name: &str, config: &Value) -> Value {
    let wasm = json!({
        "pluginName": "cutover",
        "url": format!("oci://ghcr.io/OWNER/cutover@sha256:{DIGEST}"),
        "pluginConfig": config,
    });
    let spec = if kind == "WasmPlugin" {
        wasm
    } else {
        json!({ "wasm": wasm })
    };
    json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": kind,
        "metadata": { "name": name },
        "spec": spec,
    })
}

/// What changes a plugin's configuration, as a merge patch.
fn config_patch(kind: &str, config: &Value) -> Value {
    let wasm = json!({ "pluginConfig": config });
    json!({ "spec": if kind == "WasmPlugin" { wasm } else { json!({ "wasm": wasm }) } })
}

/// A configuration of two services: shop at generation 7 after 6, api without a generation.
fn two_services() -> Value {
    json!({ "version": 1, "services": {
        "shop": {
            "hosts": ["shop.example.com"], "active": "blue", "generation": 7,
            "previous": { "generation": 6, "active": "green" },
            "blue": { "header": "blue" }, "green": { "header": "green" },
        },
        "api": {
            "hosts": ["api.example.com"], "active": "blue",
            "blue": { "header": "blue" }, "green": { "header": "green" },
        },
    }})
}

/// The policy under a name of this process, in force for namespaces that have the name as a label: what other tests do
/// it does not judge. It stays in the bed.
fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        let name = format!("cutover-switch-{}", std::process::id());
        let lines = format!(
            "\
resources: [../istio/policy]
patches:
  - target: {{ kind: ValidatingAdmissionPolicy }}
    patch: |-
      - {{ op: replace, path: /metadata/name, value: {name} }}
  - target: {{ kind: ValidatingAdmissionPolicyBinding }}
    patch: |-
      - {{ op: replace, path: /metadata/name, value: {name} }}
      - {{ op: replace, path: /spec/policyName, value: {name} }}
      - op: add
        path: /spec/matchResources/namespaceSelector/matchLabels
        value: {{ policy: {name} }}
"
        );
        let tree = Tree::new();
        Bed::here().kubectl_says(&["apply", "--server-side", "-k", &tree.with("policy", &lines)]);
        name
    })
}

impl Stage {
    fn new() -> Self {
        Self::with(&two_services())
    }

    /// With another configuration.
    fn with(config: &Value) -> Self {
        let (bed, tree, folder) = (Bed::here(), Tree::new(), tempfile::tempdir().unwrap());
        let namespace = fresh_name();
        let labels = json!({ "policy": policy() });
        let mut items = vec![json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace, "labels": labels },
        })];
        items.extend(objects(
            &tree.rendered(&tree.in_namespace("access", &namespace)),
        ));
        items.extend(KINDS.map(|kind| plugin(kind, "cutover", config)));
        for item in items.iter_mut().skip(1) {
            item["metadata"]["namespace"] = namespace.as_str().into();
        }
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        let file = written(&folder, "all.json", &list.to_string());
        bed.kubectl_says(&["create", "-f", &file]);
        let stage = Self {
            bed,
            namespace,
            folder,
        };
        until("alice may patch", || {
            stage
                .patch(ALICE, "WasmPlugin", "cutover", &json!({}))
                .is_ok()
        });
        until("the policy is in force", || {
            let purple = config_patch(
                "WasmPlugin",
                &json!({ "services": { "purple": { "active": "purple" } } }),
            );
            stage.patch(DRY, "WasmPlugin", "cutover", &purple).is_err()
        });
        stage
    }

    fn kubectl(&self, user: &str, arguments: &[&str]) -> Answer {
        let mut all = vec!["-n", &self.namespace];
        all.extend(arguments);
        answer(&match user {
            "admin" => self.bed.kubectl(&all),
            user => self.bed.kubectl_as(user, &all),
        })
    }

    fn create(&self, kind: &str, name: &str, config: &Value) -> Answer {
        let file = written(
            &self.folder,
            "created.json",
            &plugin(kind, name, config).to_string(),
        );
        self.kubectl("admin", &["create", "-f", &file])
    }

    fn patch(&self, writer: Writer, kind: &str, name: &str, patch: &Value) -> Answer {
        let manager = format!("--field-manager={}", writer.manager);
        let (dry, patch) = (format!("--dry-run={}", writer.dry), patch.to_string());
        let options = ["--type=merge", &manager, &dry, "-p", &patch];
        self.kubectl(
            writer.user,
            &[&["patch", kind, name], &options[..]].concat(),
        )
    }

    fn config(&self, kind: &str) -> Value {
        let plugin = self
            .kubectl("admin", &["get", kind, "cutover", "-o", "json"])
            .unwrap();
        let plugin: Value = serde_json::from_str(&plugin).unwrap();
        let config = plugin
            .pointer("/spec/pluginConfig")
            .or(plugin.pointer("/spec/wasm/pluginConfig"));
        config.unwrap().clone()
    }

    /// Changes the configuration of both kinds, which the policy refuses with these words.
    #[track_caller]
    fn refuses(&self, writer: Writer, config: &Value, words: &str) {
        for kind in KINDS {
            self.refuses_patch(writer, kind, &config_patch(kind, config), words);
        }
    }

    #[track_caller]
    fn refuses_patch(&self, writer: Writer, kind: &str, patch: &Value, words: &str) {
        let refusal = self.patch(writer, kind, "cutover", patch).unwrap_err();
        assert!(
            refusal.contains(policy()) && refusal.contains(words),
            "{kind}: {refusal}"
        );
    }

    /// Changes the configuration of both kinds, which is let through.
    #[track_caller]
    fn allows(&self, writer: Writer, config: &Value) {
        for kind in KINDS {
            let answer = self.patch(writer, kind, "cutover", &config_patch(kind, config));
            assert!(answer.is_ok(), "{kind}: {answer:?}");
        }
    }
}

/// A change of the service shop.
fn shop(change: Value) -> Value {
    let mut config = json!({ "services": {} });
    config["services"]["shop"] = change;
    config
}

#[test]
fn generations_only_grow_whoever_writes() {
    let stage = Stage::new();
    for writer in [ADMIN, TOOL, ALICE] {
        let older = shop(json!({ "generation": 6, "active": "green" }));
        let words = "generations only grow: service shop has generation 7 and would get 6.";
        stage.refuses(writer, &older, words);
        let none = shop(json!({ "generation": null, "previous": null }));
        stage.refuses(
            writer,
            &none,
            "service shop has generation 7 and would get none",
        );
    }
    let newer = json!({ "generation": 8, "active": "green", "previous": { "generation": 7, "active": "blue" } });
    stage.allows(ALICE, &shop(newer));
    stage.refuses(
        ALICE,
        &shop(json!({ "generation": 7 })),
        "has generation 8 and would get 7",
    );
}

#[test]
fn a_generation_is_used_once() {
    let stage = Stage::new();
    for writer in [ADMIN, TOOL, ALICE] {
        let words = "a generation is used once: service shop has another switch under generation 7";
        stage.refuses(writer, &shop(json!({ "active": "green" })), words);
        stage.refuses(
            writer,
            &shop(json!({ "previous": { "generation": 5 } })),
            words,
        );
        stage.refuses(writer, &shop(json!({ "previous": null })), words);
        for field in ["activate_at", "hold"] {
            stage.refuses(writer, &shop(json!({ field: 20 })), words);
        }
    }
    // A flip may say an instant, and the next one none.
    let staged = json!({
        "active": "green", "generation": 8, "activate_at": 1_795_294_800_000_u64, "hold": 20,
        "previous": { "generation": 7, "active": "blue" },
    });
    stage.allows(ALICE, &shop(staged));
    stage.allows(
        ALICE,
        &shop(json!({ "active": "blue", "generation": 9, "activate_at": null, "hold": null })),
    );
    stage.allows(
        ALICE,
        &shop(json!({ "active": "green", "generation": 10, "previous": null })),
    );
}

#[test]
fn one_service_that_falls_is_enough() {
    let stage = Stage::new();
    let both = |shop: u64| {
        let api = json!({ "active": "green", "generation": 9 });
        json!({ "services": { "shop": { "generation": shop }, "api": api } })
    };
    stage.refuses(
        ADMIN,
        &both(6),
        "service shop has generation 7 and would get 6",
    );
    stage.allows(ADMIN, &both(8));
    let both = json!({ "services": { "shop": { "generation": 1 }, "api": { "generation": 2 } } });
    stage.refuses(ADMIN, &both, "service api has generation 9 and would get 2");
    stage.refuses(
        ADMIN,
        &both,
        "service shop has generation 8 and would get 1",
    );
}

#[test]
fn no_color_that_is_none_and_no_generation_that_no_proxy_can_read() {
    let stage = Stage::new();
    let words = "service shop: active must be blue or green, and generation a whole number from 1 to 9007199254740991";
    for change in [
        json!({ "active": "purple", "generation": 8 }),
        json!({ "active": "", "generation": 8 }),
        json!({ "active": null, "generation": 8 }),
        json!({ "generation": 8.5 }),
        json!({ "generation": 9_007_199_254_740_992_u64 }),
    ] {
        stage.refuses(ADMIN, &shop(change), words);
    }
    for kind in KINDS {
        for (change, refused) in [
            (json!({ "active": "blue", "generation": 0 }), true),
            (json!({ "active": "blue", "generation": "7" }), true),
            (json!({ "generation": 7 }), true),
            (json!({ "active": "blue", "generation": 7.0 }), false),
            (json!({ "active": "blue" }), false),
        ] {
            // At its creation too, in the short form.
            let name = format!("created-{}", change.to_string().len());
            let created = stage.create(kind, &name, &change);
            assert_eq!(created.is_err(), refused, "{kind} {change}: {created:?}");
        }
    }
    stage.allows(
        ADMIN,
        &shop(json!({ "generation": 9_007_199_254_740_991_u64 })),
    );
}

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
