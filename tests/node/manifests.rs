//! Manifests of `istio/` on a node, as they stand: real Services, injected sidecars under STRICT mutual TLS, the module out of a
//! `ConfigMap` or a registry.

use crate::{
    ask::{answer, color_of, shows, until, written},
    bed::Bed,
    tree::Tree,
};
use cutover_core::{Color, token};
use serde_json::json;
use std::{
    fs,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

/// The shop of `tests/cluster/shop` and its client, and nothing left of another test.
pub(crate) struct Stage {
    pub(crate) bed: Bed,
    pub(crate) tree: Tree,
    folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

const KINDS: [&str; 2] = ["wasmplugin", "trafficextension"];
const NAMESPACES: [&str; 3] = ["shop", "storefront", "istio-ingress"];

impl Stage {
    pub(crate) fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let stage = Self {
            bed: Bed::here(),
            tree: Tree::new(),
            folder: tempfile::tempdir().unwrap(),
            _alone: alone,
        };
        stage.clear();
        let shop = cutover_tests::root().join("tests/cluster/shop");
        let shop = |file: &str| shop.join(file).to_str().unwrap().to_owned();
        let (namespaces, pods) = (shop("namespaces.yaml"), shop("shop.yaml"));
        stage
            .bed
            .kubectl_says(&["apply", "-f", &namespaces, "-f", &pods]);
        stage
            .bed
            .kubectl_says(&["create", "namespace", "istio-ingress"]);
        stage
    }

    fn clear(&self) {
        let delete = ["delete", "namespace", "--ignore-not-found"];
        let begin = [&delete[..], &["--wait=false"], &NAMESPACES].concat();
        self.bed.kubectl_says(&begin);
        // Nobody asks them any more: they need not end in order.
        for namespace in NAMESPACES {
            let pods = ["delete", "pods", "--all", "--namespace", namespace];
            let at_once = ["--grace-period=1", "--wait=false"];
            self.bed.kubectl_says(&[&pods[..], &at_once].concat());
        }
        let end = [&delete[..], &["--timeout=300s"], &NAMESPACES].concat();
        self.bed.kubectl_says(&end);
    }

    /// Applies a kustomization of the test.
    #[track_caller]
    pub(crate) fn apply(&self, kustomization: &str) {
        self.bed.kubectl_says(&[
            "apply",
            "--server-side",
            "--force-conflicts",
            "-k",
            kustomization,
        ]);
    }

    #[track_caller]
    pub(crate) fn runs(&self, namespace: &str, deployment: &str) {
        let deployment = format!("deployment/{deployment}");
        until("istiod has made the Deployment", || {
            self.bed
                .kubectl(&["get", "-n", namespace, &deployment])
                .status
                .success()
        });
        self.bed.kubectl_says(&[
            "rollout",
            "status",
            "-n",
            namespace,
            &deployment,
            "--timeout=300s",
        ]);
    }

    /// The address of a client with these labels, which asks the shop through its sidecar.
    fn client(&self, labels: &str) -> String {
        let of = ["get", "pods", "-n", "storefront", "-l", labels];
        let address = ["-o", "jsonpath={.items[0].status.podIP}"];
        self.bed.kubectl_says(&[&of[..], &address].concat()) + ":8080"
    }

    /// The address of the gateway that istiod made.
    pub(crate) fn gateway(&self) -> String {
        let service = [
            "get",
            "service",
            "-n",
            "shop",
            "shop-istio",
            "-o",
            "jsonpath={.spec.clusterIP}",
        ];
        self.bed.kubectl_says(&service) + ":80"
    }

    /// Flips there and back, and takes the plugin away.
    #[track_caller]
    fn switches(&self, namespace: &str, kind: &str, address: &str, [first, green, blue]: [u64; 3]) {
        shows(address, "blue", &format!("blue;g={first};"));
        self.bed.switch(namespace, kind, "green", green);
        shows(address, "green", &format!("green;g={green};"));
        let asked = color_of(address, "x-cutover-color: blue\r\n").unwrap();
        assert_eq!(asked.0, "green", "a client has chosen");
        self.bed.switch(namespace, kind, "blue", blue);
        shows(address, "blue", &format!("blue;g={blue};"));
        self.bed
            .kubectl_says(&["delete", "-n", namespace, kind, "cutover"]);
        shows(address, "blue", "");
    }

    /// Applies the routes with a gateway inside of the node, whose agent takes the registry of the bed as it is.
    #[track_caller]
    fn gateway_is_made(&self, name: &str, lines: &str) {
        let registry =
            json!({ "proxyMetadata": { "WASM_INSECURE_REGISTRIES": self.bed.text("/registry") } });
        let gateway = json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": { "name": "shop", "annotations": { "networking.istio.io/service-type": "ClusterIP" } },
            "spec": { "infrastructure": { "annotations": { "proxy.istio.io/config": registry.to_string() } } },
        });
        let lines = format!(
            "namespace: shop\nresources: [../istio/routes/colors]\n{lines}patches: [path: gateway.json]\n"
        );
        let own = self.tree.with(name, &lines);
        fs::write(format!("{own}/gateway.json"), gateway.to_string()).unwrap();
        self.apply(&own);
    }

    /// Lines of a kustomization: a plugin at the gateway with the module from the bed's registry.
    fn plugin_of_the_registry(&self, kind: &str) -> String {
        let (repository, digest) = self.pushed();
        format!(
            "resources: [../istio/overlays/gateway-api/{kind}]\nimages:\n  - name: oci://ghcr.io/OWNER/cutover\n    \
             newName: oci://{repository}\n    digest: {digest}\n"
        )
    }

    /// Pushes the module to the bed's registry; its repository there, and its digest.
    pub(crate) fn pushed(&self) -> (String, String) {
        let repository = format!("{}/cutover", self.bed.text("/registry"));
        let to = self.folder.path().join("oci");
        let mut package = Command::new(cutover_tests::root().join("scripts/package-oci"));
        package
            .arg("--module")
            .arg(cutover_tests::module())
            .arg("--to")
            .arg(&to);
        answer(&package.output().unwrap()).unwrap();
        let mut crane = Command::new(Bed::program("crane"));
        crane
            .args(["push", "--insecure"])
            .arg(to.join("image"))
            .arg(format!("{repository}:tried"));
        let pushed = answer(&crane.output().unwrap()).unwrap();
        let digest = pushed.rsplit('@').next().unwrap().to_owned();
        assert!(digest.starts_with("sha256:"), "{pushed}");
        (repository, digest)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.clear();
        }
    }
}

#[test]
fn sidecars_take_the_module_out_of_a_config_map_and_follow_either_form_of_routes() {
    let stage = Stage::new();
    let client = cutover_tests::root().join("tests/cluster/shop/client.yaml");
    let with_volume = stage.tree.with(
        "client",
        "resources: [client.yaml]\ncomponents: [../istio/components/module-volume]\n",
    );
    fs::copy(&client, format!("{with_volume}/client.yaml")).unwrap();
    let istio = |name: &str| stage.tree.root().join(name).to_str().unwrap().to_owned();

    // The ConfigMap is immutable, and the same for both kinds. A sidecar without the volume is left alone.
    stage.apply(&istio("overlays/air-gapped/wasmplugin"));
    stage.apply(&istio("routes/subsets"));
    stage
        .bed
        .kubectl_says(&["apply", "--server-side", "-f", client.to_str().unwrap()]);
    stage.runs("storefront", "client");
    shows(&stage.client("app=client"), "blue", "");
    stage.apply(&with_volume);
    stage.runs("storefront", "client");
    stage.switches(
        "storefront",
        "wasmplugin",
        &stage.client("cutover.dev/module=mounted"),
        [1, 2, 3],
    );
    stage
        .bed
        .kubectl_says(&["delete", "-k", &istio("routes/subsets")]);
    stage.apply(&istio("routes/colors"));
    stage.apply(&istio("overlays/air-gapped/trafficextension"));
    stage.switches(
        "storefront",
        "trafficextension",
        &stage.client("cutover.dev/module=mounted"),
        [1, 2, 3],
    );
}

#[test]
fn a_gateway_of_the_gateway_api_takes_the_module_from_a_registry_or_out_of_a_config_map() {
    let stage = Stage::new();
    stage.gateway_is_made("routes", "");
    for kind in KINDS {
        stage.apply(&stage.tree.with(kind, &stage.plugin_of_the_registry(kind)));
        stage.runs("shop", "shop-istio");
        stage.switches("shop", kind, &stage.gateway(), [1, 2, 3]);
    }

    // Another gateway in its place: what it mounts was laid over the Deployment that istiod makes.
    stage.bed.kubectl_says(&[
        "delete",
        "-n",
        "shop",
        "gateways.gateway.networking.k8s.io",
        "shop",
    ]);
    until("istiod has ended the gateway", || {
        !stage
            .bed
            .kubectl(&["get", "-n", "shop", "deployment", "shop-istio"])
            .status
            .success()
    });
    let component = "components: [../istio/components/module-volume-gateway]\n";
    stage.gateway_is_made("mounted", component);
    let plugin = "\
namespace: shop
resources: [../istio/overlays/air-gapped/wasmplugin]
patches:
  - target: { kind: WasmPlugin }
    patch: |-
      - { op: remove, path: /spec/match }
      - { op: remove, path: /spec/selector }
      - { op: add, path: /spec/targetRefs, value: [{ group: gateway.networking.k8s.io, kind: Gateway, name: shop }] }
";
    // Its pod waits for the ConfigMap, which comes with the plugin.
    stage.apply(&stage.tree.with("from-file", plugin));
    stage.runs("shop", "shop-istio");
    stage.switches("shop", "wasmplugin", &stage.gateway(), [1, 2, 3]);
}

#[test]
fn a_signed_preview_is_checked_with_a_key_out_of_a_secret() {
    const KEY: &str = "0123456789abcdef0123";
    let stage = Stage::new();
    let secret = format!("--from-literal=k1={KEY}");
    stage.bed.kubectl_says(&[
        "create",
        "secret",
        "generic",
        "-n",
        "shop",
        "cutover-keys",
        &secret,
    ]);
    stage.gateway_is_made(
        "keyed",
        "components: [../istio/components/preview-key-gateway]\n",
    );
    stage.runs("shop", "shop-istio");
    let signed = "components: [../istio/components/preview-signed]\n";
    let plugin = stage.plugin_of_the_registry("wasmplugin") + signed;
    stage.apply(&stage.tree.with("signed", &plugin));
    let gateway = stage.gateway();
    shows(&gateway, "blue", "blue;g=1;");
    let in_an_hour = SystemTime::now() + Duration::from_hours(1);
    let expiry = in_an_hour.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let asked_with = |key: &str| {
        let key = token::Key::new(key.as_bytes()).unwrap();
        let value = token::sign("k1", &key, "shop", Color::Green, "green", expiry);
        color_of(&gateway, &format!("x-cutover-override: {value}\r\n"))
            .unwrap()
            .0
    };
    assert_eq!(asked_with(KEY), "green");
    assert_eq!(asked_with("another key of 20 bytes"), "blue");
}

#[test]
fn the_flip_role_cannot_reach_beyond_its_namespace() {
    let stage = Stage::new();
    stage.apply(&stage.tree.in_namespace("access", "storefront"));
    let pods = |namespace: &str| {
        stage
            .bed
            .kubectl_as("alice", &["get", "pods", "-n", namespace])
    };
    until("alice may look", || pods("storefront").status.success());
    let refusal = answer(&pods("shop")).unwrap_err();
    assert!(refusal.contains("forbidden"), "{refusal}");
    let kept = written(
        &stage.folder,
        "secret.yaml",
        "{apiVersion: v1, kind: Secret, metadata: {name: key}}",
    );
    let secret = stage
        .bed
        .kubectl_as("alice", &["create", "-n", "storefront", "-f", &kept]);
    assert!(answer(&secret).unwrap_err().contains("forbidden"));
}
