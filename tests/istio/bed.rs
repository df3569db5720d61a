//! The test bed that runs, as its `bed.json` describes it.

use cutover_harness::WrongClock;
use serde_json::{Value, json};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};
use tempfile::TempDir;

/// How long a condition is waited for.
pub(crate) fn deadline() -> Duration {
    Duration::from_mins(1)
}

/// What `scripts/istio-up` started.
#[derive(Debug)]
pub(crate) struct Bed {
    description: Value,
    /// Of a bed that a test started for itself; it ends with the test.
    own: Option<TempDir>,
}

impl Bed {
    /// A bed for one test, which may break it.
    pub(crate) fn up(arguments: &[&str]) -> Self {
        let folder = TempDir::with_prefix("cutover-bed.").unwrap();
        let script = cutover_tests::root().join("scripts/istio-up");
        let mut up = Command::new(script);
        up.arg("--dir").arg(folder.path()).args(arguments);
        let up = up.output().unwrap();
        let mut bed = Self {
            description: Value::Null,
            own: Some(folder),
        };
        let said = String::from_utf8_lossy(&up.stderr);
        assert!(up.status.success(), "{said}");
        bed.look();
        bed
    }

    /// Reads the description again.
    fn look(&mut self) {
        if let Some(folder) = &self.own {
            self.description = read(&folder.path().join("bed.json"));
        }
    }

    /// The one that `CUTOVER_BED` names.
    pub(crate) fn here() -> Self {
        let folder = std::env::var_os("CUTOVER_BED").unwrap_or_else(|| {
            panic!("CUTOVER_BED: `scripts/test istio` starts a bed and sets it")
        });
        Self {
            description: read(&PathBuf::from(folder).join("bed.json")),
            own: None,
        }
    }

    /// What the description says at a JSON pointer, as text.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        let value = self.description.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("bed.json has no text at {pointer}: {:#}", self.description))
    }

    /// A program of the bed: `kubectl`, `istioctl`, `crane`.
    pub(crate) fn program(name: &str) -> PathBuf {
        let folder = std::env::var_os("CUTOVER_CLUSTER_BIN")
            .unwrap_or_else(|| panic!("CUTOVER_CLUSTER_BIN: what scripts/get-cluster prints"));
        PathBuf::from(folder).join(name)
    }

    /// Runs kubectl as the bed's administrator.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Output {
        let mut kubectl = Command::new(Self::program("kubectl"));
        kubectl.env("KUBECONFIG", self.text("/kubeconfig"));
        kubectl.args(arguments).output().unwrap()
    }

    /// Runs kubectl as another user of the bed's API server: `alice`, `mallory`.
    pub(crate) fn kubectl_as(&self, user: &str, arguments: &[&str]) -> Output {
        let mut kubectl = Command::new(Self::program("kubectl"));
        kubectl.env("KUBECONFIG", self.text(&format!("/users/{user}")));
        kubectl.args(arguments).output().unwrap()
    }

    /// Runs kubectl, which has to succeed; what it says.
    #[track_caller]
    pub(crate) fn kubectl_says(&self, arguments: &[&str]) -> String {
        let output = self.kubectl(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Applies an object, server-side.
    #[track_caller]
    pub(crate) fn apply(&self, object: &Value, options: &[&str]) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{object}").unwrap();
        let path = file.path().display().to_string();
        let mut arguments = vec!["apply", "--server-side", "--filename", &path];
        arguments.extend(options);
        self.kubectl_says(&arguments);
    }

    /// Writes the switch of `shop` into the plugin `cutover`, as somebody does who has no tool.
    #[track_caller]
    pub(crate) fn switch(&self, namespace: &str, kind: &str, color: &str, generation: u64) {
        let switch = json!({ "active": color, "generation": generation });
        let wasm = json!({ "pluginConfig": { "services": { "shop": switch } } });
        let spec = if kind == "wasmplugin" {
            wasm
        } else {
            json!({ "wasm": wasm })
        };
        let patch = json!({ "spec": spec }).to_string();
        let plugin = ["patch", "-n", namespace, kind, "cutover"];
        self.kubectl_says(&[&plugin[..], &["--type=merge", "-p", &patch]].concat());
    }

    /// Names and addresses of the gateways, as they are now.
    pub(crate) fn proxies(&self) -> Vec<(String, String)> {
        self.each_proxy("/http")
    }

    /// Admin addresses of the gateways, as `--admin` takes them.
    pub(crate) fn admins(&self) -> String {
        let admins = self.each_proxy("/admin").into_iter();
        let admins: Vec<_> = admins.map(|(_, address)| address).collect();
        admins.join(",")
    }

    fn each_proxy(&self, pointer: &str) -> Vec<(String, String)> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap().to_owned();
        let one = |proxy: &Value| (text(proxy.get("name")), text(proxy.pointer(pointer)));
        let proxies = self.description.pointer("/proxies");
        let proxies = proxies.and_then(Value::as_array).into_iter();
        proxies.flatten().map(one).collect()
    }

    /// Makes the wall clock of a proxy wrong, on a bed of one's own that has `--clock`.
    pub(crate) fn set_clock(&self, proxy: &str, clock: WrongClock) {
        let folder = self.own.as_ref().unwrap().path();
        clock.write(&folder.join(format!("{proxy}.clock"))).unwrap();
    }

    /// Tells a bed that is one's own what to do: `stop NAME`, `start NAME`, `add-proxy`.
    #[track_caller]
    pub(crate) fn tell(&mut self, arguments: &[&str]) {
        let folder = self.own.as_ref().unwrap().path();
        let mut bed = Command::new(folder.join("bin/bed"));
        let done = bed.args(arguments).arg("--dir").arg(folder).output();
        let done = done.unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "bed {arguments:?}: {said}");
        self.look();
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Some(folder) = &self.own {
            let script = cutover_tests::root().join("scripts/istio-down");
            let down = Command::new(script)
                .arg("--dir")
                .arg(folder.path())
                .status();
            assert!(down.is_ok_and(|down| down.success()) || std::thread::panicking());
        }
    }
}

fn read(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}
