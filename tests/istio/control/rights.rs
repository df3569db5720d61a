//! Who may do what, and an API server that is not there.

use super::stage::Stage;
use crate::assert_said;

#[test]
fn whoever_may_not_is_told_by_whom_and_nothing_is_written() {
    let stage = Stage::with("WasmPlugin", "control-rights");
    let refused = stage.cutover_as("mallory", &["flip", "green", "--now", "--yes"]);
    assert_said!(refused, @r#"
    exit code: 3
    error: the API server does not allow it: wasmplugins.extensions.istio.io "control-rights" is forbidden: User "mallory" cannot get resource "wasmplugins" in API group "extensions.istio.io" in the namespace "shop"
    hint: the roles in istio/access have what the tool needs; `kubectl auth can-i` tells what you may
    "#);
    assert_eq!(stage.switch()["active"], "blue");
}

#[test]
fn an_api_server_that_is_away_is_said_with_what_becomes_of_traffic() {
    let stage = Stage::with("WasmPlugin", "control-away");
    let kubeconfig = std::fs::read_to_string(stage.bed.text("/kubeconfig")).unwrap();
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | ',');
    let mut words = kubeconfig.split(is_end);
    let server = words.find(|word| word.starts_with("https://")).unwrap();
    let changed = kubeconfig.replace(server, &format!("https://{address}"));
    let path = stage.write("away.kubeconfig", &serde_json::Value::Null);
    std::fs::write(&path, changed).unwrap();
    let away = stage.cutover(&["status", "--kubeconfig", &path]);
    assert_said!(away, @r#"
    exit code: 3
    error: no answer from the API server at [SERVER]: Connection refused (os error 111)
    hint: the proxies do not need it: traffic keeps its color; try again when it answers
    "#);
}
