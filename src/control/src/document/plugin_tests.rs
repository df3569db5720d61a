use super::*;
use cutover_core::{Activation, Color, Generation, Previous};

fn document(config: &Value) -> Document {
    let plugin = Plugin::from_object(json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": { "name": "web", "namespace": "shop" },
        "spec": { "url": "oci://example.com/cutover", "pluginConfig": config },
    }));
    Document::of_plugin(plugin.unwrap()).unwrap()
}

fn service(more: &Value) -> Value {
    let mut service =
        json!({ "hosts": ["a"], "blue": { "header": "b" }, "green": { "header": "g" } });
    for (key, value) in more.as_object().unwrap() {
        service[key] = value.clone();
    }
    service
}

#[test]
fn a_new_switch_is_all_that_is_sent_and_goes_into_the_manifest() {
    let old = service(&json!({ "active": "blue", "generation": 1 }));
    let document = document(&json!({ "services": { "shop": old } }));
    let switch = Switch {
        generation: Generation::new(9).ok(),
        active: Color::Green,
        previous: None,
        activation: None,
    };
    let changed = document.with_switch("shop", &switch);
    let (_, [change]) = changed.changes().unwrap() else {
        panic!("one switch, one change");
    };
    assert_eq!(change.service.as_deref(), Some("shop"));
    assert_eq!(
        Value::from(change.switch.clone()),
        json!({ "active": "green", "generation": 9 })
    );
    let plan = changed.plan().unwrap();
    assert_eq!(*plan.service("shop").unwrap().switch(), switch);
    let manifest = changed.manifest().unwrap();
    assert_eq!(
        manifest["spec"]["pluginConfig"]["services"]["shop"]["active"],
        "green"
    );
    assert!(document.changes().is_none());
    assert!(document.with_switch("other", &switch).changes().is_none());
}

#[test]
fn a_switch_with_an_instant_is_sent_with_what_rules_until_then_and_a_later_one_without() {
    let old = |host: &str| service(&json!({ "hosts": [host], "active": "blue", "generation": 1 }));
    let before = document(&json!({ "services": { "api": old("b"), "shop": old("a") } }));
    let previous = Previous {
        generation: Generation::new(1).unwrap(),
        active: Color::Blue,
    };
    let switch = Switch {
        generation: Generation::new(9).ok(),
        active: Color::Green,
        previous: Some(previous),
        activation: Activation::new(1_795_294_800_000, 20),
    };
    let switched = before
        .with_switch("shop", &switch)
        .with_switch("api", &switch);
    let (plugin, changes) = switched.changes().unwrap();
    let fields = json!({
        "active": "green", "generation": 9, "activate_at": 1_795_294_800_000_u64, "hold": 20,
        "previous": { "active": "blue", "generation": 1 },
    });
    for (change, service) in changes.iter().zip(["shop", "api"]) {
        assert_eq!(change.service.as_deref(), Some(service));
        assert_eq!(Value::from(change.switch.clone()), fields);
    }
    let plan = switched.plan().unwrap();
    assert_eq!(*plan.service("api").unwrap().switch(), switch);
    // The manifest, as Git or another reader has it, is the same.
    let manifest = plugin.manifest_with(changes);
    let staged = document(&manifest["spec"]["pluginConfig"]);
    assert_eq!(
        *staged.plan().unwrap().service("shop").unwrap().switch(),
        switch
    );
    let cancel = Switch {
        generation: Generation::new(10).ok(),
        active: Color::Blue,
        activation: None,
        ..switch
    };
    let cancelled = staged.with_switch("shop", &cancel);
    let (_, [change]) = cancelled.changes().unwrap() else {
        panic!("one switch, one change");
    };
    assert_eq!(
        Value::from(change.switch.clone()),
        json!({ "active": "blue", "generation": 10 })
    );
}

#[test]
fn a_switch_that_was_written_back_is_read_though_a_newer_previous_was_left_beside_it() {
    let previous = json!({ "active": "green", "generation": 7 });
    let left = service(&json!({ "active": "blue", "generation": 1, "previous": previous }));
    let reverted = document(&json!({ "services": { "shop": left } }));
    let plan = reverted.plan().unwrap();
    assert_eq!(plan.service("shop").unwrap().switch().previous, None);
    let older = service(&json!({ "active": "blue", "generation": 8, "previous": previous }));
    let plan = document(&json!({ "services": { "shop": older } }))
        .plan()
        .unwrap();
    assert!(plan.service("shop").unwrap().switch().previous.is_some());
}
