//! Who may do what, and an API server that is not there.

use super::stage::Stage;
use crate::assert_said;

#[test]
fn whoever_may_not_is_told_by_whom_and_nothing_is_written() {
    let stage = Stage::with("WasmPlugin", "control-rights");
    let refused = stage.cutover_as("mallory", &["flip", "green", "--yes"]);
    assert_said!(refused, @"");
    assert_eq!(stage.switch()["active"], "blue");
}

#[test]
fn an_api_server_that_is_away_is_said_with_what_becomes_of_traffic() {
    let stage = Stage::with("WasmPlugin", "control-away");
    let kubeconfig = std::fs::read_to_string(stage.bed.text("/kubeconfig")).unwrap();
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let server = kubeconfig
        .split_whitespace()
        .find(|word| word.starts_with("https://"))
        .unwrap();
    let server = server.trim_matches(['"', ',']);
    let changed = kubeconfig.replace(server, &format!("https://{address}"));
    let path = stage.write("away.kubeconfig", &serde_json::Value::Null);
    std::fs::write(&path, changed).unwrap();
    let away = stage.cutover(&["status", "--kubeconfig", &path]);
    assert_said!(away, @"");
}
