//! Where a decision and its numbers can be seen.

use serde_json::json;

use crate::client::Get;
use crate::stage::{Start, and, switch};

/// The access log, with the filter state in it.
fn with_filter_state(yaml: &str) -> String {
    let decision = "decision=%REQ(X-CUTOVER-DECISION)%";
    assert!(yaml.contains(decision));
    yaml.replace(
        decision,
        &format!("{decision} state=%FILTER_STATE(wasm.cutover:PLAIN)%"),
    )
}

#[tokio::test]
async fn the_default_shows_the_decision_to_upstreams_and_access_logs_only() {
    let start = Start {
        edit: with_filter_state,
        ..Start::default()
    };
    let stage = start.with(switch("green", 7)).await;
    let answer = Get::new().path("/seen").ask(&stage).await;
    let decision = "green;g=7;by=active;svc=default";
    assert_eq!(answer.told("x-cutover-decision").as_deref(), Some(decision));
    assert_eq!(answer.header("x-cutover-decision"), None);
    let line = stage.logged("/seen").await;
    assert!(
        line.ends_with(&format!(" decision={decision} state=-")),
        "{line}"
    );
    let upstream = format!(" upstream={} ", stage.green.address);
    assert!(line.contains(&upstream), "{line}");
}

#[tokio::test]
async fn the_decision_is_exposed_where_the_configuration_asks_for_it() {
    let start = Start {
        edit: with_filter_state,
        ..Start::default()
    };
    let expose = json!({ "expose": { "response_header": true, "filter_state": true } });
    let stage = start.with(and(switch("green", 7), expose)).await;
    let decision = "green;g=7;by=active;svc=default";
    // What an upstream or a client says in that place does not count.
    let forged = Get::new()
        .path("/seen")
        .header("x-cutover-decision", "blue");
    for answer in [forged.ask(&stage).await, forged.ask_h2(&stage).await] {
        assert_eq!(answer.told("x-cutover-decision").as_deref(), Some(decision));
        assert_eq!(
            answer.header("x-cutover-decision").as_deref(),
            Some(decision)
        );
    }
    let line = stage.logged("/seen").await;
    assert!(
        line.ends_with(&format!(" decision={decision} state={decision}")),
        "{line}"
    );
}

/// Those of switches that activate at an instant: `hold_clock.rs` has one.
pub(crate) const STAGED: [&str; 8] = [
    "cutover_staged",
    "cutover_activate_at",
    "cutover_hold",
    "cutover_clock",
    "cutover_late",
    "cutover_held",
    "cutover_held_over",
    "cutover_clock_steps",
];

/// Names of the metrics and their labels, as `docs/configuration.md` lists them.
pub(crate) fn documented() -> Vec<(String, bool)> {
    let page = cutover_tests::root().join("docs/configuration.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `cutover_"));
    let metric = |row: &str| {
        let (name, rest) = row.split_once('{').unwrap();
        (
            format!("cutover_{name}"),
            !rest.starts_with("cutover_plugin}"),
        )
    };
    rows.map(metric).collect()
}

#[tokio::test]
async fn prometheus_has_the_metrics_that_the_documentation_lists() {
    let rule = json!({ "override": { "header": "x-cutover-override", "keys": ["k1"] } });
    let keys = vec![("CUTOVER_KEY_k1", "0123456789abcdef")];
    let start = Start {
        keys,
        ..Start::default()
    };
    let stage = start
        .with(and(switch("blue", 1_763_722_800_000), rule.clone()))
        .await;
    let ask = |value: &str| Get::new().header("x-cutover-override", value);
    let token = {
        use cutover_core::{Color, token};
        let key = token::Key::new(b"0123456789abcdef").unwrap();
        token::sign("k1", &key, "default", Color::Green, "green", 1 << 40)
    };
    assert_eq!(ask(&token).ask(&stage).await.by(), "green");
    assert_eq!(ask("green").ask(&stage).await.by(), "blue");
    stage.push(and(switch("green", 1), rule.clone())).await;
    stage
        .push(and(switch("green", 1_763_722_800_000), rule.clone()))
        .await;
    stage.push(json!({})).await;

    let mut documented = documented();
    documented.retain(|(name, _)| !STAGED.contains(&name.as_str()));
    assert_eq!(documented.len(), 9, "{documented:?}");
    let text = stage.admin("/stats").await;
    let number = |name: &str| {
        let name = format!("wasmcustom.cutover.plugin.cutover.{name}: ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap().to_owned()
    };
    let (version, build) = (number("module_version"), number("module_build"));
    for (name, by_service) in documented {
        let labels = if by_service {
            r#"{cutover_plugin="cutover",cutover_service="default"}"#
        } else {
            r#"{cutover_plugin="cutover"}"#
        };
        let (kind, value) = match name.as_str() {
            "cutover_generation" => ("gauge", "1763722800000"),
            "cutover_active" => ("gauge", "1"),
            "cutover_module_version" => ("gauge", version.as_str()),
            "cutover_module_build" => ("gauge", build.as_str()),
            _ => ("counter", "1"),
        };
        let expect = format!("# TYPE {name} {kind}\n{name}{labels} {value}\n");
        stage
            .until(&expect, async || {
                stage.admin("/stats/prometheus").await.contains(&expect)
            })
            .await;
    }
}
