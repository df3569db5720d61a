use super::*;
use serde_json::json;

fn manager(name: &str, operation: &str) -> Manager {
    let entry = json!({
        "manager": name, "operation": operation, "apiVersion": "extensions.istio.io/v1alpha1",
        "time": "2026-11-21T10:00:00Z", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:pluginConfig": {"f:active": {}}}},
    });
    Manager::of(&entry).unwrap()
}

#[track_caller]
fn shown(name: &str, operation: &str, as_: &str) {
    let shown = manager(name, operation).to_string();
    assert_eq!(shown, format!("{as_} ({name}, since 2026-11-21T10:00:00Z)"));
}

#[test]
fn tools_are_named_as_people_know_them() {
    shown("kubectl-client-side-apply", "Update", "kubectl apply");
    shown("kubectl", "Apply", "kubectl apply --server-side");
    shown("kubectl-edit", "Update", "kubectl edit");
    shown("argocd-controller", "Apply", "Argo CD");
    shown("kustomize-controller", "Apply", "Flux");
    shown("helm-controller", "Update", "Flux");
    shown("helm", "Update", "Helm");
    shown("cutover", "Apply", "Cutover");
    shown("Terraform", "Apply", "Terraform");
    let other = manager("node-fetch", "Update").to_string();
    assert_eq!(other, "`node-fetch` (since 2026-11-21T10:00:00Z)");
}

#[test]
fn only_the_applied_entry_is_ours() {
    assert!(manager("cutover", "Apply").is_ours());
    assert!(!manager("cutover", "Update").is_ours());
    assert!(!manager("kubectl", "Apply").is_ours());
}

#[test]
fn an_entry_says_what_it_owns_and_a_broken_one_is_left_out() {
    let active = FieldPath::new(["spec", "pluginConfig", "active"]);
    assert!(manager("helm", "Update").owns(&active));
    let object = json!({"metadata": {"managedFields": [
        {"manager": "helm", "operation": "Update"}, "broken", {"manager": "x"},
    ]}});
    let all = Manager::all_of(&object);
    assert_eq!(all.len(), 1);
    assert!(!all[0].owns(&active));
    assert_eq!(Manager::all_of(&json!({})), []);
}

#[test]
fn what_to_do_depends_on_whether_the_owner_writes_again() {
    let advice = |name, operation| manager(name, operation).tool().advice();
    assert!(advice("argocd-controller", "Apply").contains("ignoreDifferences"));
    assert!(advice("kustomize-controller", "Apply").contains("flux suspend kustomization"));
    assert!(advice("helm-controller", "Update").contains("flux suspend helmrelease"));
    assert!(advice("kubectl-client-side-apply", "Update").contains("writes them back"));
    assert!(advice("kubectl", "Apply").contains("is refused"));
    assert!(!advice("kubectl-edit", "Update").contains("take `active`"));
    for name in ["kubectl-edit", "helm", "someone", "Terraform"] {
        assert!(
            advice(name, "Update").contains("--force-conflicts"),
            "{name}"
        );
    }
}
