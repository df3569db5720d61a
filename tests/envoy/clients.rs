//! Routing headers are for the filter, not for clients.

use cutover_control::FromClients;
use serde_json::{Value, json};

use crate::client::Get;
use crate::stage::{Stage, Start, switch};

const DECISION: &str = "x-cutover-decision";

/// Requests that want to be green: each header once and twice, in odd case, and all of them.
fn forgeries() -> Vec<Get> {
    let names = [
        "x-cutover-cluster",
        "X-Cutover-Cluster",
        "x-cutover-color",
        "X-CUTOVER-COLOR",
        DECISION,
        "x-CuToVeR-dEcIsIoN",
    ];
    let mut all = Get::new();
    let mut forgeries = Vec::new();
    for name in names {
        // Cluster, header value, and decision of green.
        for value in [
            "green",
            "v2",
            "green;g=9007199254740991;by=active;svc=default",
        ] {
            forgeries.push(Get::new().header(name, value));
            forgeries.push(Get::new().header(name, value).header(name, value));
            forgeries.push(Get::new().header(name, "blue").header(name, value));
            forgeries.push(Get::new().header(name, "").header(name, value));
            all = all.header(name, value);
        }
    }
    forgeries.push(all);
    forgeries
}

/// Every forgery, over HTTP/1.1 and HTTP/2, is answered by blue, which is told exactly `decision` and
/// nothing else of what the filter says.
async fn check(stage: &Stage, host: &str, decision: Option<&str>, routed: (&str, Option<&str>)) {
    for forgery in forgeries() {
        let forgery = forgery.host(host);
        for answer in [forgery.ask(stage).await, forgery.ask_h2(stage).await] {
            assert_eq!(answer.by(), "blue", "{answer:?}");
            assert_eq!(answer.told(DECISION).as_deref(), decision, "{answer:?}");
            for name in ["x-cutover-cluster", "x-cutover-color"] {
                let expect = routed.1.filter(|_| name == routed.0);
                assert_eq!(answer.told(name).as_deref(), expect, "{answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_sends_routing_headers_changes_nothing_with_cluster_header_routes() {
    let stage = Stage::with(switch("blue", 7)).await;
    let decision = "blue;g=7;by=active;svc=default";
    let routed = ("x-cutover-cluster", Some("blue"));
    check(&stage, "shop.example.com", Some(decision), routed).await;
}

/// Routes by the value of the color header instead of `cluster_header`.
fn header_routes(yaml: &str) -> String {
    let route = |value, cluster| {
        format!(
            "- match: {{ prefix: /, headers: [{{ name: x-cutover-color, string_match: {{ exact: {value} }} }}] }}\n\
             {INDENT}  route: {{ cluster: {cluster}, timeout: 0s }}\n{INDENT}"
        )
    };
    let routes = route("v1", "blue") + &route("v2", "green");
    instead(
        yaml,
        "# The filter has decided.",
        &routes,
        "# The filter is gone",
    )
}

const INDENT: &str = "                        ";

/// The text with something else in place of all from `start` to `end`.
fn instead(text: &str, start: &str, something: &str, end: &str) -> String {
    let (before, rest) = text.split_once(start).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    [before, something, end, after].concat()
}

fn by_header(active: &str, generation: u64) -> Value {
    json!({
        "active": active, "generation": generation,
        "blue": { "header": "v1" }, "green": { "header": "v2" },
    })
}

#[tokio::test]
async fn a_client_that_sends_routing_headers_changes_nothing_with_header_matched_routes() {
    let start = Start {
        edit: header_routes,
        ..Start::default()
    };
    let stage = start.with(by_header("blue", 7)).await;
    let decision = "blue;g=7;by=active;svc=default";
    let routed = ("x-cutover-color", Some("v1"));
    check(&stage, "shop.example.com", Some(decision), routed).await;
}

#[tokio::test]
async fn a_flip_moves_header_matched_routes() {
    let start = Start {
        edit: header_routes,
        ..Start::default()
    };
    let stage = start.with(by_header("blue", 7)).await;
    assert_eq!(Get::new().ask(&stage).await.by(), "blue");
    stage.push(by_header("green", 8)).await;
    for answer in [
        Get::new().ask(&stage).await,
        Get::new().ask_h2(&stage).await,
    ] {
        assert_eq!(answer.by(), "green");
        assert_eq!(answer.told("x-cutover-color").as_deref(), Some("v2"));
    }
}

#[tokio::test]
async fn a_flip_moves_cluster_header_routes() {
    let stage = Stage::with(switch("blue", 7)).await;
    assert_eq!(Get::new().ask(&stage).await.by(), "blue");
    stage.push(switch("green", 8)).await;
    for answer in [
        Get::new().ask(&stage).await,
        Get::new().ask_h2(&stage).await,
    ] {
        assert_eq!(answer.by(), "green");
        assert_eq!(answer.told("x-cutover-cluster").as_deref(), Some("green"));
        let decision = answer.told(DECISION);
        assert_eq!(decision.as_deref(), Some("green;g=8;by=active;svc=default"));
    }
}

#[tokio::test]
async fn a_client_that_sends_routing_headers_to_a_host_of_no_service_changes_nothing() {
    let shop = json!({ "services": { "shop": {
        "hosts": ["shop.example.com"], "active": "green", "generation": 7,
        "blue": "blue", "green": "green",
    } } });
    let stage = Stage::with(shop).await;
    assert_eq!(Get::new().ask(&stage).await.by(), "green");
    check(
        &stage,
        "other.example.com",
        None,
        ("x-cutover-cluster", None),
    )
    .await;
}

#[tokio::test]
async fn where_the_filter_is_gone_the_generated_bootstrap_sends_all_to_the_color_at_install() {
    let without_filter = |yaml: &str| {
        instead(
            yaml,
            "- name: cutover\n",
            "",
            "- name: envoy.filters.http.router",
        )
    };
    let start = Start {
        from_clients: FromClients::Removed,
        edit: without_filter,
        ..Start::default()
    };
    let stage = start.with(switch("green", 7)).await;
    check(
        &stage,
        "shop.example.com",
        None,
        ("x-cutover-cluster", None),
    )
    .await;
}
