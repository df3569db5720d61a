//! A plugin of its own for each test, and the tool to work on it.

use crate::bed::Bed;
use serde_json::{Value, json};
use std::{
    fmt,
    process::{Command, Output},
};
use tempfile::TempDir;

/// A plugin that every gateway of the bed has taken; it goes with the test.
pub(crate) struct Stage {
    pub(crate) bed: Bed,
    kind: &'static str,
    name: &'static str,
    /// Of the switch that it begins with. A proxy remembers the newest of a name that it ever had.
    pub(crate) generation: u64,
    folder: TempDir,
}

/// What the tool said.
#[must_use]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Stage {
    /// Applies the plugin as `kubectl`, with blue, and waits until every gateway shows it.
    #[track_caller]
    pub(crate) fn with(kind: &'static str, name: &'static str) -> Self {
        let stage = Self {
            bed: Bed::here(),
            kind,
            name,
            generation: cutover_control::unix_ms(),
            folder: tempfile::tempdir().unwrap(),
        };
        stage.apply("blue", stage.generation, &[]);
        let landed = stage.cutover(&["wait", "--deadline", "60s"]);
        assert_eq!(landed.code, 0, "{landed}");
        stage
    }

    /// The manifest as it would lie in Git.
    pub(crate) fn manifest(&self, active: &str, generation: u64) -> Value {
        let module = cutover_tests::target().join("cutover.wasm");
        let wasm = json!({
            "url": format!("file://{}", module.canonicalize().unwrap().display()),
            "failStrategy": "FAIL_RELOAD",
            "pluginConfig": { "services": { self.name: {
                // Of each plugin of this bed another host, so that they do not meet.
                "hosts": [format!("{}.control.example", self.name)],
                "active": active,
                "generation": generation,
                "blue": { "header": "blue" },
                "green": { "header": "green" },
            } } },
        });
        let mut spec = json!({ "selector": { "matchLabels": { "istio": "ingressgateway" } } });
        match self.kind {
            "WasmPlugin" => merge(&mut spec, wasm),
            _ => merge(&mut spec, json!({ "wasm": wasm })),
        }
        json!({
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": self.kind,
            "metadata": { "name": self.name, "namespace": "shop" },
            "spec": spec,
        })
    }

    /// Applies it with this switch.
    #[track_caller]
    pub(crate) fn apply(&self, active: &str, generation: u64, options: &[&str]) {
        self.bed.apply(&self.manifest(active, generation), options);
    }

    /// A file in the test's folder.
    pub(crate) fn write(&self, name: &str, content: &Value) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content.to_string()).unwrap();
        path.display().to_string()
    }

    /// Runs the tool on the plugin and on all gateways of the bed.
    pub(crate) fn cutover(&self, arguments: &[&str]) -> Said {
        self.said(&mut self.command(arguments))
    }

    /// The same as another user of the API server.
    pub(crate) fn cutover_as(&self, user: &str, arguments: &[&str]) -> Said {
        let kubeconfig = self.bed.text(&format!("/users/{user}")).to_owned();
        self.said(self.command(arguments).env("KUBECONFIG", kubeconfig))
    }

    /// The tool, ready to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cutover_tests::target().join("release/cutover"));
        let admins = self.bed.admins();
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.bed.text("/kubeconfig"))
            .env("CUTOVER_TARGET", format!("k8s:shop/{}", self.name))
            .env("CUTOVER_ADMIN", admins)
            .args(arguments);
        command
    }

    /// What came of it, with names for what is another each time.
    pub(crate) fn said(&self, command: &mut Command) -> Said {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        let text = |bytes: &[u8]| {
            let mut text = String::from_utf8_lossy(bytes).into_owned();
            for (number, admin) in self.bed.admins().split(',').enumerate() {
                text = text.replace(admin, &format!("[PROXY-{number}]"));
            }
            text.replace(&self.folder.path().display().to_string(), "[DIR]")
        };
        Said {
            code: status.code().unwrap(),
            out: text(&stdout),
            err: text(&stderr),
        }
    }

    /// The plugin, as the API server has it.
    pub(crate) fn object(&self) -> Value {
        let kind = format!("{}s", self.kind.to_lowercase());
        let arguments = [
            "--namespace",
            "shop",
            "get",
            &kind,
            self.name,
            "--output=json",
        ];
        serde_json::from_str(&self.bed.kubectl_says(&arguments)).unwrap()
    }

    /// The switch of its service there.
    pub(crate) fn switch(&self) -> Value {
        let object = self.object();
        let config = match self.kind {
            "WasmPlugin" => "/spec/pluginConfig",
            _ => "/spec/wasm/pluginConfig",
        };
        object
            .pointer(&format!("{config}/services/{}", self.name))
            .unwrap()
            .clone()
    }

    /// How many proxies the bed has.
    pub(crate) fn proxies(&self) -> usize {
        self.bed.proxies().len()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let kind = format!("{}s", self.kind.to_lowercase());
        let journal = format!("configmap/{}.cutover-journal", self.name);
        for what in [format!("{kind}/{}", self.name), journal] {
            let arguments = ["--namespace", "shop", "delete", &what, "--ignore-not-found"];
            drop(self.bed.kubectl(&arguments));
        }
    }
}

impl Said {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code: {}\n{}{}", self.code, self.out, self.err)
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

/// Compares what is printed, without what is another at each run.
#[macro_export]
macro_rules! assert_said {
    ($said:expr, @$expected:literal) => {
        insta::with_settings!({filters => vec![
            (r"\b1[0-9]{12}\b", "[GENERATION]"),
            (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
            (r"https?://127\.0\.0\.1:\d+", "[SERVER]"),
            (r"\b\d+ ms", "[N] ms"),
            (r"process \d+", "process [PID]"),
            (r"[0-9.]+ \([0-9a-f]{12}\)", "[MODULE]"),
        ]}, { insta::assert_snapshot!($said.to_string(), @$expected) })
    };
}
