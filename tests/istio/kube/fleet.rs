//! Which pods a plugin reaches. Nobody runs them here: their status is written by the test, as a kubelet would.

use super::{Stage, one_service};
use crate::bed::deadline;
use cutover_kube::{Fleet, Phase, Plugin};
use serde_json::{Value, json};

fn pod(stage: &Stage, name: &str, labels: &Value, containers: &[&str]) -> Value {
    let containers: Vec<_> = containers
        .iter()
        .map(|name| json!({"name": name, "image": "none"}))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": stage.namespace, "labels": labels},
        "spec": {"containers": containers},
    })
}

/// Writes what a kubelet would.
fn says(stage: &Stage, pod: &str, phase: &str, doing: &Value, restarts: u32) {
    let proxy = json!({
        "name": "istio-proxy", "image": "none", "imageID": "", "ready": false, "restartCount": restarts, "state": doing,
    });
    let status = json!({"status": {"phase": phase, "containerStatuses": [proxy]}}).to_string();
    stage.kubectl(&[
        "patch",
        "pod",
        pod,
        "--subresource=status",
        "--type=merge",
        "--patch",
        &status,
    ]);
}

fn runs(stage: &Stage, pod: &str) {
    let doing = json!({"running": {"startedAt": "2026-11-21T10:00:00Z"}});
    says(stage, pod, "Running", &doing, 0);
}

/// Waits until the fleet is that.
#[track_caller]
fn until(fleet: &mut Fleet, expected: &[(&str, Phase)]) -> impl Future<Output = ()> {
    let wait = async move {
        loop {
            let now = fleet.now();
            let now: Vec<_> = now
                .iter()
                .map(|one| (one.name.as_str(), one.phase))
                .collect();
            if now == expected {
                return;
            }
            fleet.changed().await;
        }
    };
    async move {
        let in_time = tokio::time::timeout(deadline(), wait).await;
        assert!(in_time.is_ok(), "the fleet does not become that");
    }
}

async fn plugin(stage: &Stage, reach: Value) -> Plugin {
    let mut object = stage.object("WasmPlugin", "shop", &one_service());
    if let (Some(spec), Value::Object(reach)) = (object["spec"].as_object_mut(), reach) {
        spec.extend(reach);
    }
    stage.bed.apply(&object, &[]);
    stage.find("shop").await
}

#[tokio::test]
async fn pods_that_come_and_go_are_seen() {
    let stage = Stage::new().await;
    let labels = json!({"app": "web"});
    let make = |name: &str, containers: &[&str]| {
        stage
            .bed
            .apply(&pod(&stage, name, &labels, containers), &[]);
    };
    make("web-a", &["app", "istio-proxy"]);
    make("web-plain", &["app"]);
    runs(&stage, "web-a");
    let selector = json!({"selector": {"matchLabels": labels}});
    let mut fleet = stage
        .cluster
        .proxies(&plugin(&stage, selector).await)
        .await
        .unwrap();
    until(&mut fleet, &[("web-a", Phase::Running)]).await;

    make("web-b", &["app", "istio-proxy"]);
    until(
        &mut fleet,
        &[("web-a", Phase::Running), ("web-b", Phase::Starting)],
    )
    .await;
    runs(&stage, "web-b");
    until(
        &mut fleet,
        &[("web-a", Phase::Running), ("web-b", Phase::Running)],
    )
    .await;
    let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    says(&stage, "web-b", "Running", &waiting, 2);
    until(
        &mut fleet,
        &[("web-a", Phase::Running), ("web-b", Phase::Down)],
    )
    .await;
    stage.kubectl(&["label", "pod/web-a", "app=other", "--overwrite"]);
    until(&mut fleet, &[("web-b", Phase::Down)]).await;

    // A pod of the same name is another one, with another way to it.
    let old = fleet.now();
    stage.kubectl(&["delete", "pod", "web-b", "--force", "--grace-period=0"]);
    until(&mut fleet, &[]).await;
    make("web-b", &["app", "istio-proxy"]);
    until(&mut fleet, &[("web-b", Phase::Starting)]).await;
    let new = fleet.now();
    assert_ne!((&old[0].uid, old[0].address), (&new[0].uid, new[0].address));
    let doing = json!({"terminated": {"exitCode": 0}});
    says(&stage, "web-b", "Succeeded", &doing, 0);
    until(&mut fleet, &[]).await;
    assert!(fleet.interrupted().is_none());
}

#[tokio::test]
async fn targets_lead_to_the_pods_of_gateways_and_waypoints() {
    let stage = Stage::new().await;
    let of = |name: &str| json!({"gateway.networking.k8s.io/gateway-name": name});
    for (name, labels) in [
        ("gw-a", of("gw")),
        ("other-a", of("other")),
        ("way-a", of("way")),
    ] {
        stage
            .bed
            .apply(&pod(&stage, name, &labels, &["istio-proxy"]), &[]);
    }
    let gateway = json!({"targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"}]});
    let mut fleet = stage
        .cluster
        .proxies(&plugin(&stage, gateway).await)
        .await
        .unwrap();
    until(&mut fleet, &[("gw-a", Phase::Starting)]).await;

    let service = json!({"targetRefs": [{"group": "", "kind": "Service", "name": "web"}]});
    let plugin = plugin(&stage, service).await;
    let notes = async || {
        stage
            .cluster
            .proxies(&plugin)
            .await
            .unwrap()
            .notes()
            .join("; ")
    };
    assert!(notes().await.contains("there is no Service web"));
    stage.kubectl(&["create", "service", "clusterip", "web", "--tcp=80"]);
    assert!(notes().await.contains("uses no waypoint"));
    // The label of the namespace counts, and that of the service before it.
    let namespace = format!("namespace/{}", stage.namespace);
    stage.kubectl(&["label", &namespace, "istio.io/use-waypoint=way"]);
    let mut fleet = stage.cluster.proxies(&plugin).await.unwrap();
    until(&mut fleet, &[("way-a", Phase::Starting)]).await;
    stage.kubectl(&["label", "service/web", "istio.io/use-waypoint=none"]);
    assert!(notes().await.contains("uses no waypoint"));
}

#[tokio::test]
async fn a_plugin_of_the_root_namespace_reaches_all_namespaces() {
    let (stage, other) = (Stage::new().await, Stage::new().await);
    let labels = json!({"only": other.namespace});
    other
        .bed
        .apply(&pod(&other, "web-a", &labels, &["istio-proxy"]), &[]);
    let selector = json!({"selector": {"matchLabels": labels}});
    let mut plugin = plugin(&stage, selector).await;
    let fleet = stage.cluster.proxies(&plugin).await.unwrap();
    assert_eq!(fleet.now().len(), 0);
    "istio-system".clone_into(&mut plugin.namespace);
    let fleet = stage.cluster.proxies(&plugin).await.unwrap();
    assert_eq!(
        fleet.now()[0].to_string(),
        format!("pod {}/web-a", other.namespace)
    );
}

#[tokio::test]
async fn many_pods_come_in_pages() {
    let stage = Stage::new().await;
    let pods: Vec<_> = (0..520)
        .map(|number| {
            pod(
                &stage,
                &format!("p-{number:03}"),
                &json!({"app": "many"}),
                &["istio-proxy"],
            )
        })
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": pods});
    stage.bed.apply(&list, &[]);
    let selector = json!({"selector": {"matchLabels": {"app": "many"}}});
    let fleet = stage
        .cluster
        .proxies(&plugin(&stage, selector).await)
        .await
        .unwrap();
    assert_eq!(fleet.now().len(), 520);
}
