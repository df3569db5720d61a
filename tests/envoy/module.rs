//! Which module an Envoy runs: it shows what the file says of itself.

use std::path::Path;

use cutover_control::ModuleId;
use serde_json::json;

use crate::stage::{Stage, switch};

fn of_file(module: &Path) -> ModuleId {
    ModuleId::of_wasm(&std::fs::read(module).unwrap()).unwrap()
}

#[tokio::test]
async fn an_envoy_shows_the_module_that_it_runs_before_and_after_it_gets_another() {
    let stage = Stage::with(switch("blue", 1)).await;
    let module = of_file(&cutover_tests::module());
    assert_eq!(stage.stats().await.module, Some(module));

    let other = cutover_tests::broken_module("decides-twice");
    assert_ne!(of_file(&other), module);
    let file = stage.file_with(&other, switch("green", 2));
    stage.lay(file.as_bytes()).await;
    // The workers still run the old one for a moment, and set the old gauges if they begin just now.
    stage
        .until("the other module shows", async || {
            stage.stats().await.module == Some(of_file(&other))
        })
        .await;
    assert_eq!(stage.seen().await.generation, Some(2));

    // A module whose configuration is refused does not run.
    let refused = stage.file_with(&cutover_tests::module(), json!({}));
    stage.lay(refused.as_bytes()).await;
    assert_eq!(stage.stat("update_rejected").await, 1);
    assert_eq!(stage.stats().await.module, Some(of_file(&other)));
}
