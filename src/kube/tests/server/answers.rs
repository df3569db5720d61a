//! What becomes of answers that a healthy API server does not give at will: played by a server of the test's own.

use crate::play::{Play, Reply, refusal};
use cutover_kube::{Apply, ApplyError, Cluster, ClusterError, FindError, Sighting, SwitchChange};
use hyper::Method;
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

const SOON: Duration = Duration::from_secs(20);

fn plugin(version: u32, active: &str) -> Value {
    json!({
        "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
        "metadata": {"name": "shop", "namespace": "prod", "uid": "u-1", "resourceVersion": version.to_string(), "generation": version},
        "spec": {"pluginConfig": {"active": active, "blue": "a", "green": "b"}},
    })
}

fn to_green() -> [SwitchChange; 1] {
    [SwitchChange {
        service: None,
        switch: [("active".to_owned(), json!("green"))]
            .into_iter()
            .collect(),
    }]
}

const FORCE: Apply = Apply {
    force: true,
    dry_run: false,
};

async fn find(cluster: &Cluster) -> Result<cutover_kube::Plugin, FindError> {
    cluster.find(&"prod/wasmplugin/shop".parse().unwrap()).await
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let play = Play::start(|_, _| Reply::Silence).await;
    let cluster = play
        .cluster()
        .await
        .with_patience(Duration::from_millis(300));
    let said = find(&cluster).await.unwrap_err().to_string();
    let expected = format!(
        "no answer from the API server at {}: it said nothing for 0.3 s",
        play.url()
    );
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_server_that_hangs_up_is_told_as_such() {
    let play = Play::start(|_, _| Reply::HangUp).await;
    let error = find(&play.cluster().await).await.unwrap_err();
    assert!(
        matches!(
            error,
            FindError::Cluster(ClusterError::Unreachable { sent: true, .. })
        ),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_no_api_server_is_told_as_such() {
    let play = Play::start(|_, _| Reply::Text("<html>Hello</html>")).await;
    let said = find(&play.cluster().await).await.unwrap_err().to_string();
    assert!(
        said.contains("is not that of a Kubernetes API server"),
        "{said}"
    );
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_looked_for() {
    let written = std::sync::Arc::new(AtomicUsize::new(0));
    let wrote = std::sync::Arc::clone(&written);
    let play = Play::start(move |method, _| match *method {
        Method::PATCH => {
            wrote.store(1, Ordering::SeqCst);
            Reply::HangUp
        }
        _ if wrote.load(Ordering::SeqCst) == 1 => Reply::Json(plugin(2, "green")),
        _ => Reply::Json(plugin(1, "blue")),
    })
    .await;
    let cluster = play.cluster().await;
    let before = find(&cluster).await.unwrap();
    let applied = cluster.apply(&before, &to_green(), FORCE).await.unwrap();
    assert_eq!(applied.config["active"], "green");
}

#[tokio::test]
async fn a_write_without_an_answer_that_does_not_show_is_not_told_as_failed() {
    let play = Play::start(|method, _| match *method {
        Method::PATCH => Reply::HangUp,
        _ => Reply::Json(plugin(1, "blue")),
    })
    .await;
    let cluster = play.cluster().await;
    let before = find(&cluster).await.unwrap();
    let error = cluster
        .apply(&before, &to_green(), FORCE)
        .await
        .unwrap_err();
    assert!(matches!(error, ApplyError::Unanswered(_)), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("it is not known whether the switch was written: ")
    );
}

#[tokio::test]
async fn a_server_that_puts_off_is_asked_again() {
    let asked = AtomicUsize::new(0);
    let play = Play::start(move |_, _| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::Refuse(refusal(429, "too many requests, please try again later")),
        _ => Reply::Json(plugin(1, "blue")),
    })
    .await;
    let begun = Instant::now();
    assert_eq!(
        find(&play.cluster().await).await.unwrap().config["active"],
        "blue"
    );
    assert!(begun.elapsed() < SOON);
}

#[tokio::test]
async fn a_list_whose_next_page_is_gone_begins_again() {
    let item = |name: &str| json!({"metadata": {"name": name, "namespace": "prod", "uid": name, "resourceVersion": "5"}, "spec": {"containers": [{"name": "istio-proxy"}]}});
    let gone = AtomicUsize::new(0);
    let play = Play::start(move |_, path| {
        if path.contains("watch=true") {
            return Reply::Stream(vec![]);
        }
        if !path.contains("/pods") {
            return Reply::Json(plugin(1, "blue"));
        }
        if path.ends_with("continue=") {
            return Reply::Json(json!({"metadata": {"resourceVersion": "5", "continue": "next/1"}, "items": [item("a")]}));
        }
        assert!(path.ends_with("continue=next%2F1"), "{path}");
        match gone.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::Refuse(refusal(410, "the provided continue parameter is too old")),
            _ => Reply::Json(json!({"metadata": {"resourceVersion": "5"}, "items": [item("b")]})),
        }
    })
    .await;
    let cluster = play.cluster().await;
    let fleet = cluster
        .proxies(&find(&cluster).await.unwrap())
        .await
        .unwrap();
    let names: Vec<_> = fleet.now().into_iter().map(|pod| pod.name).collect();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn a_watch_that_ends_breaks_or_is_too_old_is_opened_again() {
    let watches = AtomicUsize::new(0);
    let event = |kind: &str, object: Value| json!({"type": kind, "object": object});
    let play = Play::start(move |_, path| {
        if path.contains("watch=true") {
            return match watches.fetch_add(1, Ordering::SeqCst) {
                // It ends with a bookmark, from which the next one goes on.
                0 => {
                    assert!(path.ends_with("resourceVersion=1"), "{path}");
                    let bookmark = json!({"apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin", "metadata": {"resourceVersion": "7"}});
                    Reply::Stream(vec![event("MODIFIED", plugin(2, "green")), event("BOOKMARK", bookmark)])
                }
                1 => {
                    assert!(path.ends_with("resourceVersion=7"), "{path}");
                    Reply::Refuse(refusal(503, "etcd has no leader"))
                }
                2 => Reply::Stream(vec![event("ERROR", refusal(410, "too old resource version"))]),
                _ => Reply::Silence,
            };
        }
        if path.contains("fieldSelector=metadata.name%3Dshop") {
            let list = json!({"metadata": {"resourceVersion": "9"}, "items": [plugin(9, "blue")]});
            return Reply::Json(list);
        }
        Reply::Json(plugin(1, "blue"))
    })
    .await;
    let cluster = play.cluster().await;
    let mut watch = cluster.watch(&find(&cluster).await.unwrap());
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let sighting = tokio::time::timeout(SOON, watch.next()).await.unwrap();
        seen.push(match sighting {
            Sighting::Changed(plugin) => {
                format!("{} at {}", plugin.config["active"], plugin.resource_version)
            }
            Sighting::Interrupted(error) => error.to_string(),
            Sighting::Back => "back".to_owned(),
            Sighting::Gone => "gone".to_owned(),
        });
    }
    assert_eq!(
        seen,
        [
            "\"green\" at 2",
            "the API server refuses (503): etcd has no leader",
            "back",
            "\"blue\" at 9"
        ]
    );
}

#[tokio::test]
async fn a_cluster_without_istio_is_told_as_such() {
    // What kube-apiserver 1.36 answers for a group that it does not know: text, not a status.
    let play = Play::start(|_, _| Reply::NotFound).await;
    let said = find(&play.cluster().await).await.unwrap_err().to_string();
    assert!(
        said.contains("the custom resource definitions of Istio are not installed"),
        "{said}"
    );
}
