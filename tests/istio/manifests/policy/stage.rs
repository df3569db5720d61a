//! Where the policy is tried: a namespace for which it is in force, and who writes there.

use crate::bed::Bed;
use crate::manifests::tree::{Tree, objects};
use crate::manifests::{
    ask::{Answer, answer, until, written},
    fresh_name,
};
use serde_json::{Value, json};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A namespace for which the policy is in force, with a plugin of each kind.
pub(super) struct Stage {
    pub(super) bed: Bed,
    pub(super) namespace: String,
    pub(super) folder: TempDir,
}

/// Who writes, and in whose name (the field manager).
#[derive(Clone, Copy)]
pub(super) struct Writer {
    user: &'static str,
    manager: &'static str,
    /// `server`: asks what the answer would be.
    dry: &'static str,
}

/// May do anything.
pub(super) const ADMIN: Writer = Writer {
    user: "admin",
    manager: "kubectl",
    dry: "none",
};
/// The tool, in the hands of an administrator.
pub(super) const TOOL: Writer = Writer {
    user: "admin",
    manager: "cutover",
    dry: "none",
};
/// The administrator, who only asks.
pub(super) const DRY: Writer = Writer {
    user: "admin",
    manager: "kubectl",
    dry: "server",
};
/// Bound to the flip role.
pub(super) const ALICE: Writer = Writer {
    user: "alice",
    manager: "kubectl",
    dry: "none",
};

pub(super) const KINDS: [&str; 2] = ["WasmPlugin", "TrafficExtension"];
pub(super) const DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A plugin of a kind with a configuration.
pub(super) fn plugin(kind: &str, name: &str, config: &Value) -> Value {
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
pub(super) fn config_patch(kind: &str, config: &Value) -> Value {
    let wasm = json!({ "pluginConfig": config });
    json!({ "spec": if kind == "WasmPlugin" { wasm } else { json!({ "wasm": wasm }) } })
}

/// A configuration of two services: shop at generation 7 after 6, api without a generation.
pub(super) fn two_services() -> Value {
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
pub(super) fn policy() -> &'static str {
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
    pub(super) fn new() -> Self {
        Self::with(&two_services())
    }

    /// With another configuration.
    pub(super) fn with(config: &Value) -> Self {
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

    pub(super) fn kubectl(&self, user: &str, arguments: &[&str]) -> Answer {
        let mut all = vec!["-n", &self.namespace];
        all.extend(arguments);
        answer(&match user {
            "admin" => self.bed.kubectl(&all),
            user => self.bed.kubectl_as(user, &all),
        })
    }

    pub(super) fn create(&self, kind: &str, name: &str, config: &Value) -> Answer {
        let file = written(
            &self.folder,
            "created.json",
            &plugin(kind, name, config).to_string(),
        );
        self.kubectl("admin", &["create", "-f", &file])
    }

    pub(super) fn patch(&self, writer: Writer, kind: &str, name: &str, patch: &Value) -> Answer {
        let manager = format!("--field-manager={}", writer.manager);
        let (dry, patch) = (format!("--dry-run={}", writer.dry), patch.to_string());
        let options = ["--type=merge", &manager, &dry, "-p", &patch];
        self.kubectl(
            writer.user,
            &[&["patch", kind, name], &options[..]].concat(),
        )
    }

    pub(super) fn config(&self, kind: &str) -> Value {
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
    pub(super) fn refuses(&self, writer: Writer, config: &Value, words: &str) {
        for kind in KINDS {
            self.refuses_patch(writer, kind, &config_patch(kind, config), words);
        }
    }

    #[track_caller]
    pub(super) fn refuses_patch(&self, writer: Writer, kind: &str, patch: &Value, words: &str) {
        let refusal = self.patch(writer, kind, "cutover", patch).unwrap_err();
        assert!(
            refusal.contains(policy()) && refusal.contains(words),
            "{kind}: {refusal}"
        );
    }

    /// Changes the configuration of both kinds, which is let through.
    #[track_caller]
    pub(super) fn allows(&self, writer: Writer, config: &Value) {
        for kind in KINDS {
            let answer = self.patch(writer, kind, "cutover", &config_patch(kind, config));
            assert!(answer.is_ok(), "{kind}: {answer:?}");
        }
    }
}

/// A change of the service shop.
pub(super) fn shop(change: Value) -> Value {
    let mut config = json!({ "services": {} });
    config["services"]["shop"] = change;
    config
}
