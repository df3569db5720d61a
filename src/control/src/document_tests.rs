use super::*;
use crate::resource::{self, ResourceOptions};
use cutover_core::{Color, Generation, Previous};
use serde_json::{Value, json};

fn file(configuration: &str) -> String {
    let options = ResourceOptions {
        module: "cutover.wasm".into(),
        configuration: json!({}),
        environment: vec![],
    };
    resource::render(&options).replace(r#""{}""#, &Value::from(configuration).to_string())
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
        activation: None,
    }
}

#[track_caller]
fn check_flip(before: &str, after: &str) {
    let document = Document::parse(file(before).as_bytes()).unwrap();
    let flipped = document.with_switch("default", &green_at_7());
    let expected = file(after).replace(r#""version_info": "0""#, r#""version_info": "7""#);
    assert_eq!(String::from_utf8(flipped.to_bytes()).unwrap(), expected);
    assert_eq!(flipped.version_info(), Some("7"));
    assert_eq!(flipped.configuration(), after.as_bytes());
}

#[test]
fn a_flip_changes_the_switch_and_nothing_else() {
    check_flip(
        r#"{"z": 1.50, "active": "blue", "generation": 3, "blue": "a", "green": "b"}"#,
        r#"{"z": 1.50, "active": "green", "generation": 7, "previous": {"generation":3,"active":"blue"}, "blue": "a", "green": "b"}"#,
    );
    check_flip(
        "{\n \"blue\": {\"cluster\":\"a\"},\n \"active\": \"blue\"}",
        "{\n \"blue\": {\"cluster\":\"a\"},\n \"active\": \"green\",\n \"generation\": 7,\n \"previous\": {\"generation\":3,\"active\":\"blue\"}}",
    );
    check_flip(
        r#"{"services": {"x": {"active": "blue"}, "default": {"active": "blue", "generation": 3}}}"#,
        r#"{"services": {"x": {"active": "blue"}, "default": {"active": "green", "generation": 7, "previous": {"generation":3,"active":"blue"}}}}"#,
    );
}

#[test]
fn a_switch_without_previous_leaves_none() {
    let configuration =
        r#"{"active": "blue", "generation": 3, "previous": {"generation": 1, "active": "green"}}"#;
    let document = Document::parse(file(configuration).as_bytes()).unwrap();
    let switch = Switch {
        previous: None,
        ..green_at_7()
    };
    let flipped = document.with_switch("default", &switch);
    assert_eq!(
        flipped.configuration(),
        br#"{"active": "green", "generation": 7}"#
    );
}

#[track_caller]
fn check_refused(bytes: &[u8], message: &str) {
    let refused = Document::parse(bytes).unwrap_err().to_string();
    assert!(refused.starts_with(message), "{refused}");
}

#[test]
fn what_is_no_ecds_file_is_refused_with_the_place() {
    let good = file(r#"{"active": "blue"}"#);
    check_refused(b"", "it is not valid JSON: EOF");
    check_refused(
        &good.as_bytes()[..good.len() / 2],
        "it is not valid JSON: EOF",
    );
    check_refused(b"[]", "`the file` is a list; it must be an object");
    check_refused(
        br#"{"resources": []}"#,
        "`resources` is a list of 0; it must be a list of one resource",
    );
    check_refused(
        good.replace("http.wasm.v3.Wasm", "http.lua.v3.Lua")
            .as_bytes(),
        "`resources[0].typed_config.@type` is `type.googleapis.com/envoy.extensions.filters.http.lua",
    );
    check_refused(
        good.replace("google.protobuf.StringValue", "google.protobuf.Struct")
            .as_bytes(),
        "`resources[0].typed_config.config.configuration.@type` is `type.googleapis.com/google",
    );
    let mut two: Value = serde_json::from_str(&good).unwrap();
    let resources = two.get_mut("resources").unwrap().as_array_mut().unwrap();
    resources.push(resources[0].clone());
    check_refused(two.to_string().as_bytes(), "`resources` is a list of 2");
}
