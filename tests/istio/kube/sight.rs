//! Seeing what others write.

use super::{Stage, one_service, to_green};
use crate::bed::deadline;
use cutover_kube::{Apply, Plugin, PluginWatch, Sighting};
use serde_json::json;

async fn next(watch: &mut PluginWatch) -> Sighting {
    let in_time = tokio::time::timeout(deadline(), watch.next());
    in_time.await.unwrap()
}

async fn changed(watch: &mut PluginWatch) -> Plugin {
    match next(watch).await {
        Sighting::Changed(plugin) => *plugin,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_controller_that_reverts_is_seen_and_named() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "argocd-controller");
    let plugin = stage.find("shop").await;
    let mut watch = stage.cluster.watch(&plugin);
    let force = Apply {
        force: true,
        dry_run: false,
    };
    let flipped = stage
        .cluster
        .apply(&plugin, &to_green(None, 2), force)
        .await
        .unwrap();
    let seen = changed(&mut watch).await;
    assert_eq!(seen.resource_version, flipped.resource_version);
    // What Argo CD does when it finds the object to be other than in Git.
    let object = stage.object("WasmPlugin", "shop", &one_service());
    stage.bed.apply(
        &object,
        &["--field-manager=argocd-controller", "--force-conflicts"],
    );
    let seen = changed(&mut watch).await;
    assert_eq!(
        (&seen.config["active"], &seen.config["generation"]),
        (&json!("blue"), &json!(1))
    );
    let writer = seen.last_writer(None).unwrap();
    assert!(writer.tool().is_gitops());
    assert!(
        writer
            .to_string()
            .starts_with("Argo CD (argocd-controller, since "),
        "{writer}"
    );
}

#[tokio::test]
async fn a_plugin_that_is_deleted_and_made_anew_is_told_so() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    // Another one of the namespace, whose changes are not told.
    stage.plugin("WasmPlugin", "other", &one_service(), "kubectl");
    let plugin = stage.find("shop").await;
    let mut watch = stage.cluster.watch(&plugin);
    stage.kubectl(&["delete", "wasmplugin/other", "wasmplugin/shop"]);
    assert!(matches!(next(&mut watch).await, Sighting::Gone));
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    let again = changed(&mut watch).await;
    assert_ne!(again.uid, plugin.uid);
}

#[tokio::test]
async fn a_version_that_is_not_kept_any_more_is_read_anew() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "kubectl");
    let mut old = stage.find("shop").await;
    // Older than anything that the API server keeps of its history: it answers 410.
    old.resource_version = "1".to_owned();
    let mut watch = stage.cluster.watch(&old);
    let seen = changed(&mut watch).await;
    assert_ne!(seen.resource_version, "1");
}
