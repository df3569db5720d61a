//! Server-side apply of a switch.

use super::{Stage, one_service, switch, to_green, two_services};
use cutover_kube::{Apply, ApplyError, FindError, Kind};
use serde_json::json;

const FORCE: Apply = Apply {
    force: true,
    dry_run: false,
};
const CAREFULLY: Apply = Apply {
    force: false,
    dry_run: false,
};

#[tokio::test]
async fn a_flip_of_one_service_leaves_the_switch_of_the_other() {
    for kind in ["WasmPlugin", "TrafficExtension"] {
        let stage = Stage::new().await;
        stage.plugin(kind, "shop", &two_services(), "kubectl");
        let plugin = stage.find("shop").await;
        let first = to_green(Some("shop"), 10);
        let plugin = stage.cluster.apply(&plugin, &first, FORCE).await.unwrap();
        let second = to_green(Some("api"), 20);
        stage.cluster.apply(&plugin, &second, FORCE).await.unwrap();

        let now = stage.find("shop").await;
        let services = &now.config["services"];
        assert_eq!(services["shop"]["active"], "green", "{kind}");
        assert_eq!(services["shop"]["generation"], 10, "{kind}");
        assert_eq!(services["api"]["generation"], 20, "{kind}");
        // All else is as it was, and whose it was.
        assert_eq!(services["shop"]["hosts"], json!(["shop.example"]));
        assert_eq!(now.url, "file:///m.wasm");
        assert_eq!(now.fail_strategy.as_deref(), Some("FAIL_RELOAD"));
        assert_eq!(now.managers.iter().filter(|one| one.is_ours()).count(), 1);
        assert_eq!(now.last_writer(Some("shop")).unwrap().name, "cutover");
        let hosts = now.switch_path(Some("shop")).join("hosts");
        assert_eq!(now.owners_of(&hosts).first().unwrap().name, "kubectl");
    }
}

#[tokio::test]
async fn a_field_of_the_old_switch_that_the_new_one_lacks_goes() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &two_services(), "kubectl");
    let plugin = stage.find("shop").await;
    let first = to_green(Some("shop"), 10);
    let plugin = stage.cluster.apply(&plugin, &first, FORCE).await.unwrap();
    assert_eq!(
        plugin.config["services"]["shop"]["previous"]["generation"],
        9
    );
    let without = switch(Some("shop"), json!({"active": "green", "generation": 11}));
    let plugin = stage
        .cluster
        .apply(&plugin, &without, CAREFULLY)
        .await
        .unwrap();
    assert!(plugin.config["services"]["shop"].get("previous").is_none());
}

#[tokio::test]
async fn what_was_applied_in_the_name_of_cutover_is_not_lost() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "cutover");
    let plugin = stage.find("shop").await;
    let plugin = stage
        .cluster
        .apply(&plugin, &to_green(None, 2), CAREFULLY)
        .await
        .unwrap();
    assert_eq!(plugin.config["active"], "green");
    assert_eq!(plugin.config["blue"], json!({"header": "blue"}));
    assert_eq!(plugin.url, "file:///m.wasm");
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_writes_nothing() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    let plugin = stage.find("shop").await;
    let dry = Apply {
        dry_run: true,
        ..FORCE
    };
    let would_be = stage
        .cluster
        .apply(&plugin, &to_green(None, 2), dry)
        .await
        .unwrap();
    assert_eq!(would_be.config["active"], "green");
    let now = stage.find("shop").await;
    assert_eq!(now.config["active"], "blue");
    assert_eq!(now.resource_version, plugin.resource_version);
}

#[tokio::test]
async fn a_plugin_that_was_changed_in_between_is_not_written_over() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    let plugin = stage.find("shop").await;
    let other = json!({"spec": {"pluginConfig": {"generation": 5}}});
    stage.patch("shop", "kubectl-edit", &other);
    let applied = stage
        .cluster
        .apply(&plugin, &to_green(None, 2), FORCE)
        .await;
    let Err(ApplyError::Outdated(now)) = &applied else {
        panic!("{applied:?}");
    };
    assert_eq!(now.config["generation"], 5);
    let said = applied.unwrap_err().to_string();
    assert!(
        said.contains("was changed in between by kubectl edit"),
        "{said}"
    );
}

#[tokio::test]
async fn a_label_that_was_written_in_between_stops_nothing() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    let plugin = stage.find("shop").await;
    stage.kubectl(&["label", "wasmplugin/shop", "team=shop"]);
    let applied = stage
        .cluster
        .apply(&plugin, &to_green(None, 2), FORCE)
        .await
        .unwrap();
    assert_eq!(applied.config["active"], "green");
}

#[tokio::test]
async fn a_plugin_that_is_deleted_or_made_anew_in_between_is_not_made_again() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    let plugin = stage.find("shop").await;
    stage.kubectl(&["delete", "wasmplugin/shop"]);
    let apply = async || {
        stage
            .cluster
            .apply(&plugin, &to_green(None, 2), FORCE)
            .await
    };
    assert!(matches!(apply().await, Err(ApplyError::Gone(_))));
    let found = stage.cluster.find(&stage.name("shop")).await;
    assert!(matches!(found, Err(FindError::Missing { .. })));

    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    assert!(matches!(apply().await, Err(ApplyError::Gone(_))));
    assert_eq!(stage.find("shop").await.config["active"], "blue");
}

#[tokio::test]
async fn a_name_that_two_kinds_have_has_to_say_which() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    assert_eq!(stage.find("shop").await.kind, Kind::WasmPlugin);
    stage.plugin("TrafficExtension", "shop", &one_service(), "kubectl");
    let found = stage.cluster.find(&stage.name("shop")).await;
    let said = found.unwrap_err().to_string();
    let typed = format!("{}/wasmplugin/shop", stage.namespace);
    assert!(said.contains(&typed), "{said}");
    let found = stage.find("TrafficExtension/shop").await;
    assert_eq!(found.kind, Kind::TrafficExtension);
}

#[tokio::test]
async fn a_wrong_name_is_answered_with_the_plugins_of_the_namespace() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    stage.plugin("WasmPlugin", "other", &json!({"rate": 5}), "kubectl");
    let found = stage.cluster.find(&stage.name("shpo")).await;
    let namespace = &stage.namespace;
    let expected = format!(
        "there is no WasmPlugin or TrafficExtension {namespace}/shpo; with a configuration of Cutover: {namespace}/wasmplugin/shop"
    );
    assert_eq!(found.unwrap_err().to_string(), expected);
}
