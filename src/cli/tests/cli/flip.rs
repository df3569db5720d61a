use crate::{
    assert_run,
    support::{Server, Stage, ecds},
};
use cutover_control::FileTarget;
use serde_json::{Value, json};
use std::{fs, os::unix::fs::symlink};

fn blue() -> Value {
    json!({"active": "blue", "generation": 1, "blue": "a", "green": "b"})
}

fn stage() -> (Stage, Server) {
    let stage = Stage::with(&blue());
    let envoy = Server::following(&stage.path("cutover.json"));
    (stage, envoy)
}

#[test]
fn a_flip_is_done_when_every_envoy_shows_it() {
    let (stage, envoy) = stage();
    let second = Server::following(&stage.path("cutover.json"));
    assert_run!(stage.flip(&["flip", "--yes", "green", "--now"], &[&envoy, &second]), @"
    exit code: 0
    --- stdout
    done: default is green, 2 Envoys show generation [GENERATION] after [TIME] ms
    next: `cutover status` shows the Envoys; `cutover rollback` goes back to blue
    ");
    let after = stage.configuration();
    let generation = after["generation"].as_u64().unwrap();
    assert!(generation > 1_600_000_000_000);
    let previous = json!({"generation": 1, "active": "blue"});
    assert_eq!(
        after,
        json!({"active": "green", "generation": generation, "previous": previous, "blue": "a", "green": "b"})
    );
    assert!(
        stage
            .read("cutover.json")
            .contains(&format!("\"version_info\": \"{generation}\""))
    );
}

#[test]
fn a_rollback_goes_to_the_color_before() {
    let (stage, envoy) = stage();
    assert_eq!(
        stage.flip(&["flip", "--yes", "green"], &[&envoy]).code,
        Some(0)
    );
    assert_run!(stage.flip(&["rollback", "-o", "json"], &[&envoy]), @r#"
    exit code: 0
    --- stdout
    {
      "active": "blue",
      "before": {
        "active": "green",
        "generation": [GENERATION]
      },
      "confirmed": true,
      "exit_code": 0,
      "generation": [GENERATION],
      "milliseconds": "[TIME]",
      "next": "`cutover status` shows the Envoys; `cutover rollback` goes back to green",
      "service": "default",
      "shown": [
        "[ENVOY-1]"
      ],
      "warnings": [],
      "written": true
    }
    "#);
    assert_eq!(stage.configuration()["active"], "blue");
}

#[test]
fn a_flip_to_what_is_active_and_shown_writes_nothing() {
    let (stage, envoy) = stage();
    let before = stage.read("cutover.json");
    assert_run!(stage.flip(&["flip", "--yes", "blue"], &[&envoy]), @r#"
    exit code: 0
    --- stdout
    default is blue already: 1 Envoy shows generation 1
    next: nothing is to be done; cutover flip green switches to green
    "#);
    assert_eq!(stage.read("cutover.json"), before);
}

#[test]
fn a_flip_to_what_is_active_but_not_shown_is_pushed_again_and_the_way_back_stays() {
    let (stage, envoy) = stage();
    assert_eq!(
        stage.flip(&["flip", "--yes", "green"], &[&envoy]).code,
        Some(0)
    );
    let before = stage.configuration();
    let behind = Server::stuck(1, 1);
    let ran = stage.flip(
        &["flip", "--yes", "green", "--deadline", "50ms"],
        &[&envoy, &behind],
    );
    assert_run!(ran, @r#"
    exit code: 1
    --- stderr
    error: generation [GENERATION] (green) is written, but 1 of 2 Envoys does not show it: [ENVOY-2] shows generation 1 (blue)
    hint: does that Envoy watch the folder of this very file? `cutover status` shows more
    "#);
    let after = stage.configuration();
    assert!(after["generation"].as_u64() > before["generation"].as_u64());
    assert_eq!(after["previous"], before["previous"]);
}

#[test]
fn an_envoy_that_does_not_show_it_is_named_with_what_it_does() {
    let (stage, envoy) = stage();
    let behind = Server::stuck(1, 1);
    assert_run!(stage.flip(&["flip", "--yes", "green", "--now", "--deadline", "50ms"], &[&envoy, &behind]), @r#"
    exit code: 1
    --- stderr
    error: generation [GENERATION] (green) is written, but 1 of 2 Envoys does not show it: [ENVOY-2] shows generation 1 (blue)
    hint: does that Envoy watch the folder of this very file? `cutover status` shows more
    "#);
    let per_worker = Server::stuck(0, 1);
    assert_run!(stage.flip(&["flip", "--yes", "blue", "--deadline", "50ms"], &[&per_worker]), @r#"
    exit code: 1
    --- stderr
    error: generation [GENERATION] (blue) is written, but the Envoy does not show it: [ENVOY-1] shows blue per worker, without a generation
    hint: does that Envoy watch the folder of this very file? `cutover status` shows more
    "#);
    let unconfigured = "extension_config_discovery.http_filter.cutover.update_rejected: 0\n";
    let empty = Server::with(|_| unconfigured.to_owned());
    assert_run!(stage.flip(&["flip", "--yes", "green", "--deadline", "50ms", "-o", "json"], &[&empty]), @r#"
    exit code: 1
    --- stdout
    {
      "active": "green",
      "error": "generation [GENERATION] (green) is written, but the Envoy does not show it: [ENVOY-1] does not show the service at all",
      "exit_code": 1,
      "generation": [GENERATION],
      "hint": "does that Envoy watch the folder of this very file? `cutover status` shows more",
      "missing": [
        {
          "admin": "[ENVOY-1]",
          "why": "[ENVOY-1] does not show the service at all"
        }
      ],
      "next": "does that Envoy watch the folder of this very file? `cutover status` shows more",
      "service": "default",
      "shown": [],
      "warnings": [],
      "written": true
    }
    --- stderr
    error: generation [GENERATION] (green) is written, but the Envoy does not show it: [ENVOY-1] does not show the service at all
    hint: does that Envoy watch the folder of this very file? `cutover status` shows more
    "#);
}

#[test]
fn what_is_no_envoy_with_the_filter_stops_a_flip() {
    let (stage, _) = stage();
    let file = stage.path("cutover.json");
    let other = Server::with(|_| "cluster.shop.upstream_rq_total: 7\n".to_owned());
    let before = fs::read(&file).unwrap();
    assert_run!(stage.flip(&["flip", "--yes", "green"], &[&other]), @r#"
    exit code: 3
    --- stderr
    error: [ENVOY-1] does not answer like an Envoy admin interface: its /stats know no filter `cutover`
    hint: nothing was written; is Envoy up, and is that its admin address?
    "#);
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn an_envoy_that_refuses_is_told_before_the_deadline() {
    let (stage, _) = stage();
    let envoy = Server::refusing(1, 1);
    assert_run!(stage.flip(&["flip", "--yes", "green", "--deadline", "5m"], &[&envoy]), @r#"
    exit code: 1
    --- stderr
    error: generation [GENERATION] (green) is written, but the Envoy does not show it: [ENVOY-1] refused the configuration and stays at generation 1 (blue)
    hint: Envoy's log says why; once that is mended, `cutover flip green --force` pushes again
    "#);
}

#[test]
fn a_newer_generation_that_comes_in_between_supersedes_the_flip() {
    let (stage, _) = stage();
    let envoy = Server::with(|looks| {
        let generation = if looks == 0 {
            1
        } else {
            9_000_000_000_000_000_u64
        };
        format!(
            "wasmcustom.cutover.plugin.cutover.service.default.active: 1\n\
             wasmcustom.cutover.plugin.cutover.service.default.generation: {generation}\n"
        )
    });
    assert_run!(stage.flip(&["flip", "--yes", "green", "--deadline", "5m"], &[&envoy]), @r#"
    exit code: 1
    --- stderr
    error: generation [GENERATION] (green) is written, but the Envoy does not show it: superseded: [ENVOY-1] shows the newer generation 9000000000000000 (blue)
    hint: another flip came after this one; look with `cutover status`
    "#);
}

#[test]
fn an_envoy_that_is_silent_stops_a_flip_but_not_a_rollback() {
    let (stage, envoy) = stage();
    drop(envoy);
    let before = stage.read("cutover.json");
    // Nobody listens on a discard port of loopback here.
    let flip = [
        "flip",
        "--yes",
        "green",
        "--target",
        "cutover.json",
        "--admin",
        "127.0.0.1:9",
    ];
    assert_run!(stage.run(&flip), @r#"
    exit code: 3
    --- stderr
    error: no answer from 127.0.0.1:9: Connection refused (os error 111)
    hint: nothing was written; is Envoy up, and is that its admin address?
    "#);
    assert_eq!(stage.read("cutover.json"), before);
    let rollback = [
        "rollback",
        "--target",
        "cutover.json",
        "--admin",
        "127.0.0.1:9",
        "--deadline",
        "50ms",
    ];
    assert_run!(stage.run(&rollback), @r#"
    exit code: 1
    --- stderr
    error: generation [GENERATION] (green) is written, but the Envoy does not show it: no answer from 127.0.0.1:9: Connection refused (os error 111)
    hint: is that Envoy up? when it is back, `cutover flip green` makes sure
    "#);
    assert_eq!(stage.configuration()["active"], "green");
}

#[test]
fn another_writer_that_is_ahead_is_told() {
    let (stage, envoy) = stage();
    assert_run!(stage.flip(&["flip", "--yes", "green", "--expect-generation", "5"], &[&envoy]), @r#"
    exit code: 1
    --- stderr
    error: generation 5 was expected, but the file has generation 1 (blue)
    hint: nothing was written; look with `cutover status` at what the other one did
    "#);
    let ahead = Server::stuck(4, 2);
    assert_run!(stage.flip(&["flip", "--yes", "green", "--expect-generation", "1"], &[&ahead]), @r#"
    exit code: 1
    --- stderr
    error: generation 1 was expected, but Envoy [ENVOY-1] has generation 4 (green)
    hint: nothing was written; look with `cutover status` at what the other one did
    "#);
    assert_eq!(stage.configuration(), blue());
}

#[test]
fn a_target_that_cannot_be_flipped_is_refused_before_anything_is_written() {
    let (stage, envoy) = stage();
    let flip = |stage: &Stage, target: &str| {
        stage.run(&["flip", "--yes", "green", "--no-wait", "--target", target])
    };
    assert_run!(flip(&stage, "file:none.json"), @r#"
    exit code: 2
    --- stderr
    error: there is no file none.json
    hint: `cutover init` writes one; --target file:PATH names another
    "#);
    assert_run!(flip(&stage, "file:."), @r#"
    exit code: 2
    --- stderr
    error: . is not a regular file
    hint: name the ECDS file itself, such as file:envoy/cutover.json
    "#);
    assert_run!(flip(&stage, "k8s:shop/cutover"), @"
    exit code: 2
    --- stderr
    error: there is no kubeconfig: neither KUBECONFIG nor HOME is set
    hint: --kubeconfig PATH and --context NAME choose it, as in kubectl
    ");
    symlink("cutover.json", stage.path("link.json")).unwrap();
    assert_run!(flip(&stage, "file:link.json"), @r#"
    exit code: 2
    --- stderr
    error: link.json is a symbolic link to cutover.json, and only a regular file is changed
    hint: name the file that it points to; a file from a ConfigMap is changed in Kubernetes
    "#);
    stage.write(
        "half.json",
        &ecds(&blue()).chars().take(200).collect::<String>(),
    );
    assert_run!(flip(&stage, "file:half.json"), @r#"
    exit code: 2
    --- stderr
    error: half.json is not an ECDS file of Cutover: it is not valid JSON: EOF while parsing a string at line 8 column 23
    hint: `cutover lint PATH` checks a file; `cutover init` writes a good one
    "#);
    stage.write(
        "bad.json",
        &ecds(&json!({"active": "purple", "blue": "a", "green": "b"})),
    );
    assert_run!(flip(&stage, "file:bad.json"), @r#"
    exit code: 2
    --- stderr
    error: the filter would refuse the configuration: active: unknown variant `purple`, expected `blue` or `green`
    hint: nothing was written; `cutover lint PATH` checks the file
    "#);
    assert_run!(stage.run(&["flip", "--yes", "green"]), @"
    exit code: 2
    --- stderr
    error: no target was named
    hint: say --target file:PATH or k8s:NAMESPACE/NAME, or set CUTOVER_TARGET
    ");
    assert_run!(stage.run(&["flip", "--yes", "green", "--target", "cutover.json"]), @r#"
    exit code: 2
    --- stderr
    error: no Envoy was named, so nobody could say that it is done
    hint: say --admin HOST:PORT or set CUTOVER_ADMIN; --no-wait only writes
    "#);
    assert_run!(stage.run(&["flip", "--yes", "green", "--target", "cutover.json", "--admin", "here"]), @r#"
    exit code: 2
    --- stderr
    error: `here` is not an admin address: it has no port
    hint: an admin address is HOST:PORT, such as 127.0.0.1:9901
    "#);
    drop(envoy);
    assert_eq!(stage.configuration(), blue());
}

#[test]
fn a_closed_color_and_an_unknown_service_are_refused() {
    let mut closed = blue();
    closed["closed"] = json!(["green"]);
    let stage = Stage::with(&closed);
    let envoy = Server::following(&stage.path("cutover.json"));
    assert_run!(stage.flip(&["flip", "--yes", "green"], &[&envoy]), @r#"
    exit code: 2
    --- stderr
    error: green of service `default` is closed
    hint: nothing was written; take the color out of `closed` first
    "#);
    assert_run!(stage.flip(&["flip", "--yes", "green", "--service", "shop"], &[&envoy]), @r#"
    exit code: 2
    --- stderr
    error: there is no service `shop`; the configuration has `default`
    hint: name it with --service NAME
    "#);
    let service =
        |host: &str| json!({"hosts": [host], "active": "blue", "blue": "a", "green": "b"});
    let stage = Stage::with(
        &json!({"services": {"blog": service("b.example"), "shop": service("s.example")}}),
    );
    assert_run!(stage.flip(&["flip", "--yes", "green", "--no-wait"], &[]), @r#"
    exit code: 2
    --- stderr
    error: the configuration has several services, `blog`, `shop`: name one
    hint: name it with --service NAME
    "#);
    assert_run!(stage.flip(&["flip", "--yes", "green", "--no-wait", "-s", "shop"], &[]), @r#"
    exit code: 0
    --- stdout
    written, not confirmed: shop is green in the file, generation [GENERATION]; no Envoy was asked
    next: cutover wait --generation [GENERATION] --admin HOST:PORT says when it has landed
    "#);
    assert_eq!(
        stage.configuration()["services"]["blog"],
        service("b.example")
    );
}

#[test]
fn a_lock_that_is_held_is_refused_in_words() {
    let (stage, envoy) = stage();
    let held = FileTarget::new(stage.path("cutover.json")).lock().unwrap();
    assert_run!(stage.flip(&["flip", "--yes", "green"], &[&envoy]), @r#"
    exit code: 1
    --- stderr
    error: cutover.json is being changed by process [PID] of [USER]
    hint: nothing was written; look with `cutover status`, then try again
    "#);
    drop(held);
    assert_eq!(
        stage.flip(&["flip", "--yes", "green"], &[&envoy]).code,
        Some(0)
    );
}

#[test]
fn each_step_of_a_flip_is_an_event_and_the_result_is_the_last() {
    let (stage, envoy) = stage();
    let second = Server::following(&stage.path("cutover.json"));
    let ran = stage.flip(
        &["flip", "--yes", "green", "--now", "-o", "jsonl"],
        &[&envoy, &second],
    );
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["event"].clone();
    let events: Vec<_> = ran.stdout.lines().map(line).collect();
    assert_eq!(events, ["written", "shown", "shown", "result"], "{ran}");
    let (stage, _) = self::stage();
    let stuck = Server::stuck(1, 1);
    let flip = [
        "flip",
        "--yes",
        "green",
        "-o",
        "jsonl",
        "--deadline",
        "50ms",
    ];
    let ran = stage.flip(&flip, &[&stuck]);
    let events: Vec<_> = ran.stdout.lines().map(line).collect();
    assert_eq!(events, ["written", "result"], "{ran}");
}
