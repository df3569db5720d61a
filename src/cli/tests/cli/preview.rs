use crate::{
    assert_run,
    support::{Ran, Stage},
};
use cutover_core::{Color, token};
use serde_json::{Value, json};

const KEY: (&str, &str) = ("CUTOVER_KEY_k1", "0123456789abcdef");

fn preview(rule: &Value, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let configuration = json!({
        "active": "blue", "generation": 1, "blue": "a", "green": "b", "override": rule,
    });
    let stage = Stage::with(&configuration);
    stage.write("k1.key", "0123456789abcdef\n");
    stage.write("short.key", "short");
    let arguments = [&["preview", "-t", "cutover.json"], arguments].concat();
    stage.run_with(&arguments, environment)
}

#[test]
fn an_unsigned_preview_is_the_bare_color() {
    assert_run!(preview(&json!({"header": "x-color", "unsigned": true}), &["green"], &[]), @"
    exit code: 0
    --- stdout
    # reaches green of default; no signature is asked for
    curl -H 'x-color: green' http://127.0.0.1:10000
    # next: look at green, then `cutover flip green`
    ");
    let rule = json!({"cookie": "color", "unsigned": true, "paths": ["/shop/"]});
    assert_run!(preview(&rule, &["green", "--url", "http://shop.example/"], &[]), @"
    exit code: 0
    --- stdout
    # reaches green of default; no signature is asked for
    curl -b 'color=green' http://shop.example/shop/
    # next: look at green, then `cutover flip green`
    ");
}

#[test]
fn a_signed_preview_carries_a_token() {
    let rule = json!({"header": "x-color", "keys": ["k1", "k2"]});
    assert_run!(preview(&rule, &["green"], &[KEY]), @"
    exit code: 0
    --- stdout
    # reaches green of default until [UNTIL]
    curl -H 'x-color: green.k1.[EXPIRY].[MAC]' http://127.0.0.1:10000
    # next: look at green, then `cutover flip green`
    ");
    assert_run!(preview(&rule, &["green", "--key", "k1", "--key-file", "k1.key", "-o", "json"], &[]), @r#"
    exit code: 0
    --- stdout
    {
      "color": "green",
      "cookie": null,
      "curl": "curl -H 'x-color: green.k1.[EXPIRY].[MAC]' http://127.0.0.1:10000",
      "exit_code": 0,
      "expires": "[UNTIL]",
      "header": "x-color",
      "next": "look at green, then `cutover flip green`",
      "paths": [],
      "service": "default",
      "value": "green.k1.[EXPIRY].[MAC]"
    }
    "#);
}

#[test]
fn key_and_key_file_sign_alike() {
    let key = token::Key::new(KEY.1.as_bytes()).unwrap();
    let rule = json!({"header": "x-color", "keys": ["k1"]});
    let (by_variable, by_file): (&[&str], &[&str]) = (&[], &["--key-file", "k1.key"]);
    for (arguments, environment) in [(by_variable, &[KEY][..]), (by_file, &[])] {
        let arguments = [arguments, &["green", "-o", "json", "--for", "1h"]].concat();
        let value = preview(&rule, &arguments, environment).json()["value"].clone();
        let signed = token::Token::parse(value.as_str().unwrap()).unwrap();
        assert!(signed.is_signed_by(&key, "default", Color::Green));
        assert!(!signed.is_signed_by(&key, "default", Color::Blue));
    }
}

#[test]
fn a_preview_that_nothing_would_grant_is_refused() {
    let rule = json!({"header": "x-color", "keys": ["k1", "k2"]});
    assert_run!(preview(&rule, &["green"], &[]), @r#"
    exit code: 2
    --- stderr
    error: no key to sign with: CUTOVER_KEY_k1 or CUTOVER_KEY_k2 is not set
    hint: set it to the key that Envoy has, or say --key-file PATH
    "#);
    assert_run!(preview(&rule, &["green", "--key", "k3"], &[KEY]), @r#"
    exit code: 2
    --- stderr
    error: the configuration has no key `k3`
    hint: its keys are k1, k2
    "#);
    assert_run!(preview(&rule, &["green", "--key-file", "k1.key"], &[]), @r#"
    exit code: 2
    --- stderr
    error: which key the file holds is not clear
    hint: say --key ID; the configuration has k1, k2
    "#);
    assert_run!(preview(&rule, &["green", "--key", "k2", "--key-file", "short.key"], &[]), @r#"
    exit code: 2
    --- stderr
    error: key `k2`: a key of 5 bytes is too short: 16 at least
    hint: openssl rand -hex 32 makes a good one
    "#);
    assert_run!(preview(&rule, &["green", "--for", "soon"], &[KEY]), @r#"
    exit code: 2
    --- stderr
    error: invalid value 'soon' for '--for <TIME>': a time is a number with a unit, such as 500ms, 10s or 15m

    For more information, try '--help'.
    "#);
    assert_run!(preview(&Value::Null, &["green"], &[]), @r#"
    exit code: 2
    --- stderr
    error: service `default` has no override
    hint: put an `override` into its configuration; `cutover init --override-key ID` writes one
    "#);
    let rule = json!({"header": "x-color", "unsigned": true, "values": {"green": "g"}});
    assert_run!(preview(&rule, &["blue"], &[]), @r#"
    exit code: 2
    --- stderr
    error: no override of service `default` leads to blue
    hint: `override.values` says which colors can be reached
    "#);
}
