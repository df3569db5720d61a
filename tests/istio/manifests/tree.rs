//! A copy of `istio/`, in which a test may put a kustomization of its own beside the others.

use super::ask::answer;
use crate::bed::Bed;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// The copy. The module is where the air-gapped variant wants it.
pub(crate) struct Tree {
    folder: TempDir,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = cutover_tests::root().join("istio");
        for path in cutover_tests::files_below(&from) {
            let to = folder
                .path()
                .join("istio")
                .join(path.strip_prefix(&from).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&path, &to).unwrap();
        }
        let tree = Self { folder };
        for kind in ["wasmplugin", "trafficextension"] {
            let to = tree.root().join("overlays/air-gapped").join(kind);
            fs::copy(cutover_tests::module(), to.join("cutover.wasm")).unwrap();
        }
        tree
    }

    /// Where `istio/` is.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("istio")
    }

    /// All folders with a kustomization that stands for itself, from `istio/`: not the components.
    pub(crate) fn kustomizations(&self) -> Vec<String> {
        self.folders_with("kustomization.yaml", "kind: Kustomization")
    }

    /// All components: they change what another kustomization has.
    pub(crate) fn components(&self) -> Vec<String> {
        self.folders_with("kustomization.yaml", "kind: Component")
    }

    fn folders_with(&self, name: &str, line: &str) -> Vec<String> {
        let files = cutover_tests::files_below(&self.root());
        let files = files.into_iter().filter(|path| path.ends_with(name));
        let of_kind = files.filter(|path| fs::read_to_string(path).unwrap().contains(line));
        let folder = |path: &Path| {
            path.parent()
                .unwrap()
                .strip_prefix(self.root())
                .unwrap()
                .to_owned()
        };
        let mut folders: Vec<_> = of_kind
            .map(|path| folder(&path).to_str().unwrap().to_owned())
            .collect();
        folders.sort();
        folders
    }

    /// A kustomization of the test, beside `istio/`, so that it names it as `../istio/…`.
    pub(crate) fn with(&self, name: &str, lines: &str) -> String {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        let head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
        fs::write(folder.join("kustomization.yaml"), format!("{head}{lines}")).unwrap();
        folder.to_str().unwrap().to_owned()
    }

    /// A kustomization of `istio/`, all of it put into one namespace. Its gateway is one that no proxy of the bed takes.
    pub(crate) fn in_namespace(&self, kustomization: &str, namespace: &str) -> String {
        let name = format!("{}-in-{namespace}", kustomization.replace('/', "-"));
        let lines = format!(
            "\
namespace: {namespace}
resources: [../istio/{kustomization}]
patches:
  - target: {{ group: networking.istio.io, kind: Gateway }}
    patch: |-
      - {{ op: replace, path: /spec/selector, value: {{ istio: {namespace} }} }}
"
        );
        self.with(&name, &lines)
    }

    /// What a kustomization makes, as YAML.
    #[track_caller]
    pub(crate) fn rendered(&self, kustomization: &str) -> String {
        let mut kubectl = Command::new(Bed::program("kubectl"));
        let kubectl = kubectl
            .args(["kustomize", kustomization])
            .current_dir(self.root());
        answer(&kubectl.output().unwrap())
            .unwrap_or_else(|error| panic!("{kustomization}: {error}"))
    }
}

/// The objects of a YAML text.
pub(crate) fn objects(yaml: &str) -> Vec<serde_json::Value> {
    let documents = yaml_serde::Deserializer::from_str(yaml);
    documents
        .map(|document| serde::Deserialize::deserialize(document).unwrap())
        .collect()
}
