use super::*;
use crate::resource::{self, ResourceOptions};
use cutover_core::{Color, Generation, Previous};
use serde_json::json;

fn file(configuration: Value) -> String {
    let module = "cutover.wasm".into();
    resource::render(&ResourceOptions {
        module,
        configuration,
        environment: vec![],
    })
}

fn generation(number: u64) -> Generation {
    Generation::new(number).unwrap()
}

fn green_at_7() -> Switch {
    Switch {
        generation: Some(generation(7)),
        active: Color::Green,
        previous: Some(Previous {
            generation: generation(3),
            active: Color::Blue,
        }),
    }
}

#[track_caller]
fn check_flip(before: Value, after: &Value) {
    let document = Document::parse(file(before).as_bytes()).unwrap();
    let flipped = document.with_switch("default", &green_at_7());
    let expected = file(after.clone()).replace(r#""version_info": "0""#, r#""version_info": "7""#);
    assert_eq!(String::from_utf8(flipped.to_bytes()).unwrap(), expected);
    assert_eq!(flipped.version_info(), Some("7"));
}

#[test]
fn a_flip_changes_the_switch_and_nothing_else() {
    let previous = json!({"generation": 3, "active": "blue"});
    check_flip(
        json!({"active": "blue", "generation": 3, "z": 1, "blue": "a", "green": "b"}),
        &json!({"active": "green", "generation": 7, "previous": previous, "z": 1, "blue": "a", "green": "b"}),
    );
    check_flip(
        json!({"blue": "a", "active": "blue", "green": "b"}),
        &json!({"blue": "a", "active": "green", "generation": 7, "previous": previous, "green": "b"}),
    );
    check_flip(
        json!({"services": {"x": {"active": "blue"}, "default": {"active": "blue", "generation": 3}}}),
        &json!({"services": {"x": {"active": "blue"}, "default": {"active": "green", "generation": 7, "previous": previous}}}),
    );
}

#[test]
fn a_configuration_in_a_string_stays_in_a_string() {
    let plain = file(json!({}));
    let text = json!({"@type": STRING, "value": r#"{"active":"blue","blue":"a"}"#});
    let mut root: Value = serde_json::from_str(&plain).unwrap();
    *root
        .pointer_mut("/resources/0/typed_config/config/configuration")
        .unwrap() = text;
    let document = Document::parse(root.to_string().as_bytes()).unwrap();
    let flipped = document.with_switch("default", &green_at_7());
    let again = Document::parse(&flipped.to_bytes()).unwrap();
    assert_eq!(again.configuration(), flipped.configuration());
    let expected = r#"{"active":"green","generation":7,"previous":{"generation":3,"active":"blue"},"blue":"a"}"#;
    assert_eq!(flipped.root.pointer(CONFIGURATION), Some(&json!(expected)));
}

#[test]
fn a_switch_without_previous_leaves_none() {
    let document = Document::parse(
        file(json!({"active": "blue", "generation": 3, "previous": {"generation": 1, "active": "green"}}))
            .as_bytes(),
    )
    .unwrap();
    let switch = Switch {
        previous: None,
        ..green_at_7()
    };
    let flipped = document.with_switch("default", &switch);
    assert_eq!(
        flipped.configuration(),
        br#"{"active":"green","generation":7}"#
    );
}

#[track_caller]
fn check_refused(bytes: &[u8], message: &str) {
    let refused = Document::parse(bytes).unwrap_err().to_string();
    assert!(refused.starts_with(message), "{refused}");
}

#[test]
fn what_is_no_ecds_file_is_refused_with_the_place() {
    let good = file(json!({"active": "blue"}));
    check_refused(b"", "it is not valid JSON: EOF");
    check_refused(
        &good.as_bytes()[..good.len() / 2],
        "it is not valid JSON: EOF",
    );
    check_refused(
        b"[]",
        "`resources` is missing; it must be a DiscoveryResponse",
    );
    check_refused(
        br#"{"resources": []}"#,
        "`resources` is 0 resources; it must be exactly one",
    );
    check_refused(
        good.replace("http.wasm.v3.Wasm", "http.lua.v3.Lua")
            .as_bytes(),
        "`resources[0].typed_config.@type` is `type.googleapis.com/envoy.extensions.filters.http.lua",
    );
    check_refused(
        good.replace("google.protobuf.Struct", "google.protobuf.BytesValue")
            .as_bytes(),
        "`resources[0].typed_config.config.configuration.@type` is `type.googleapis.com/google",
    );
    let mut two: Value = serde_json::from_str(&good).unwrap();
    let resources = two.get_mut("resources").unwrap().as_array_mut().unwrap();
    resources.push(resources[0].clone());
    check_refused(two.to_string().as_bytes(), "`resources` is 2 resources");
}
