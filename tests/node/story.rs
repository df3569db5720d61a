//! A release on a node: clients with injected sidecars call a service under STRICT mutual TLS, or reach it through a
//! gateway; every request of the load goes to the checker.

use crate::{
    ask::{color_of, until},
    bed::Bed,
    manifests::Stage as Node,
    stage::{Stage, judged},
};
use cutover_checker::Verdict;
use cutover_harness::Place;
use cutover_history::{Color, Scope};
use std::time::Instant;

const CLIENTS: usize = 4;
/// What a node of two cores starts within a minute, and serves beside the load.
const MANY_CLIENTS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_with_sidecars_follow_a_release_under_strict_mutual_tls() {
    let node = Node::new();
    let places = node.clients_with_the_plugin(CLIENTS);
    let address = |place: &Place| place.name().to_owned();
    let first = address(&places[0]);
    // The application itself takes no plain text.
    assert_eq!(color_of(&node.blue_pod(), ""), None);

    let mut stage = Stage::over(Bed::here(), "k8s:storefront/cutover", places).await;
    let preview = color_of(&first, "x-cutover-override: green\r\n");
    assert_eq!(preview.unwrap().0, "green");
    assert_eq!(color_of(&first, "").unwrap().0, "blue");
    released(&node, &mut stage).await;

    // A client that comes in the middle takes what rules now, and the next flip waits for it too.
    node.scale_clients(CLIENTS + 1);
    let known = stage.names();
    let come = node.clients().into_iter();
    let come: Vec<_> = come
        .filter(|place| !known.contains(&address(place)))
        .collect();
    assert_eq!(come.len(), 1);
    for place in come {
        stage.joined(place).await;
    }
    stage
        .switched(&["flip", "green", "--now", "--yes"], Color::Green)
        .await;
    let status = stage.cutover(&["status"]).await;
    status.exits_with(0);
    assert_eq!(status.proxies(), CLIENTS + 1);
    held(stage).await;
}

/// All sidecars are on one machine, so their clocks are right: what is judged is the way through injected pods.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_sidecars_switch_at_one_instant_under_strict_mutual_tls() {
    let node = Node::new();
    let places = node.clients_with_the_plugin(MANY_CLIENTS);
    assert_eq!(color_of(&node.blue_pod(), ""), None);
    let mut stage = Stage::over(Bed::here(), "k8s:storefront/cutover", places).await;
    // A machine that runs all these pods beside it takes its time to measure the clock of each.
    let first = [
        "flip",
        "green",
        "--yes",
        "--force-conflicts",
        "--at",
        "+15s",
    ];
    let invoked = Instant::now();
    let flipped = stage.cutover(&first).await;
    flipped.exits_with(0);
    assert_eq!(flipped.answer["outcome"], "activated", "{}", flipped.all);
    assert!(flipped.answer["at"].is_u64() && flipped.answer["hold"].is_u64());
    let clocks = flipped.answer["clocks"].as_array().unwrap();
    assert_eq!(clocks.len(), MANY_CLIENTS, "{}", flipped.all);
    let generation = flipped.generation();
    stage.note(generation, Color::Green, invoked).await;
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_with_the_module_from_a_registry_follows_a_release() {
    let node = Node::new();
    node.apply_routes();
    node.apply_plugin("gateway-api");
    node.runs("shop", "shop-istio");
    let gateway = node.gateway();
    until("the gateway has the plugin", || {
        color_of(&gateway, "").is_some_and(|(_, decision)| decision.starts_with("blue;g=1;"))
    });
    let place = Place::parse(&format!("http://{gateway}/")).unwrap();
    let place = place.asking_for("shop.example.com").unwrap();
    let mut stage = Stage::over(Bed::here(), "k8s:shop/cutover", vec![place]).await;
    let preview = color_of(&gateway, "x-cutover-override: green\r\n");
    assert_eq!(preview.unwrap().0, "green");
    released(&node, &mut stage).await;
    held(stage).await;
}

/// Flip, a rollout of green under load, and the way back.
async fn released(node: &Node, stage: &mut Stage) {
    let first = ["flip", "green", "--now", "--yes", "--force-conflicts"];
    stage.switched(&first, Color::Green).await;
    node.bed
        .kubectl_says(&["rollout", "restart", "-n", "shop", "deployment/green"]);
    node.runs("shop", "green");
    stage.lives_on(40).await;
    stage.switched(&["rollback"], Color::Blue).await;
    stage.cutover(&["history"]).await.says("rollback");
}

/// Ends the load: no request failed, and each proxy by itself switched at one instant.
async fn held(mut stage: Stage) {
    let (_, history) = stage.close().await;
    let certificate = judged(&history, Scope::Proxy);
    let requests = certificate.figures.total();
    assert_eq!(requests.failed + requests.timed_out, 0, "{requests:?}");
    assert_eq!(certificate.verdict, Verdict::Holds);
}

impl Node {
    /// So many clients whose sidecars have the plugin, out of the bed's registry.
    fn clients_with_the_plugin(&self, number: usize) -> Vec<Place> {
        let client = cutover_tests::root().join("tests/cluster/shop/client.yaml");
        let client = client.to_str().unwrap();
        self.bed.kubectl_says(&["apply", "-f", client]);
        self.scale_clients(number);
        self.apply_routes();
        self.apply_plugin("sidecars");
        let places = self.clients();
        assert_eq!(places.len(), number);
        for place in &places {
            until("the sidecar has the plugin", || {
                let shown = color_of(place.name(), "");
                shown.is_some_and(|(_, decision)| decision.starts_with("blue;g=1;"))
            });
        }
        places
    }

    fn scale_clients(&self, to: usize) {
        let replicas = format!("--replicas={to}");
        let scale = ["scale", "-n", "storefront", "deployment/client", &replicas];
        self.bed.kubectl_says(&scale);
        self.runs("storefront", "client");
    }

    /// Where each client takes requests, which it sends on to the shop through its sidecar.
    fn clients(&self) -> Vec<Place> {
        let addresses = "-o=jsonpath={.items[*].status.podIP}";
        let pods = [
            "get",
            "pods",
            "-n",
            "storefront",
            "-l=app=client",
            addresses,
        ];
        let addresses = self.bed.kubectl_says(&pods);
        let place = |address: &str| Place::parse(&format!("http://{address}:8080/")).unwrap();
        addresses.split_whitespace().map(place).collect()
    }

    /// The application itself, past all proxies but its own.
    fn blue_pod(&self) -> String {
        let address = "-o=jsonpath={.items[0].status.podIP}";
        let pod = [
            "get",
            "pods",
            "-n",
            "shop",
            "-l=app=shop,version=blue",
            address,
        ];
        self.bed.kubectl_says(&pod) + ":8080"
    }

    fn apply_routes(&self) {
        let routes = "namespace: shop\nresources: [../istio/routes/colors]\npatches:\n  - target: { kind: Gateway }\n    \
                      patch: |-\n      - { op: add, path: /metadata/annotations, value: \
                      { networking.istio.io/service-type: ClusterIP } }\n";
        self.apply(&self.tree.with("routes", routes));
    }

    /// An overlay of the plugin, with the module from the bed's registry and a header for previews.
    fn apply_plugin(&self, overlay: &str) {
        let (repository, digest) = self.pushed();
        let plugin = format!(
            "resources: [../istio/overlays/{overlay}/trafficextension]\ncomponents: \
             [../istio/components/preview-unsigned]\nimages:\n  - name: oci://ghcr.io/OWNER/cutover\n    \
             newName: oci://{repository}\n    digest: {digest}\n"
        );
        self.apply(&self.tree.with(overlay, &plugin));
    }
}
