//! What is left on a plugin: events and the journal.

use super::{Stage, one_service};
use cutover_kube::{EventKind, EventNote};
use serde_json::Value;

#[tokio::test]
async fn kubectl_describe_shows_what_was_done() {
    for kind in ["WasmPlugin", "TrafficExtension"] {
        let stage = Stage::new().await;
        stage.plugin(kind, "shop", &one_service(), "kubectl");
        let plugin = stage.find("shop").await;
        let note = EventNote {
            kind: EventKind::Warning,
            reason: "FlipUnconfirmed".to_owned(),
            note: "generation 7 (green) is written; 19 of 20 show it".to_owned(),
        };
        stage.cluster.event(&plugin, &note).await.unwrap();
        let described = stage.kubectl(&["describe", kind, "shop"]);
        let line = described
            .lines()
            .find(|line| line.contains("FlipUnconfirmed"));
        let line = line.unwrap_or_else(|| panic!("{described}"));
        for part in ["Warning", "cutover", "19 of 20 show it"] {
            assert!(line.contains(part), "{line}");
        }
    }
}

#[tokio::test]
async fn lines_of_the_journal_are_read_in_the_order_in_which_they_were_noted() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    let plugin = stage.find("shop").await;
    assert!(
        stage
            .cluster
            .read_journal(&plugin)
            .await
            .unwrap()
            .is_empty()
    );
    for line in ["one", "two"] {
        stage.cluster.append_journal(&plugin, line).await.unwrap();
    }
    assert_eq!(
        stage.cluster.read_journal(&plugin).await.unwrap(),
        ["one", "two"]
    );
    assert!(stage.cluster.append_journal(&plugin, "a\nb").await.is_err());
}

#[tokio::test]
async fn of_lines_that_are_noted_at_once_none_is_lost() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    let plugin = stage.find("shop").await;
    // The first one of them makes the map.
    let noted = (0..6).map(|number| {
        let (cluster, plugin) = (stage.cluster.clone(), plugin.clone());
        tokio::spawn(async move { cluster.append_journal(&plugin, &number.to_string()).await })
    });
    for noted in noted.collect::<Vec<_>>() {
        noted.await.unwrap().unwrap();
    }
    let mut lines = stage.cluster.read_journal(&plugin).await.unwrap();
    lines.sort();
    assert_eq!(lines, ["0", "1", "2", "3", "4", "5"]);
    let map = stage.kubectl(&["get", "configmap", "shop.cutover-journal", "--output=json"]);
    let map: Value = serde_json::from_str(&map).unwrap();
    assert_eq!(
        map["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "cutover"
    );
}

#[tokio::test]
async fn what_else_is_in_the_map_of_the_journal_stays() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    stage.kubectl(&[
        "create",
        "configmap",
        "shop.cutover-journal",
        "--from-literal=note=ours",
    ]);
    let plugin = stage.find("shop").await;
    stage.cluster.append_journal(&plugin, "one").await.unwrap();
    let note = stage.kubectl(&[
        "get",
        "configmap",
        "shop.cutover-journal",
        "--output=jsonpath={.data.note}",
    ]);
    assert_eq!(note, "ours");
}
