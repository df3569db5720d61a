use crate::{
    assert_run,
    support::{Server, Stage},
};
use serde_json::json;

fn stage() -> Stage {
    let previous = json!({"generation": 1, "active": "green"});
    Stage::with(&json!({
        "active": "blue", "generation": 1_763_722_800_000_u64, "previous": previous,
        "blue": "a", "green": "b",
    }))
}

#[test]
fn an_envoy_that_agrees_is_told_so() {
    let stage = stage();
    let envoy = Server::following(&stage.path("cutover.json"));
    assert_run!(stage.flip(&["status"], &[&envoy]), @"
    exit code: 0
    --- stdout
    cutover.json
    SERVICE  ACTIVE  GENERATION     WRITTEN               BEFORE
    default  blue    [GENERATION]  [WRITTEN]  green 1

    ENVOY            ACTIVE  GENERATION     FILE    ON BLUE  ON GREEN  DRIFT  REFUSED  IGNORED  VERSION  MODULE
    [ENVOY-1]  blue    [GENERATION]  agrees  -        -         -      0        0        1.40.0   -
    next: `cutover rollback` goes back to green
    ");
    assert_run!(stage.flip(&["status", "-o", "json"], &[&envoy]), @r#"
    exit code: 0
    --- stdout
    {
      "envoys": [
        {
          "admin": "[ENVOY-1]",
          "config_refused": 0,
          "drift": null,
          "module": null,
          "services": [
            {
              "active": "blue",
              "agreement": "agrees",
              "conflict": 0,
              "generation": [GENERATION],
              "override_refused": 0,
              "override_used": 0,
              "service": "default",
              "stale": 0,
              "streams": {
                "blue": null,
                "green": null
              }
            }
          ],
          "update_rejected": 0,
          "version": "1.40.0"
        }
      ],
      "exit_code": 0,
      "module": null,
      "next": "`cutover rollback` goes back to green",
      "services": [
        {
          "active": "blue",
          "generation": [GENERATION],
          "previous": {
            "active": "green",
            "generation": 1
          },
          "service": "default"
        }
      ],
      "target": "file:cutover.json",
      "version": "[GENERATION]",
      "wrong": []
    }
    "#);
}

#[test]
fn an_envoy_that_does_not_agree_is_told_how() {
    let stage = stage();
    let behind = Server::refusing(1, 2);
    let ahead = Server::stuck(9_000_000_000_000_000, 2);
    let conflict = Server::stuck(1_763_722_800_000, 2);
    assert_run!(stage.flip(&["status"], &[&behind, &ahead, &conflict]), @"
    exit code: 1
    --- stdout
    cutover.json
    SERVICE  ACTIVE  GENERATION     WRITTEN               BEFORE
    default  blue    [GENERATION]  [WRITTEN]  green 1

    ENVOY            ACTIVE  GENERATION        FILE      ON BLUE  ON GREEN  DRIFT  REFUSED  IGNORED  VERSION  MODULE
    [ENVOY-1]  green   1                 behind    -        -         -      0        0        1.40.0   -
    [ENVOY-2]  green   9000000000000000  ahead     -        -         -      0        0        1.40.0   -
    [ENVOY-3]  green   [GENERATION]     conflict  -        -         -      0        0        1.40.0   -

    [ENVOY-1] shows green, generation 1; the file has blue, generation [GENERATION]
    [ENVOY-2] shows green, generation 9000000000000000; the file has blue, generation [GENERATION]
    [ENVOY-3] shows green, generation [GENERATION]; the file has blue, generation [GENERATION]
    next: `cutover status --until settled` waits for it; `cutover flip blue` pushes again
    ");
}

#[test]
fn a_configuration_without_generation_is_per_worker() {
    let stage = Stage::with(&json!({"active": "blue", "blue": "a", "green": "b"}));
    let envoy = Server::following(&stage.path("cutover.json"));
    assert_run!(stage.flip(&["status"], &[&envoy]), @"
    exit code: 0
    --- stdout
    cutover.json
    SERVICE  ACTIVE  GENERATION  WRITTEN  BEFORE
    default  blue    per worker  -        -

    ENVOY            ACTIVE  GENERATION  FILE        ON BLUE  ON GREEN  DRIFT  REFUSED  IGNORED  VERSION  MODULE
    [ENVOY-1]  blue    per worker  per worker  -        -         -      0        0        1.40.0   -
    next: `cutover flip green` switches all traffic to green
    ");
}

#[test]
fn a_silent_envoy_is_told_beside_the_others() {
    let stage = stage();
    let envoy = Server::following(&stage.path("cutover.json"));
    let admin = envoy.address.to_string();
    let ran = stage.run(&[
        "status",
        "-t",
        "cutover.json",
        "-a",
        &admin,
        "-a",
        "127.0.0.1:9",
    ]);
    assert_run!(ran, @"
    exit code: 3
    --- stdout
    cutover.json
    SERVICE  ACTIVE  GENERATION     WRITTEN               BEFORE
    default  blue    [GENERATION]  [WRITTEN]  green 1

    ENVOY            ACTIVE  GENERATION     FILE    ON BLUE  ON GREEN  DRIFT  REFUSED  IGNORED  VERSION  MODULE
    [ADDRESS]  blue    [GENERATION]  agrees  -        -         -      0        0        1.40.0   -
    127.0.0.1:9      silent

    no answer from 127.0.0.1:9: Connection refused (os error 111)
    next: is the Envoy of 127.0.0.1:9 up? `cutover status --watch` tells when it is back
    ");
}

#[test]
fn without_an_envoy_the_file_alone_is_shown() {
    assert_run!(stage().run(&["status", "-t", "cutover.json"]), @"
    exit code: 0
    --- stdout
    cutover.json
    SERVICE  ACTIVE  GENERATION     WRITTEN               BEFORE
    default  blue    [GENERATION]  [WRITTEN]  green 1

    This is the file alone: no Envoy was named (--admin HOST:PORT).
    next: name the Envoys with --admin HOST:PORT, or start one with `cutover up`
    ");
    assert_run!(stage().run(&["status", "-t", "none.json", "-o", "json"]), @r#"
    exit code: 2
    --- stdout
    {
      "error": "there is no file none.json",
      "exit_code": 2,
      "hint": "`cutover init` writes one; --target file:PATH names another",
      "next": "`cutover init` writes one; --target file:PATH names another"
    }
    --- stderr
    error: there is no file none.json
    hint: `cutover init` writes one; --target file:PATH names another
    "#);
}
