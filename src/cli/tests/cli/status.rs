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

    ENVOY            ACTIVE  GENERATION     FILE    HEALTHY             ON BLUE  ON GREEN  DRIFT  REFUSED  IGNORED  VERSION  MODULE
    [ENVOY-1]  blue    [GENERATION]  agrees  blue 1/1 green 1/1  -        -         -      0        0        1.40.0   -
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
              "clock_steps": 0,
              "conflict": 0,
              "endpoints": {
                "blue": {
                  "healthy": 1,
                  "unhealthy": []
                },
                "green": {
                  "healthy": 1,
                  "unhealthy": []
                }
              },
              "generation": [GENERATION],
              "held": 0,
              "held_over": 0,
              "late": 0,
              "override_refused": 0,
              "override_used": 0,
              "service": "default",
              "staged": null,
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
          "activate_at": null,
          "active": "blue",
          "generation": [GENERATION],
          "hold": null,
          "previous": {
            "active": "green",
            "generation": 1
          },
          "service": "default"
        }
      ],
      "staged": [],
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

    ENVOY            ACTIVE  GENERATION        FILE      HEALTHY             ON BLUE  ON GREEN  DRIFT  REFUSED  IGNORED  VERSION  MODULE
    [ENVOY-1]  green   1                 behind    blue 1/1 green 1/1  -        -         -      0        0        1.40.0   -
    [ENVOY-2]  green   9000000000000000  ahead     blue 1/1 green 1/1  -        -         -      0        0        1.40.0   -
    [ENVOY-3]  green   [GENERATION]     conflict  blue 1/1 green 1/1  -        -         -      0        0        1.40.0   -

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

    ENVOY            ACTIVE  GENERATION  FILE        HEALTHY             ON BLUE  ON GREEN  DRIFT  REFUSED  IGNORED  VERSION  MODULE
    [ENVOY-1]  blue    per worker  per worker  blue 1/1 green 1/1  -        -         -      0        0        1.40.0   -
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

    ENVOY            ACTIVE  GENERATION     FILE    HEALTHY             ON BLUE  ON GREEN  DRIFT  REFUSED  IGNORED  VERSION  MODULE
    [ADDRESS]  blue    [GENERATION]  agrees  blue 1/1 green 1/1  -        -         -      0        0        1.40.0   -
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
    next: name the Envoys with --admin HOST:PORT
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

/// One that runs the file, and has these clusters.
fn running(stage: &Stage, clusters: &'static [(&str, bool)]) -> Server {
    Server::running(&stage.read("cutover.json"), clusters, "")
}

#[test]
fn an_active_color_that_nobody_answers_for_is_told_with_the_way_out() {
    let stage = stage();
    let dead = running(&stage, &[("a", false), ("b", true)]);
    let ran = stage.flip(&["status"], &[&dead]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stdout.contains("  blue 0/1 green 1/1  "), "{ran}");
    let expected = "\
[ENVOY-1] has nowhere to send blue: cluster `a` has 0 of 1 endpoint healthy (127.0.0.1:80 fails its health check)
next: `cutover rollback` goes back to green, which is healthy; or start the application of blue again
";
    assert!(
        ran.stdout
            .ends_with(&format!("\nblue is active, but {expected}")),
        "{ran}"
    );
    let json = stage.flip(&["status", "-o", "json"], &[&dead]).json();
    let endpoints = &json["envoys"][0]["services"][0]["endpoints"];
    assert_eq!(endpoints["blue"]["healthy"], 0);
    assert_eq!(
        endpoints["blue"]["unhealthy"],
        json!(["127.0.0.1:80 fails its health check"])
    );
    assert_eq!(json["exit_code"], 1);
    assert!(
        json["wrong"][0]
            .as_str()
            .unwrap()
            .starts_with("blue is active, but ")
    );
    // Neither lives: a flip would not help.
    let both = running(&stage, &[("a", false), ("b", false)]);
    let ran = stage.flip(&["status"], &[&both]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let next =
        "next: start the application of blue, or that of green and then `cutover flip green`\n";
    assert!(ran.stdout.ends_with(next), "{ran}");
    // The color that gets no requests may be down.
    let idle = running(&stage, &[("a", true), ("b", false)]);
    let ran = stage.flip(&["status"], &[&idle]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("  blue 1/1 green 0/1  "), "{ran}");
    let next =
        "next: start the application of green, the next release say; then `cutover flip green`\n";
    assert!(ran.stdout.ends_with(next), "{ran}");
}

#[test]
fn without_a_way_back_a_flip_is_the_way_out() {
    let stage = Stage::with(&json!({"active": "blue", "generation": 1, "blue": "a", "green": "b"}));
    let dead = running(&stage, &[("b", true)]);
    let ran = stage.flip(&["status"], &[&dead]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let expected = "\
blue is active, but [ENVOY-1] has no cluster `a`, the route of blue
next: `cutover flip green` switches to green, which is healthy; or start the application of blue again
";
    assert!(ran.stdout.ends_with(expected), "{ran}");
}

#[test]
fn of_a_route_that_is_a_header_no_health_is_known() {
    let stage = Stage::with(&json!({
        "active": "blue", "generation": 1, "blue": {"header": "v1"}, "green": {"header": "v2"},
    }));
    let envoy = running(&stage, &[("v1", false)]);
    let ran = stage.flip(&["status", "-o", "json"], &[&envoy]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let endpoints = &ran.json()["envoys"][0]["services"][0]["endpoints"];
    assert_eq!(*endpoints, json!({"blue": null, "green": null}));
}
