use super::*;

/// A plugin of two services; `cutover` owns the switch of `shop`, or what is given.
fn plugin(owned: &Value) -> Plugin {
    Plugin::from_object(json!({
        "apiVersion": API_VERSION, "kind": "WasmPlugin",
        "metadata": {
            "name": "shop", "namespace": "prod", "uid": "u-1", "resourceVersion": "41",
            "labels": {"team": "shop"},
            "managedFields": [{"manager": "cutover", "operation": "Apply", "fieldsV1": owned}],
        },
        "spec": {"url": "file:///m.wasm", "pluginConfig": {"services": {
            "shop": {"hosts": ["shop"], "active": "green", "generation": 5, "previous": {"active": "blue", "generation": 4}},
            "api": {"hosts": ["*"], "active": "blue", "blue": "a", "green": "b"},
        }}},
    }))
    .unwrap()
}

fn change(service: Option<&str>, switch: Value) -> [SwitchChange; 1] {
    let Value::Object(switch) = switch else {
        panic!("a switch is an object");
    };
    [SwitchChange {
        service: service.map(str::to_owned),
        switch,
    }]
}

fn of_shop() -> Value {
    json!({"f:spec": {"f:pluginConfig": {"f:services": {"f:shop": {
        "f:active": {}, "f:generation": {}, "f:previous": {"f:active": {}, "f:generation": {}},
    }}}}})
}

#[test]
fn a_first_flip_says_the_switch_and_nothing_else() {
    let patch = of(
        &plugin(&json!({})),
        &change(Some("api"), json!({"active": "green", "generation": 7})),
    );
    let expected = json!({
        "apiVersion": API_VERSION, "kind": "WasmPlugin",
        "metadata": {"name": "shop", "namespace": "prod", "uid": "u-1", "resourceVersion": "41"},
        "spec": {"pluginConfig": {"services": {"api": {"active": "green", "generation": 7}}}},
    });
    assert_eq!(patch, expected);
}

#[test]
fn the_switch_of_the_other_service_is_said_again() {
    let patch = of(
        &plugin(&of_shop()),
        &change(Some("api"), json!({"active": "green", "generation": 7})),
    );
    let services = json!({
        "shop": {"active": "green", "generation": 5, "previous": {"active": "blue", "generation": 4}},
        "api": {"active": "green", "generation": 7},
    });
    assert_eq!(
        patch["spec"],
        json!({"pluginConfig": {"services": services}})
    );
}

#[test]
fn the_old_switch_of_the_service_is_replaced_as_a_whole() {
    let patch = of(
        &plugin(&of_shop()),
        &change(Some("shop"), json!({"active": "blue", "generation": 6})),
    );
    let services = json!({"shop": {"active": "blue", "generation": 6}});
    assert_eq!(patch["spec"]["pluginConfig"]["services"], services);
}

#[test]
fn what_was_applied_in_our_name_is_kept() {
    let owned = json!({
        "f:metadata": {"f:labels": {"f:team": {}}},
        "f:spec": {"f:url": {}, "f:pluginConfig": {"f:services": {"f:shop": {"f:hosts": {}, "f:active": {}}}}},
    });
    let patch = of(
        &plugin(&owned),
        &change(Some("shop"), json!({"active": "blue"})),
    );
    assert_eq!(patch["metadata"]["labels"], json!({"team": "shop"}));
    assert_eq!(patch["metadata"]["uid"], "u-1");
    let spec = json!({"url": "file:///m.wasm", "pluginConfig": {"services": {"shop": {"hosts": ["shop"], "active": "blue"}}}});
    assert_eq!(patch["spec"], spec);
}

#[test]
fn the_short_form_and_the_other_kind_have_their_own_places() {
    let short = plugin(&json!({}));
    let patch = of(&short, &change(None, json!({"active": "green"})));
    assert_eq!(patch["spec"], json!({"pluginConfig": {"active": "green"}}));
    let other = Plugin::from_object(json!({
        "apiVersion": API_VERSION, "kind": "TrafficExtension",
        "metadata": {"name": "shop", "namespace": "prod"}, "spec": {"wasm": {"pluginConfig": {}}},
    }));
    let patch = of(&other.unwrap(), &change(None, json!({"active": "green"})));
    assert_eq!(
        patch["spec"],
        json!({"wasm": {"pluginConfig": {"active": "green"}}})
    );
}

#[test]
fn for_git_the_switch_is_put_into_the_whole_object() {
    let flipped = plugin(&of_shop()).manifest_with(&change(
        Some("shop"),
        json!({"active": "blue", "generation": 6}),
    ));
    let shop = json!({"hosts": ["shop"], "active": "blue", "generation": 6});
    assert_eq!(flipped["spec"]["pluginConfig"]["services"]["shop"], shop);
    assert_eq!(flipped["spec"]["url"], "file:///m.wasm");
    assert!(flipped["metadata"].get("uid").is_none());
}
