//! Manifests under traffic: a gateway that takes them from istiod, and two backends that say which color they are.

use super::ask::{color_of, shows, written};
use super::tree::{Tree, objects};
use crate::bed::Bed;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A bed of its own with one gateway, in whose namespace the manifests are put. Nothing of the bed's shop is left.
struct Stage {
    bed: Bed,
    tree: Tree,
    folder: TempDir,
    gateway: String,
}

impl Stage {
    fn new() -> Self {
        let bed = Bed::up(&["--proxies", "1"]);
        let shop = [
            "virtualservice,destinationrule,serviceentry,gateways.networking.istio.io",
            "--all",
        ];
        bed.kubectl_says(&[&["delete", "-n", "shop"], &shop[..]].concat());
        let (_, gateway) = bed.proxies().swap_remove(0);
        let stage = Self {
            bed,
            tree: Tree::new(),
            folder: tempfile::tempdir().unwrap(),
            gateway,
        };
        // What a Service is where there are nodes: endpoints with the labels of their pods.
        let port = |color: &str| {
            let address = stage.bed.text(&format!("/backends/{color}"));
            address.rsplit(':').next().unwrap().parse::<u16>().unwrap()
        };
        let endpoint = |color: &str| json!({ "address": "127.0.0.1", "labels": { "version": color }, "ports": { "http": port(color) } });
        stage.bed.apply(
            &json!({
                "apiVersion": "networking.istio.io/v1",
                "kind": "ServiceEntry",
                "metadata": { "name": "pods", "namespace": "shop" },
                "spec": {
                    "hosts": ["shop.shop.svc.cluster.local"],
                    "location": "MESH_INTERNAL",
                    "resolution": "STATIC",
                    "ports": [{ "number": 80, "name": "http", "protocol": "HTTP" }],
                    "endpoints": [endpoint("blue"), endpoint("green")],
                },
            }),
            &[],
        );
        stage
    }

    /// Applies routes of `istio/`: unchanged but for the namespace and port of the gateway.
    fn routes(&self, kustomization: &str) {
        let port: u16 = self.gateway.rsplit(':').next().unwrap().parse().unwrap();
        let mut all = objects(&self.tree.rendered(kustomization));
        for object in &mut all {
            object["metadata"]["namespace"] = "shop".into();
            match object["kind"].as_str().unwrap() {
                "Gateway" => {
                    object["spec"]["servers"][0]["bind"] = "127.0.0.1".into();
                    object["spec"]["servers"][0]["port"]["number"] = port.into();
                }
                "VirtualService" => object["spec"]["gateways"] = json!(["shop/shop"]),
                "EnvoyFilter" => {
                    let vhost = format!("shop.example.com:{port}");
                    object["spec"]["configPatches"][0]["match"]["routeConfiguration"]["vhost"]["name"] =
                        vhost.into();
                }
                _ => {}
            }
        }
        self.apply(&all);
    }

    /// Applies a plugin of `istio/` with the module of this checkout.
    fn plugin(&self, kustomization: &str) {
        let mut all = objects(&self.tree.rendered(kustomization));
        for object in &mut all {
            object["metadata"]["namespace"] = "shop".into();
            let module = format!(
                "file://{}",
                cutover_tests::module().canonicalize().unwrap().display()
            );
            for url in ["/spec/url", "/spec/wasm/url"] {
                if let Some(url) = object.pointer_mut(url) {
                    *url = module.as_str().into();
                }
            }
        }
        self.apply(&all);
    }

    fn apply(&self, items: &[Value]) {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        let file = written(&self.folder, "all.json", &list.to_string());
        self.bed
            .kubectl_says(&["apply", "--server-side", "--force-conflicts", "-f", &file]);
    }

    #[track_caller]
    fn shows(&self, color: &str, decision: &str) {
        shows(&self.gateway, color, decision);
    }

    /// The color of an answer to a request with these headers.
    fn color(&self, headers: &str) -> String {
        color_of(&self.gateway, headers).unwrap().0
    }
}

#[test]
fn a_gateway_is_switched_by_either_kind_and_by_either_form_of_routes() {
    let stage = Stage::new();
    // A proxy keeps the newest switch that it saw of a plugin, by the plugin's name: deleted and created again with an
    // older one, as in the second round here, the plugin goes on where it was.
    for (routes, place, [first, green, blue]) in [
        ("routes/subsets", "ingress-gateway", [1, 2, 3]),
        ("routes/cluster-header", "cluster-header", [3, 4, 5]),
    ] {
        stage.routes(routes);
        for kind in ["wasmplugin", "trafficextension"] {
            stage.shows("blue", "");
            stage.plugin(&format!("overlays/{place}/{kind}"));
            stage.shows("blue", &format!("blue;g={first};"));
            stage.bed.switch("shop", kind, "green", green);
            stage.shows("green", &format!("green;g={green};"));

            // What a client says about routes is removed.
            let named = "outbound|80|blue|shop.shop.svc.cluster.local";
            let asked = format!("x-cutover-color: blue\r\nx-cutover-cluster: {named}\r\n");
            assert_eq!(stage.color(&asked), "green", "{place} {kind}");
            stage.bed.switch("shop", kind, "blue", blue);
            stage.shows("blue", &format!("blue;g={blue};"));
            stage
                .bed
                .kubectl_says(&["delete", "-n", "shop", kind, "cutover"]);
        }
        // The filter is gone: one color for everybody, and a client cannot name any other cluster.
        stage.shows("blue", "");
        let any = stage.color("x-cutover-cluster: BlackHoleCluster\r\n");
        assert_eq!(any, "blue", "{routes}");
        if routes.ends_with("subsets") {
            let left = ["delete", "-n", "shop", "virtualservice", "shop"];
            stage.bed.kubectl_says(&left);
        }
    }
}
