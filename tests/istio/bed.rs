//! The test bed that runs, as its `bed.json` describes it.

use serde_json::Value;
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

/// What `scripts/istio-up` started.
#[derive(Debug)]
pub(crate) struct Bed {
    description: Value,
}

impl Bed {
    /// The one that `CUTOVER_BED` names.
    pub(crate) fn here() -> Self {
        let folder = std::env::var_os("CUTOVER_BED")
            .expect("CUTOVER_BED: `scripts/test istio` starts a bed and sets it");
        let path = PathBuf::from(folder).join("bed.json");
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let description = serde_json::from_slice(&text).unwrap();
        Self { description }
    }

    /// What the description says at a JSON pointer, as text.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        let value = self.description.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("bed.json has no text at {pointer}: {:#}", self.description))
    }

    /// A program of the bed: `kubectl`, `istioctl`, `crane`.
    pub(crate) fn program(name: &str) -> PathBuf {
        let folder = std::env::var_os("CUTOVER_CLUSTER_BIN")
            .expect("CUTOVER_CLUSTER_BIN: the folder that scripts/get-cluster prints");
        PathBuf::from(folder).join(name)
    }

    /// Runs kubectl as the bed's administrator.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Output {
        let mut kubectl = Command::new(Self::program("kubectl"));
        kubectl.env("KUBECONFIG", self.text("/kubeconfig"));
        kubectl.args(arguments).output().unwrap()
    }
}
