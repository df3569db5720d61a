use crate::{assert_run, support::Stage};
use serde_json::json;
use std::{fs, path::Path};

fn stage() -> Stage {
    let stage = Stage::new();
    stage.write("module.wasm", "\0asm\x01\0\0\0");
    stage
}

#[test]
fn the_folder_envoy_holds_what_init_writes() {
    let stage = stage();
    assert_eq!(stage.run(&["init", "--wasm", "module.wasm"]).code, Some(0));
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy");
    for name in ["envoy.yaml", "cutover.json"] {
        if std::env::var_os("CUTOVER_UPDATE").is_some() {
            fs::write(committed.join(name), stage.read(name)).unwrap();
        }
        let committed = fs::read_to_string(committed.join(name)).unwrap();
        assert!(
            committed == stage.read(name),
            "envoy/{name} is not what `cutover init` writes: CUTOVER_UPDATE=1 cargo test -p cutover"
        );
    }
    assert_eq!(stage.read("cutover.wasm"), stage.read("module.wasm"));
}

#[test]
fn init_tells_what_to_do_next() {
    let ran = stage().run(&["init", "e", "--wasm", "module.wasm", "--override-key", "k1"]);
    assert_run!(ran, @r#"
    exit code: 0
    --- stdout
    Wrote e/envoy.yaml, e/cutover.json and e/cutover.wasm: blue is active.

    Make a key; Envoy and `cutover preview` need the same in their environment:
      export CUTOVER_KEY_k1="$(openssl rand -hex 32)"

    Start Envoy in that folder:
      (cd e && envoy -c envoy.yaml)

    Then, in another terminal:
      export CUTOVER_TARGET=file:[DIR]/e/cutover.json CUTOVER_ADMIN=127.0.0.1:9901
      curl http://127.0.0.1:10000
      cutover preview green --url http://127.0.0.1:10000
      cutover flip green
      cutover status
      cutover rollback
    next: (cd e && envoy -c envoy.yaml)
    "#);
}

#[test]
fn init_says_when_nobody_may_preview() {
    let ran = stage().run(&["init", "--wasm", "module.wasm", "--listen", "0.0.0.0:80"]);
    assert_run!(ran, @"
    exit code: 0
    --- stdout
    Wrote ./envoy.yaml, ./cutover.json and ./cutover.wasm: blue is active.

    Start Envoy in that folder:
      (cd . && envoy -c envoy.yaml)

    Then, in another terminal:
      export CUTOVER_TARGET=file:[DIR]/cutover.json CUTOVER_ADMIN=127.0.0.1:9901
      curl http://127.0.0.1:80
      cutover flip green
      cutover status
      cutover rollback

    Clients cannot reach green before the flip: Envoy listens beyond loopback, and no key was named.
    --override-key ID lets those in who have a token of `cutover preview`.
    next: (cd . && envoy -c envoy.yaml)
    ");
}

#[test]
fn init_overwrites_nothing_unless_told() {
    let stage = stage();
    stage.write("cutover.json", "mine");
    assert_run!(stage.run(&["init", ".", "--wasm", "module.wasm"]), @r#"
    exit code: 2
    --- stderr
    error: ./cutover.json is there already; nothing was written
    hint: --force replaces it
    "#);
    assert_eq!(stage.read("cutover.json"), "mine");
    assert!(!stage.path("envoy.yaml").exists());
    assert_eq!(
        stage
            .run(&["init", "--wasm", "module.wasm", "--force"])
            .code,
        Some(0)
    );
    assert_ne!(stage.read("cutover.json"), "mine");
}

#[test]
fn init_over_a_live_configuration_keeps_its_color_under_a_newer_generation() {
    let stage =
        Stage::with(&json!({"active": "green", "generation": 41, "blue": "a", "green": "b"}));
    stage.write("module.wasm", "\0asm");
    assert_eq!(
        stage
            .run(&["init", "--wasm", "module.wasm", "--force"])
            .code,
        Some(0)
    );
    assert_eq!(stage.configuration()["active"], "green");
    assert_eq!(stage.configuration()["generation"], 42);
    assert!(
        stage
            .read("envoy.yaml")
            .contains("route: { cluster: green, timeout: 0s }")
    );
}

#[track_caller]
fn check_override(arguments: &[&str], expected: Option<(&str, serde_json::Value)>) {
    let stage = stage();
    let ran = stage.run(&[&["init", "--wasm", "module.wasm"], arguments].concat());
    assert_eq!(ran.code, Some(0), "{ran}");
    let rule = stage.configuration().get("override").cloned();
    match expected {
        Some((key, value)) => assert_eq!(rule.unwrap().get(key), Some(&value)),
        None => assert_eq!(rule, None),
    }
}

#[test]
fn an_override_without_a_signature_is_for_loopback_only() {
    check_override(&[], Some(("unsigned", json!(true))));
    check_override(&["--listen", "0.0.0.0:10000"], None);
    let keyed = ["--listen", "0.0.0.0:10000", "--override-key", "k1"];
    check_override(&keyed, Some(("keys", json!(["k1"]))));
}

#[test]
fn what_cannot_be_a_module_or_an_address_is_refused() {
    let stage = stage();
    stage.write("text.wasm", "text");
    assert_run!(stage.run(&["init", "--wasm", "text.wasm"]), @r#"
    exit code: 2
    --- stderr
    error: text.wasm is not a WebAssembly module
    hint: scripts/build makes target/cutover.wasm
    "#);
    assert_run!(stage.run(&["init", "--wasm", "none.wasm"]), @"
    exit code: 2
    --- stderr
    error: none.wasm cannot be read: No such file or directory (os error 2)
    hint: without --wasm it is the module that this tool carries
    ");
    assert_run!(stage.run(&["init", "--blue", "app"]), @r#"
    exit code: 2
    --- stderr
    error: invalid value 'app' for '--blue <HOST:PORT>': `app` is not HOST:PORT, such as 127.0.0.1:8081

    For more information, try '--help'.
    "#);
    assert_run!(stage.run(&["init", "--wasm", "module.wasm", "--override-key", "k-1"]), @r#"
    exit code: 2
    --- stderr
    error: `k-1` is no key id
    hint: a key id is 1 to 32 letters, digits and `_`
    "#);
    assert_run!(stage.run(&["init", "text.wasm", "--wasm", "module.wasm"]), @"
    exit code: 3
    --- stderr
    error: text.wasm cannot be written: File exists (os error 17)
    hint: look at the rights and the space of its folder, or name another one
    ");
}

#[test]
fn health_is_checked_where_that_is_asked_for() {
    let stage = stage();
    let ran = stage.run(&["init", "plain", "--wasm", "module.wasm"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let ran = stage.run(&[
        "init",
        "checked",
        "--wasm",
        "module.wasm",
        "--health",
        "/healthz",
    ]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(!stage.read("plain/envoy.yaml").contains("health_checks"));
    let checks = stage.read("checked/envoy.yaml");
    assert_eq!(checks.matches("path: \"/healthz\"").count(), 2);
}

#[test]
fn a_dry_run_shows_what_would_be_written_and_writes_nothing() {
    let stage = Stage::new();
    let wasm = cutover_tests::module();
    let init = [
        "init",
        "envoy",
        "--dry-run",
        "--wasm",
        wasm.to_str().unwrap(),
    ];
    let ran = stage.run(&init);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(!stage.path("envoy").exists());
    let would = ran.stdout.clone();
    let json = stage
        .run(&[init.as_slice(), &["-o", "json"]].concat())
        .json();
    let without: Vec<_> = init
        .into_iter()
        .filter(|word| *word != "--dry-run")
        .collect();
    assert_eq!(stage.run(&without).code, Some(0));
    for name in ["envoy.yaml", "cutover.json"] {
        let written = stage.read(&format!("envoy/{name}"));
        assert!(would.contains(&written), "{name}");
        let files = json["files"].as_array().unwrap();
        assert!(
            files.iter().any(|file| file["content"] == *written),
            "{name}"
        );
    }
    // Over what is there it says so, and leaves it.
    let before = stage.read("envoy/cutover.json");
    let ran = stage.run(&[init.as_slice(), &["--force"]].concat());
    assert!(
        ran.stdout.starts_with("would replace envoy/cutover.wasm"),
        "{ran}"
    );
    assert_eq!(stage.read("envoy/cutover.json"), before);
}
