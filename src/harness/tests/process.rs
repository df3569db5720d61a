//! Envoy as a child: started, stopped, killed, starved, reaped.

use std::path::Path;
use std::time::{Duration, Instant};

use cutover_control::{AccessLog, Bootstrap, ResourceOptions};
use cutover_harness::{Envoy, EnvoyError};
use serde_json::json;

#[cfg(test)]
fn bootstrap(folder: &Path) -> Bootstrap {
    let ecds = folder.join("ecds/cutover.json");
    std::fs::create_dir_all(ecds.parent().unwrap()).unwrap();
    let resource = ResourceOptions {
        module: cutover_tests::module(),
        configuration: json!({
            "active": "blue", "generation": 1, "blue": "blue", "green": "green"
        }),
        environment: Vec::new(),
    };
    std::fs::write(&ecds, cutover_control::resource::render(&resource)).unwrap();
    Bootstrap {
        ecds,
        access_log: AccessLog::Off,
        ..Bootstrap::default()
    }
}

#[cfg(test)]
async fn start(folder: &Path, workers: u32, bootstrap: Bootstrap) -> Result<Envoy, EnvoyError> {
    Envoy::start(
        &cutover_tests::envoy(),
        folder,
        workers,
        bootstrap,
        |yaml| yaml,
    )
    .await
}

#[tokio::test]
async fn envoy_is_killed_restarted_on_its_ports_and_reaped() {
    let folder = tempfile::tempdir().unwrap();
    let mut envoy = start(folder.path(), 2, bootstrap(folder.path()))
        .await
        .unwrap();
    assert!(envoy.resident_memory().unwrap() > 10_000_000);
    assert!(!envoy.admin().version().await.unwrap().is_empty());
    let listeners = envoy.listeners().to_vec();
    envoy.restart().await.unwrap();
    assert_eq!(envoy.listeners(), listeners);
    assert_eq!(envoy.admin().listeners().await.unwrap()[0].1, listeners[0]);
    assert_eq!(
        envoy.admin().seen("default").await.unwrap().generation,
        Some(1)
    );
    let admin = envoy.admin().clone();
    drop(envoy);
    assert!(admin.get("/ready").await.is_err());
}

#[tokio::test]
async fn paused_envoy_keeps_its_connections_and_answers_later() {
    let folder = tempfile::tempdir().unwrap();
    let envoy = start(folder.path(), 2, bootstrap(folder.path()))
        .await
        .unwrap();
    envoy.pause().unwrap();
    let admin = envoy.admin().with_patience(Duration::from_secs(20));
    let asked = tokio::spawn(async move { admin.is_ready().await });
    let silent = tokio::time::timeout(Duration::from_millis(200), async {
        while !asked.is_finished() {
            tokio::task::yield_now().await;
        }
    });
    assert!(silent.await.is_err());
    envoy.resume().unwrap();
    assert!(asked.await.unwrap());
}

#[tokio::test]
async fn starved_worker_is_let_go_again() {
    let folder = tempfile::tempdir().unwrap();
    let envoy = start(folder.path(), 2, bootstrap(folder.path()))
        .await
        .unwrap();
    let start = Instant::now();
    envoy.starve(1, Duration::from_millis(50)).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert!(envoy.starve(2, Duration::ZERO).await.is_err());
}

#[tokio::test]
async fn envoy_that_ends_early_shows_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut broken = bootstrap(folder.path());
    broken.ecds = folder.path().join("nowhere/cutover.json");
    let error = start(folder.path(), 1, broken).await.unwrap_err();
    assert!(matches!(error, EnvoyError::Exited { .. }), "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");
}
