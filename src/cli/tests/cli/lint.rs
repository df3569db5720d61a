use crate::{
    assert_run,
    support::{Stage, ecds},
};
use serde_json::{Value, json};

fn lint(content: &str) -> crate::support::Ran {
    let stage = Stage::new();
    stage.write("it.json", content);
    stage.run(&["lint", "it.json"])
}

fn good() -> Value {
    json!({"active": "blue", "generation": 7, "blue": "a", "green": "b"})
}

#[test]
fn a_good_configuration_is_told_service_by_service() {
    assert_run!(lint(&good().to_string()), @"
    exit code: 0
    --- stdout
    it.json: good
      default: blue active, generation 7
    next: `cutover explain` shows where a request would go
    ");
    assert_run!(lint(&ecds(&good())), @"
    exit code: 0
    --- stdout
    it.json: good
      default: blue active, generation 7
    next: `cutover status` shows whether the Envoys agree with it
    ");
    let many = json!({"services": {
        "shop": {"hosts": ["shop.example.com"], "active": "green", "blue": "a", "green": "b",
                 "override": {"header": "x", "keys": ["k1", "k2"]}},
        "blog": {"hosts": ["blog.example.com"], "active": "blue", "blue": "a", "green": "b",
                 "override": {"header": "x", "unsigned": true}}
    }});
    assert_run!(lint(&many.to_string()), @"
    exit code: 0
    --- stdout
    it.json: good
      blog: blue active, no generation: each worker switches for itself, anyone may override
      shop: green active, no generation: each worker switches for itself, override signed by k1 or k2
    next: `cutover explain` shows where a request would go
    ");
}

#[test]
fn a_bad_configuration_is_told_by_path_value_and_what_is_allowed() {
    let with = |key: &str, value: Value| {
        let mut configuration = good();
        configuration[key] = value;
        lint(&ecds(&configuration))
    };
    assert_run!(with("active", json!("purple")), @"
    exit code: 2
    --- stderr
    error: it.json: active: unknown variant `purple`, expected `blue` or `green`
    hint: put that right: the filter would refuse it, and keep what it has
    ");
    assert_run!(with("colour", json!("blue")), @"
    exit code: 2
    --- stderr
    error: it.json: colour: unknown field `colour`, expected one of `active`, `generation`, `previous`, `activate_at`, `hold`, `blue`, `green`, `hosts`, `closed`, `override`
    hint: put that right: the filter would refuse it, and keep what it has
    ");
    assert_run!(with("generation", json!(9_007_199_254_740_992_u64)), @"
    exit code: 2
    --- stderr
    error: it.json: generation: invalid value: integer `9007199254740992`, expected an integer from 1 to 9007199254740991
    hint: put that right: the filter would refuse it, and keep what it has
    ");
}

#[test]
fn a_file_that_is_not_whole_is_refused() {
    let whole = ecds(&good());
    assert_run!(lint(&whole.chars().take(whole.len() / 2).collect::<String>()), @"
    exit code: 2
    --- stderr
    error: it.json: configuration: is not valid JSON: EOF while parsing a value at line 14 column 20
    hint: put that right: the filter would refuse it, and keep what it has
    ");
    assert_run!(lint(""), @"
    exit code: 2
    --- stderr
    error: it.json: configuration: is empty, must be a JSON object
    hint: put that right: the filter would refuse it, and keep what it has
    ");
    assert_run!(lint(&whole.replace("StringValue", "Struct")), @"
    exit code: 2
    --- stderr
    error: it.json: `resources[0].typed_config.config.configuration.@type` is `type.googleapis.com/google.protobuf.Struct`; it must be type.googleapis.com/google.protobuf.StringValue
    hint: put that right: the filter would refuse it, and keep what it has
    ");
}

#[test]
fn a_refusal_is_json_when_asked_for() {
    let stage = Stage::with(&json!({"active": "purple", "blue": "a", "green": "b"}));
    assert_run!(stage.run(&["lint", "cutover.json", "-o", "json"]), @r#"
    exit code: 2
    --- stdout
    {
      "error": "cutover.json: active: unknown variant `purple`, expected `blue` or `green`",
      "exit_code": 2,
      "hint": "put that right: the filter would refuse it, and keep what it has",
      "next": "put that right: the filter would refuse it, and keep what it has",
      "path": "active",
      "problem": "unknown variant `purple`, expected `blue` or `green`",
      "value": "purple"
    }
    --- stderr
    error: cutover.json: active: unknown variant `purple`, expected `blue` or `green`
    hint: put that right: the filter would refuse it, and keep what it has
    "#);
}

#[test]
fn a_file_that_is_not_there_or_a_folder_is_refused() {
    assert_run!(Stage::new().run(&["lint", "none.json"]), @r#"
    exit code: 2
    --- stderr
    error: there is no file none.json
    hint: name an ECDS file or a plugin configuration
    "#);
    assert_run!(Stage::new().run(&["lint", "."]), @r#"
    exit code: 2
    --- stderr
    error: . is not a regular file
    hint: name an ECDS file or a plugin configuration
    "#);
}

#[test]
fn a_module_tells_which_build_it_is() {
    let stage = Stage::new();
    std::fs::copy(cutover_tests::module(), stage.path("cutover.wasm")).unwrap();
    let ran = stage.run(&["lint", "cutover.wasm", "-o", "json"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let module = std::fs::read(stage.path("cutover.wasm")).unwrap();
    let id = cutover_control::ModuleId::of_wasm(&module).unwrap();
    assert_eq!(ran.json()["module"], id.to_string());

    std::fs::write(stage.path("other.wasm"), b"\0asm\x01\0\0\0").unwrap();
    assert_run!(stage.run(&["lint", "other.wasm"]), @"
    exit code: 2
    --- stderr
    error: other.wasm is a WebAssembly module, but does not tell which build of the filter it is
    hint: scripts/build makes target/cutover.wasm
    ");
}
