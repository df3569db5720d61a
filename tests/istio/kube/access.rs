//! An API server that goes away, and credentials that it does not take.

use super::{connect, one_service, to_green};
use crate::bed::{Bed, deadline};
use cutover_kube::{Apply, ApplyError, ClusterError, PluginWatch, Sighting};
use serde_json::json;
use std::{fs, time::Duration};

const FORCE: Apply = Apply {
    force: true,
    dry_run: false,
};

#[tokio::test]
async fn a_wrong_token_is_told_as_such() {
    let bed = Bed::here();
    let text = fs::read_to_string(bed.text("/kubeconfig")).unwrap();
    let (before, rest) = text.split_once("token: ").unwrap();
    let (_, after) = rest.split_once('}').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    fs::write(&path, format!("{before}token: wrong}}{after}")).unwrap();
    let asked = connect(path.to_str().unwrap())
        .await
        .plugins("default")
        .await;
    let error = asked.unwrap_err();
    assert!(
        matches!(error, ClusterError::Unauthorized { .. }),
        "{error}"
    );
}

async fn next(watch: &mut PluginWatch) -> Sighting {
    let in_time = tokio::time::timeout(deadline(), watch.next());
    in_time.await.unwrap()
}

/// The bed is its own: its API server is killed.
#[tokio::test]
async fn an_api_server_that_goes_away_is_told_in_time_and_found_again() {
    let mut bed = Bed::up(&["--proxies", "1", "--workers", "1"]);
    let cluster = connect(bed.text("/kubeconfig")).await;
    let cluster = cluster.with_patience(Duration::from_secs(3));
    let object = json!({
        "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
        "metadata": {"name": "away", "namespace": "default"},
        "spec": {"url": "file:///m.wasm", "pluginConfig": one_service()},
    });
    bed.apply(&object, &[]);
    let plugin = cluster
        .find(&"default/away".parse().unwrap())
        .await
        .unwrap();
    let mut watch = cluster.watch(&plugin);
    let mut fleet = cluster.proxies(&plugin).await.unwrap();

    bed.tell(&["stop", "apiserver", "--kill"]);
    let applied = cluster.apply(&plugin, &to_green(None, 2), FORCE).await;
    let said = applied.unwrap_err().to_string();
    assert!(
        said.contains("no answer from the API server at https://127.0.0.1:"),
        "{said}"
    );
    assert!(matches!(next(&mut watch).await, Sighting::Interrupted(_)));
    while fleet.interrupted().is_none() {
        tokio::time::timeout(deadline(), fleet.changed())
            .await
            .unwrap();
    }

    bed.tell(&["start", "apiserver"]);
    loop {
        match next(&mut watch).await {
            Sighting::Back => break,
            Sighting::Interrupted(_) => {}
            other => panic!("{other:?}"),
        }
    }
    while fleet.interrupted().is_some() {
        tokio::time::timeout(deadline(), fleet.changed())
            .await
            .unwrap();
    }
    let plugin = cluster.read(&plugin).await.unwrap().unwrap();
    assert_eq!(plugin.config["active"], "blue");
    let applied = cluster.apply(&plugin, &to_green(None, 2), FORCE).await;
    assert!(
        !matches!(applied, Err(ApplyError::Unanswered(_))),
        "{applied:?}"
    );
    loop {
        if let Sighting::Changed(plugin) = next(&mut watch).await {
            assert_eq!(plugin.config["active"], "green");
            return;
        }
    }
}

#[tokio::test]
async fn an_address_without_a_server_is_told_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let config = "\
current-context: c
contexts: [{name: c, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]
";
    fs::write(&path, config).unwrap();
    let cluster = connect(path.to_str().unwrap()).await;
    let error = cluster.plugins("default").await.unwrap_err();
    let expected =
        "no answer from the API server at https://127.0.0.1:1: Connection refused (os error 111)";
    assert_eq!(error.to_string(), expected);
    assert!(matches!(
        error,
        ClusterError::Unreachable { sent: false, .. }
    ));
}
