//! Whose the switch is, and how it becomes Cutover's.

use super::{Stage, one_service, switch, to_green};
use cutover_kube::{Apply, ApplyError, Plugin};
use serde_json::json;
use std::io::Write as _;

const CAREFULLY: Apply = Apply {
    force: false,
    dry_run: false,
};
const FORCE: Apply = Apply {
    force: true,
    dry_run: false,
};

/// What is said when `active` and `generation` are another's, what to do, and that it is ours once it was forced.
async fn is_refused_once(stage: &Stage, plugin: Plugin, owner: &str, advice: &str) {
    let change = to_green(None, 2);
    let contested = plugin.contested(&change);
    assert_eq!(contested.len(), 2, "{contested:?}");
    let error = stage
        .cluster
        .apply(&plugin, &change, CAREFULLY)
        .await
        .unwrap_err();
    let ApplyError::Conflict(fields) = &error else {
        panic!("{error:?}");
    };
    // What is foreseen from the managed fields is what the API server finds.
    assert_eq!(fields, &contested);
    let said = error.to_string();
    let expected =
        format!(".spec.pluginConfig.active, .spec.pluginConfig.generation belong to {owner}");
    assert!(said.starts_with(&expected), "{said}");
    assert!(said.contains(", since 2"), "{said}");
    let advised = error.advice().unwrap();
    assert!(advised.contains(advice), "{advised}");
    assert_eq!(stage.find("shop").await.config["active"], "blue");

    let plugin = stage.cluster.apply(&plugin, &change, FORCE).await.unwrap();
    assert_eq!(plugin.last_writer(None).unwrap().name, "cutover");
    let back = switch(None, json!({"active": "blue", "generation": 3}));
    assert_eq!(plugin.contested(&back), []);
    stage
        .cluster
        .apply(&plugin, &back, CAREFULLY)
        .await
        .unwrap();
}

#[tokio::test]
async fn after_a_client_side_apply_the_switch_is_kubectls() {
    let stage = Stage::new().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let object = stage.object("WasmPlugin", "shop", &one_service());
    write!(file, "{object}").unwrap();
    stage.kubectl(&["apply", "--filename", &file.path().display().to_string()]);
    let plugin = stage.find("shop").await;
    let owner = "kubectl apply (kubectl-client-side-apply";
    is_refused_once(&stage, plugin, owner, "writes them back").await;
}

#[tokio::test]
async fn after_an_apply_of_another_tool_the_switch_is_that_tools() {
    for (manager, owner, advice) in [
        (
            "kubectl",
            "kubectl apply --server-side (kubectl",
            "is refused with this conflict",
        ),
        (
            "argocd-controller",
            "Argo CD (argocd-controller",
            "managedFieldsManagers: [cutover]",
        ),
        (
            "kustomize-controller",
            "Flux (kustomize-controller",
            "flux suspend kustomization NAME",
        ),
        ("helm", "Helm (helm", "next upgrade"),
    ] {
        let stage = Stage::new().await;
        stage.plugin("WasmPlugin", "shop", &one_service(), manager);
        let plugin = stage.find("shop").await;
        is_refused_once(&stage, plugin, owner, advice).await;
    }
}

#[tokio::test]
async fn the_same_value_is_no_conflict_and_is_owned_by_both() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "argocd-controller");
    let plugin = stage.find("shop").await;
    let same = switch(None, json!({"active": "blue", "generation": 1}));
    assert_eq!(plugin.contested(&same), []);
    let plugin = stage
        .cluster
        .apply(&plugin, &same, CAREFULLY)
        .await
        .unwrap();
    let active = plugin.switch_path(None).join("active");
    assert_eq!(plugin.owners_of(&active).len(), 2);
}

#[tokio::test]
async fn two_owners_of_different_fields_are_both_named() {
    let stage = Stage::new().await;
    stage.plugin("WasmPlugin", "shop", &one_service(), "argocd-controller");
    let edited = json!({"spec": {"pluginConfig": {"generation": 7}}});
    stage.patch("shop", "kubectl-edit", &edited);
    let plugin = stage.find("shop").await;
    let applied = stage
        .cluster
        .apply(&plugin, &to_green(None, 8), CAREFULLY)
        .await;
    let said = applied.unwrap_err().to_string();
    assert!(
        said.contains(".spec.pluginConfig.active belongs to Argo CD"),
        "{said}"
    );
    assert!(
        said.contains(".spec.pluginConfig.generation belongs to kubectl edit"),
        "{said}"
    );
}
