use crate::{
    assert_run,
    support::{Server, Stage, shows},
};
use serde_json::json;
use std::sync::Arc;

fn stage() -> (Stage, Server) {
    let stage = Stage::with(&json!({"active": "blue", "generation": 7, "blue": "a", "green": "b"}));
    let envoy = Server::following(&stage.path("cutover.json"));
    (stage, envoy)
}

#[test]
fn a_generation_that_every_envoy_shows_has_landed() {
    let (stage, envoy) = stage();
    let second = Server::stuck(7, 1);
    assert_run!(stage.flip(&["wait"], &[&envoy, &second]), @"
    exit code: 0
    --- stdout
    landed: 2 Envoys show generation 7 (blue) of default
    next: `cutover status` shows them
    ");
    assert_run!(stage.flip(&["wait", "--generation", "7", "-o", "json"], &[&envoy]), @r#"
    exit code: 0
    --- stdout
    {
      "active": "blue",
      "exit_code": 0,
      "generation": 7,
      "milliseconds": "[TIME]",
      "missing": [],
      "next": "`cutover status` shows them",
      "service": "default",
      "shown": [
        "[ENVOY-1]"
      ]
    }
    "#);
}

#[test]
fn an_envoy_that_does_not_show_it_is_named_with_what_it_shows() {
    let (stage, envoy) = stage();
    let behind = Server::stuck(6, 2);
    assert_run!(stage.flip(&["wait", "--deadline", "500ms"], &[&envoy, &behind]), @r#"
    exit code: 1
    --- stderr
    error: generation 7 (blue) of default landed on 1 of 2 Envoys; missing: [ENVOY-2] shows generation 6 (green)
    hint: does that Envoy watch the folder of this very file? `cutover status` shows more
    "#);
    // A color that the file does not give to this generation is no landing.
    let conflict = Server::stuck(7, 2);
    let ran = stage.flip(&["wait", "--deadline", "500ms"], &[&conflict]);
    assert_eq!(ran.code, Some(1), "{ran}");
}

#[test]
fn of_a_generation_that_the_file_does_not_have_any_color_will_do() {
    let (stage, _) = stage();
    let older = Server::stuck(6, 2);
    let ran = stage.flip(&["wait", "--generation", "6"], &[&older]);
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn a_refusal_of_long_ago_is_none_of_what_is_waited_for() {
    let (stage, _) = stage();
    let refused = "extension_config_discovery.http_filter.cutover.update_rejected: 1\n";
    let behind = Server::with(move |_| shows("default", 6, 2) + refused);
    let ran = stage.flip(&["wait", "--deadline", "1s"], &[&behind]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("shows generation 6 (green)"), "{ran}");
}

#[test]
fn a_newer_generation_ends_the_wait_at_once() {
    let (stage, envoy) = stage();
    let ahead = Server::stuck(8, 2);
    let behind = Server::stuck(6, 2);
    assert_run!(stage.flip(&["wait", "--deadline", "10m"], &[&envoy, &ahead, &behind]), @r#"
    exit code: 1
    --- stderr
    error: generation 7 (blue) of default landed on 1 of 3 Envoys; missing: superseded: [ENVOY-2] shows the newer generation 8 (green); [ENVOY-3] shows generation 6 (green)
    hint: another switch came after it; `cutover history` says whose, `cutover wait` waits for that one
    "#);
}

#[test]
fn a_silent_envoy_is_asked_again_until_the_deadline() {
    let (stage, _) = stage();
    assert_run!(stage.run(&["wait", "-t", "cutover.json", "-a", "127.0.0.1:9", "--deadline", "50ms"]), @r#"
    exit code: 3
    --- stderr
    error: generation 7 (blue) of default landed on 0 of 1 Envoy; missing: no answer from 127.0.0.1:9: Connection refused (os error 111)
    hint: is that Envoy up, and is that its admin address?
    "#);
    let silent = Server::silent(&Arc::default());
    assert_run!(stage.flip(&["wait", "--deadline", "50ms"], &[&silent]), @r#"
    exit code: 3
    --- stderr
    error: generation 7 (blue) of default landed on 0 of 1 Envoy; missing: no answer from [ENVOY-1]: it said nothing for 1000 ms
    hint: is that Envoy up, and is that its admin address?
    "#);
    // One that comes back in time has not been silent.
    let late = Server::with(|looks| {
        if looks < 3 {
            String::new()
        } else {
            let name = "wasmcustom.cutover.plugin.cutover.service.default";
            format!("{name}.active: 1\n{name}.generation: 7\n")
        }
    });
    let ran = stage.flip(&["wait", "--deadline", "1m"], &[&late]);
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn there_is_nothing_to_wait_for_without_a_generation_or_an_envoy() {
    let (stage, _) = stage();
    assert_run!(stage.run(&["wait", "-t", "cutover.json"]), @r#"
    exit code: 2
    --- stderr
    error: no Envoy was named, so there is none to wait for
    hint: say --admin HOST:PORT or set CUTOVER_ADMIN
    "#);
    let stage = Stage::with(&json!({"active": "blue", "blue": "a", "green": "b"}));
    let envoy = Server::following(&stage.path("cutover.json"));
    assert_run!(stage.flip(&["wait"], &[&envoy]), @r#"
    exit code: 2
    --- stderr
    error: service `default` has no generation, so that nobody could see when it has landed
    hint: `cutover flip COLOR` gives it one; --generation N waits for another
    "#);
}
