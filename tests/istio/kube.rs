//! What `cutover-kube` says to a real API server, and what that answers.

mod access;
mod apply;
mod conflict;
mod denied;
mod fleet;
mod journal;
mod sight;

use crate::bed::Bed;
use cutover_kube::{Access, Cluster, ObjectName, Plugin, SwitchChange};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// A namespace of the test's own, on the bed that all share.
struct Stage {
    bed: Bed,
    namespace: String,
    cluster: Cluster,
}

impl Stage {
    async fn new() -> Self {
        let bed = Bed::here();
        let cluster = connect(bed.text("/kubeconfig")).await;
        let namespace = fresh_namespace(&bed);
        Self {
            bed,
            namespace,
            cluster,
        }
    }

    /// A plugin that `kubectl apply --server-side` has made in the name of a field manager.
    fn plugin(&self, kind: &str, name: &str, config: &Value, manager: &str) {
        let object = self.object(kind, name, config);
        let manager = format!("--field-manager={manager}");
        self.bed.apply(&object, &[&manager]);
    }

    fn object(&self, kind: &str, name: &str, config: &Value) -> Value {
        let body =
            json!({"url": "file:///m.wasm", "failStrategy": "FAIL_RELOAD", "pluginConfig": config});
        json!({
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": match kind {
                "WasmPlugin" => body,
                _ => json!({"wasm": body}),
            },
        })
    }

    fn name(&self, name: &str) -> ObjectName {
        format!("{}/{name}", self.namespace).parse().unwrap()
    }

    async fn find(&self, name: &str) -> Plugin {
        self.cluster.find(&self.name(name)).await.unwrap()
    }

    /// Runs kubectl in the namespace.
    #[track_caller]
    fn kubectl(&self, arguments: &[&str]) -> String {
        let mut all = vec!["--namespace", self.namespace.as_str()];
        all.extend(arguments);
        self.bed.kubectl_says(&all)
    }

    /// Changes the specification as another writer would, without a word about conflicts.
    #[track_caller]
    fn patch(&self, name: &str, manager: &str, patch: &Value) {
        let manager = format!("--field-manager={manager}");
        let patch = patch.to_string();
        let target = format!("wasmplugin/{name}");
        self.kubectl(&[
            "patch",
            &target,
            "--type=merge",
            "--patch",
            &patch,
            &manager,
        ]);
    }
}

/// A name for a namespace that no other test has; it stays as long as the bed.
fn fresh_namespace(bed: &Bed) -> String {
    static NAMESPACES: AtomicU32 = AtomicU32::new(0);
    let number = NAMESPACES.fetch_add(1, Ordering::Relaxed);
    let name = format!("kube-{}-{number}", process::id());
    bed.kubectl_says(&["create", "namespace", &name]);
    name
}

async fn connect(kubeconfig: &str) -> Cluster {
    let access = Access {
        kubeconfig: Some(PathBuf::from(kubeconfig)),
        context: None,
    };
    Cluster::connect(&access).await.unwrap()
}

fn two_services() -> Value {
    json!({"services": {
        "shop": {"hosts": ["shop.example"], "active": "blue", "blue": {"header": "blue"}, "green": {"header": "green"}},
        "api": {"hosts": ["api.example"], "active": "blue", "blue": {"header": "blue"}, "green": {"header": "green"}},
    }})
}

fn one_service() -> Value {
    json!({"active": "blue", "generation": 1, "blue": {"header": "blue"}, "green": {"header": "green"}})
}

fn switch(service: Option<&str>, switch: Value) -> [SwitchChange; 1] {
    let Value::Object(switch) = switch else {
        panic!("a switch is an object");
    };
    [SwitchChange {
        service: service.map(str::to_owned),
        switch,
    }]
}

fn to_green(service: Option<&str>, generation: u64) -> [SwitchChange; 1] {
    let previous = json!({"active": "blue", "generation": generation - 1});
    switch(
        service,
        json!({"active": "green", "generation": generation, "previous": previous}),
    )
}
