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
    assert_run!(stage.flip(&["status"], &[&envoy]), @r#"
    exit code: 0
    --- stdout
    cutover.json
    SERVICE  ACTIVE  GENERATION     WRITTEN               BEFORE
    default  blue    [GENERATION]  [WRITTEN]  green 1

    ENVOY            VERSION  SERVICE  ACTIVE  GENERATION     STALE  CONFLICT  REFUSED  FILE
    [ENVOY-1]  1.40.0   default  blue    [GENERATION]  0      0         0        agrees
    "#);
    assert_run!(stage.flip(&["status", "-o", "json"], &[&envoy]), @r#"
    exit code: 0
    --- stdout
    {
      "envoys": [
        {
          "admin": "[ENVOY-1]",
          "config_refused": 0,
          "services": [
            {
              "active": "blue",
              "agreement": "agrees",
              "conflict": 0,
              "generation": [GENERATION],
              "override_refused": 0,
              "override_used": 0,
              "service": "default",
              "stale": 0
            }
          ],
          "update_rejected": 0,
          "version": "1.40.0"
        }
      ],
      "exit_code": 0,
      "next": null,
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
      "version": "[GENERATION]"
    }
    "#);
}

#[test]
fn an_envoy_that_does_not_agree_is_told_how() {
    let stage = stage();
    let behind = Server::refusing(1, 2);
    let ahead = Server::stuck(9_000_000_000_000_000, 2);
    let conflict = Server::stuck(1_763_722_800_000, 2);
    assert_run!(stage.flip(&["status"], &[&behind, &ahead, &conflict]), @r#"
    exit code: 1
    --- stdout
    cutover.json
    SERVICE  ACTIVE  GENERATION     WRITTEN               BEFORE
    default  blue    [GENERATION]  [WRITTEN]  green 1

    ENVOY            VERSION  SERVICE  ACTIVE  GENERATION        STALE  CONFLICT  REFUSED  FILE
    [ENVOY-1]  1.40.0   default  green   1                 0      0         0        behind
    [ENVOY-2]  1.40.0   default  green   9000000000000000  0      0         0        ahead
    [ENVOY-3]  1.40.0   default  green   [GENERATION]     0      0         0        conflict
    "#);
}

#[test]
fn a_configuration_without_generation_is_per_worker() {
    let stage = Stage::with(&json!({"active": "blue", "blue": "a", "green": "b"}));
    let envoy = Server::following(&stage.path("cutover.json"));
    assert_run!(stage.flip(&["status"], &[&envoy]), @r#"
    exit code: 0
    --- stdout
    cutover.json
    SERVICE  ACTIVE  GENERATION  WRITTEN  BEFORE
    default  blue    per worker  -        -

    ENVOY            VERSION  SERVICE  ACTIVE  GENERATION  STALE  CONFLICT  REFUSED  FILE
    [ENVOY-1]  1.40.0   default  blue    per worker  0      0         0        per worker
    "#);
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
    assert_run!(ran, @r#"
    exit code: 3
    --- stdout
    cutover.json
    SERVICE  ACTIVE  GENERATION     WRITTEN               BEFORE
    default  blue    [GENERATION]  [WRITTEN]  green 1

    ENVOY            VERSION  SERVICE  ACTIVE  GENERATION     STALE  CONFLICT  REFUSED  FILE
    [ADDRESS]  1.40.0   default  blue    [GENERATION]  0      0         0        agrees

    no answer from 127.0.0.1:9: Connection refused (os error 111)
    "#);
}

#[test]
fn without_an_envoy_the_file_alone_is_shown() {
    assert_run!(stage().run(&["status", "-t", "cutover.json"]), @r#"
    exit code: 0
    --- stdout
    cutover.json
    SERVICE  ACTIVE  GENERATION     WRITTEN               BEFORE
    default  blue    [GENERATION]  [WRITTEN]  green 1

    No Envoy was named (--admin HOST:PORT): this is the file alone.
    "#);
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
