use super::*;
use serde_json::json;

fn config(names: &[&str]) -> FieldPath {
    FieldPath::new(["spec", "pluginConfig"].iter().chain(names).copied())
}

/// As kube-apiserver 1.36 writes it for a manager that applied the switches of two services.
fn of_two_services() -> FieldSet {
    FieldSet::new(json!({"f:spec": {"f:pluginConfig": {"f:services": {
        "f:shop": {"f:active": {}, "f:generation": {}, "f:previous": {"f:active": {}, "f:generation": {}}},
        "f:api": {"f:active": {}, "f:generation": {}},
    }}}}))
}

#[test]
fn a_field_is_owned_that_is_named_or_holds_one_that_is() {
    let fields = of_two_services();
    for owned in [
        config(&["services", "shop", "active"]),
        config(&["services", "shop", "previous"]),
        config(&["services", "shop", "previous", "generation"]),
        config(&["services", "api"]),
        config(&[]),
    ] {
        assert!(fields.owns(&owned), "{owned}");
    }
}

#[test]
fn a_field_that_is_not_named_is_not_owned() {
    let fields = of_two_services();
    for other in [
        config(&["services", "api", "previous"]),
        config(&["services", "web", "active"]),
        config(&["active"]),
        FieldPath::new(["spec", "url"]),
        FieldPath::new(["metadata", "labels"]),
    ] {
        assert!(!fields.owns(&other), "{other}");
    }
    assert!(!FieldSet::default().owns(&config(&[])));
    assert!(!FieldSet::new(Value::Null).owns(&config(&[])));
}

#[test]
fn a_field_that_was_written_as_a_whole_is_owned_with_all_below_it() {
    let fields = FieldSet::new(json!({"f:spec": {"f:pluginConfig": {"f:previous": {}}}}));
    assert!(fields.owns(&config(&["previous", "generation"])));
    assert!(!fields.owns(&config(&["active"])));
}

#[test]
fn what_is_owned_is_taken_from_the_object_and_nothing_else() {
    let object = json!({"spec": {"url": "file:///m.wasm", "pluginConfig": {"services": {
        "shop": {"hosts": ["*"], "active": "green", "generation": 2, "previous": {"active": "blue", "generation": 1}},
        "api": {"active": "blue", "blue": "a"},
    }}}});
    let expected = json!({"spec": {"pluginConfig": {"services": {
        "shop": {"active": "green", "generation": 2, "previous": {"active": "blue", "generation": 1}},
        "api": {"active": "blue"},
    }}}});
    assert_eq!(of_two_services().taken_from(&object), expected);
}

#[test]
fn items_of_lists_are_taken_by_their_keys_with_their_keys() {
    let fields = FieldSet::new(json!({"f:spec": {
        "f:vmConfig": {"f:env": {r#"k:{"name":"B"}"#: {".": {}, "f:value": {}}}},
        "f:tags": {r#"v:"x""#: {}},
        "f:places": {"i:1": {}},
        "f:atomic": {},
    }}));
    let object = json!({"spec": {
        "vmConfig": {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2", "valueFrom": "INLINE"}]},
        "tags": ["w", "x"],
        "places": ["first", "second"],
        "atomic": [1, 2],
    }});
    let expected = json!({"spec": {
        "vmConfig": {"env": [{"name": "B", "value": "2"}]},
        "tags": ["x"],
        "places": ["second"],
        "atomic": [1, 2],
    }});
    assert_eq!(fields.taken_from(&object), expected);
}

#[test]
fn what_is_gone_from_the_object_is_not_taken() {
    let fields = of_two_services();
    assert_eq!(fields.taken_from(&json!({"spec": {}})), json!({"spec": {}}));
}

#[test]
fn a_path_is_shown_as_the_api_server_shows_it() {
    assert_eq!(config(&["active"]).to_string(), ".spec.pluginConfig.active");
}
