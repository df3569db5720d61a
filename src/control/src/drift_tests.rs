use super::*;
use crate::{ResourceOptions, resource};
use serde_json::json;

fn document(configuration: Value) -> Document {
    let (module, environment) = ("cutover.wasm".into(), vec!["CUTOVER_KEY_a".to_owned()]);
    let file = resource::render(&ResourceOptions {
        module,
        configuration,
        environment,
    });
    Document::parse(file.as_bytes()).unwrap()
}

fn blue() -> Value {
    json!({"active": "blue", "generation": 1, "blue": "a", "green": "b"})
}

/// What Envoy would dump of a file that it was given.
fn dump_of(configuration: Value) -> Value {
    document(configuration).resource().unwrap()
}

#[track_caller]
fn check(running: &Value, expected: &[&str]) {
    assert_eq!(drift(&document(blue()), running), expected);
}

#[test]
fn the_switch_is_no_drift_and_all_else_is() {
    check(&dump_of(blue()), &[]);
    let previous = json!({"generation": 1, "active": "blue"});
    check(
        &dump_of(
            json!({"active": "green", "generation": 2, "previous": previous, "blue": "a", "green": "b"}),
        ),
        &[],
    );
    check(
        &dump_of(json!({"active": "blue", "generation": 1, "blue": "a", "green": "c"})),
        &["configuration.green"],
    );
    check(
        &dump_of(
            json!({"active": "blue", "generation": 1, "blue": "a", "green": "b", "closed": ["green"]}),
        ),
        &["configuration.closed"],
    );
}

#[test]
fn another_module_or_environment_is_drift() {
    let mut running = dump_of(blue());
    let vm = running
        .pointer_mut("/typed_config/config/vm_config")
        .unwrap();
    vm["code"]["local"]["filename"] = "other.wasm".into();
    vm["environment_variables"]["host_env_keys"] = json!(["CUTOVER_KEY_b"]);
    check(
        &running,
        &[
            "vm_config.code.local.filename",
            "vm_config.environment_variables.host_env_keys[0]",
        ],
    );
}

#[test]
fn other_forms_of_the_same_are_no_drift() {
    let mut running = dump_of(blue());
    let config = running.pointer_mut("/typed_config/config").unwrap();
    config["fail_open"] = false.into();
    config["failure_policy"] = 2.into();
    let vm = config.as_object_mut().unwrap().remove("vm_config").unwrap();
    config["vmConfig"] = vm;
    config["reload_config"] = json!({"backoff": {}});
    check(&running, &[]);
    let alike = |a: Value, b: Value| alike(Some(&a), Some(&b));
    assert!(alike("1s".into(), "1.000s".into()));
    assert!(!alike("1s".into(), "2s".into()));
    assert!(alike("7".into(), 7.into()));
    assert!(!alike("7".into(), 8.into()));
    assert!(alike("secret".into(), REDACTED.into()));
}

#[test]
fn a_service_that_would_be_switched_too_is_named() {
    let service = |active: &str, generation: u64| json!({"hosts": [active], "active": active, "generation": generation, "blue": "a", "green": "b"});
    let file =
        document(json!({"services": {"blog": service("green", 2), "shop": service("blue", 1)}}));
    let running =
        dump_of(json!({"services": {"blog": service("blue", 1), "shop": service("blue", 1)}}));
    assert_eq!(other_switches(&file, &running, "shop"), ["blog"]);
    assert!(other_switches(&file, &running, "blog").is_empty());
    assert!(other_switches(&document(blue()), &dump_of(blue()), "default").is_empty());
}

#[test]
fn a_service_that_the_envoy_does_not_have_is_drift() {
    let service = |host: &str| json!({"hosts": [host], "active": "blue", "generation": 1, "blue": "a", "green": "b"});
    let file =
        document(json!({"services": {"blog": service("b.example"), "shop": service("s.example")}}));
    let running = dump_of(json!({"services": {"shop": service("x.example")}}));
    assert_eq!(
        drift(&file, &running),
        [
            "configuration.services.blog",
            "configuration.services.shop.hosts[0]"
        ]
    );
}
