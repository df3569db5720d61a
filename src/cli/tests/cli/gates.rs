//! What stands in the way of a flip, one fault each; nothing of it stands in the way back.

use crate::{
    assert_run,
    support::{Server, Stage, ecds, until},
};
use serde_json::{Value, json};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

const GOOD: &[(&str, bool)] = &[("a", true), ("b", true)];
const FLIP: [&str; 6] = ["flip", "--yes", "green", "--now", "--deadline", "50ms"];

fn blue() -> Value {
    json!({"active": "blue", "generation": 1, "blue": "a", "green": "b"})
}

/// The gate refuses, and nothing is written; by force it is, and so is a way back.
#[track_caller]
fn passes_only_by_force(configuration: &Value, envoys: &[&Server]) {
    let stage = Stage::with(configuration);
    let before = stage.read("cutover.json");
    assert_eq!(stage.flip(&FLIP, envoys).code, Some(1));
    assert_eq!(stage.read("cutover.json"), before);
    assert!(!stage.path("cutover.json.journal").exists());
    // These Envoys stand still: written is all that it can be.
    let forced = stage.flip(&[FLIP.as_slice(), &["--force"]].concat(), envoys);
    assert!(
        forced.stderr.contains("(green) is written, but"),
        "{forced}"
    );
    let stage = Stage::with(configuration);
    let back = stage.flip(&["rollback", "--deadline", "50ms"], envoys);
    assert!(back.stderr.contains("(green) is written, but"), "{back}");
}

#[test]
fn an_envoy_that_runs_the_file_and_has_healthy_endpoints_lets_a_flip_pass() {
    let stage = Stage::with(&blue());
    let envoy = Server::running(&stage.read("cutover.json"), GOOD, "");
    let ran = stage.flip(&FLIP, &[&envoy]);
    assert!(ran.stderr.contains("(green) is written, but"), "{ran}");
}

#[test]
fn a_color_without_a_cluster_is_refused() {
    let stage = Stage::with(&blue());
    let envoy = Server::running(&ecds(&blue()), &[("a", true)], "");
    assert_run!(stage.flip(&FLIP, &[&envoy]), @r#"
    exit code: 1
    --- stderr
    error: [ENVOY-1] has no cluster `b`, the route of green
    hint: nothing was written; give that Envoy the cluster, or name the one that it has in the configuration; --force flips all the same
    "#);
    passes_only_by_force(&blue(), &[&envoy]);
}

#[test]
fn a_color_without_a_healthy_endpoint_is_refused() {
    let stage = Stage::with(&blue());
    let envoy = Server::running(&ecds(&blue()), &[("a", true), ("b", false)], "");
    assert_run!(stage.flip(&FLIP, &[&envoy]), @r#"
    exit code: 1
    --- stderr
    error: [ENVOY-1] has nowhere to send green: cluster `b` has 0 of 1 endpoint healthy (127.0.0.1:80 fails its health check)
    hint: nothing was written; start the application, and look at /clusters of that Envoy until it is healthy; --force flips all the same
    "#);
    passes_only_by_force(&blue(), &[&envoy]);
    // That of the color which is left does not matter.
    let envoy = Server::running(&ecds(&blue()), &[("a", false), ("b", true)], "");
    let ran = stage.flip(&FLIP, &[&envoy]);
    assert!(ran.stderr.contains("(green) is written, but"), "{ran}");
}

#[test]
fn a_route_that_is_a_header_says_nothing_of_clusters_and_passes() {
    let headers = json!({
        "active": "blue", "generation": 1, "blue": {"header": "v1"}, "green": {"header": "v2"},
    });
    let stage = Stage::with(&headers);
    let envoy = Server::running(&ecds(&headers), &[], "");
    let ran = stage.flip(&FLIP, &[&envoy]);
    assert!(ran.stderr.contains("(green) is written, but"), "{ran}");
}

#[test]
fn a_file_that_would_change_more_than_the_switch_is_refused() {
    let mut edited = blue();
    edited["green"] = "c".into();
    edited["hosts"] = json!(["shop.example"]);
    let stage = Stage::with(&edited);
    let own: &[_] = &[("a", true), ("c", true)];
    let envoy = Server::running(&ecds(&blue()), own, "");
    assert_run!(stage.flip(&[FLIP.as_slice(), &["-o", "json"]].concat(), &[&envoy]), @r#"
    exit code: 1
    --- stdout
    {
      "error": "more than the switch would change at [ENVOY-1]: configuration.green, configuration.hosts",
      "exit_code": 1,
      "hint": "nothing was written; push the file alone first: copy it beside itself and `mv` the copy over it; or take the change out of it; --force flips all the same",
      "next": "nothing was written; push the file alone first: copy it beside itself and `mv` the copy over it; or take the change out of it; --force flips all the same",
      "refusals": [
        {
          "kind": "drift",
          "message": "more than the switch would change at [ENVOY-1]: configuration.green, configuration.hosts"
        }
      ],
      "written": false
    }
    --- stderr
    error: more than the switch would change at [ENVOY-1]: configuration.green, configuration.hosts
    hint: nothing was written; push the file alone first: copy it beside itself and `mv` the copy over it; or take the change out of it; --force flips all the same
    "#);
    passes_only_by_force(&edited, &[&envoy]);
}

#[test]
fn a_file_that_would_switch_another_service_too_is_refused() {
    let service = |host: &str, active: &str, generation: u64| json!({"hosts": [host], "active": active, "generation": generation, "blue": "a", "green": "b"});
    let services =
        |blog: Value| json!({"services": {"blog": blog, "shop": service("s.example", "blue", 1)}});
    let runs = ecds(&services(service("b.example", "blue", 1)));
    let stage = Stage::with(&services(service("b.example", "green", 2)));
    let envoy = Server::running(&runs, GOOD, "");
    let flip = [FLIP.as_slice(), &["--service", "shop"]].concat();
    assert_run!(stage.flip(&flip, &[&envoy]), @r#"
    exit code: 1
    --- stderr
    error: other services would be switched too at [ENVOY-1]: blog
    hint: nothing was written; `cutover wait --service NAME` waits until that Envoy shows them; `cutover status` shows more; --force flips all the same
    "#);
    // The one that is to be switched may be behind: that is what a push again is for.
    let flip = [
        "flip",
        "--yes",
        "green",
        "--service",
        "blog",
        "--deadline",
        "50ms",
    ];
    let ran = stage.flip(&flip, &[&envoy]);
    assert!(ran.stderr.contains("(green) is written, but"), "{ran}");
}

#[test]
fn an_envoy_that_refused_its_last_file_is_told() {
    let stage = Stage::with(&blue());
    let older = "extension_config_discovery.http_filter.cutover.version_text: \"0\"\n";
    let envoy = Server::running(&ecds(&blue()), GOOD, older);
    assert_run!(stage.flip(&FLIP, &[&envoy]), @r#"
    exit code: 1
    --- stderr
    error: [ENVOY-1] refused its last file (1), or has not taken it yet, and runs an older one (0): whether more than the switch would change cannot be seen
    hint: nothing was written; try again in a second; if it stays, that Envoy's log says why: mend the file, copy it beside itself and `mv` the copy over it; --force flips all the same
    "#);
    passes_only_by_force(&blue(), &[&envoy]);
}

fn module(version: u64) -> String {
    let plugin = "wasmcustom.cutover.plugin.cutover";
    format!("{plugin}.module_version: {version}\n{plugin}.module_build: 29123456789\n")
}

#[test]
fn two_envoys_with_different_modules_are_refused() {
    let stage = Stage::with(&blue());
    let one = Server::running(&ecds(&blue()), GOOD, &module(1_000));
    let other = Server::running(&ecds(&blue()), GOOD, &module(2_000));
    assert_run!(stage.flip(&FLIP, &[&one, &other]), @r#"
    exit code: 1
    --- stderr
    error: the Envoys run different modules: [ENVOY-1] runs 0.1.0 (0006c7e4af15), [ENVOY-2] runs 0.2.0 (0006c7e4af15)
    hint: nothing was written; give all of them one module and restart those that run another; `cutover status` shows it; --force flips all the same
    "#);
    passes_only_by_force(&blue(), &[&one, &other]);
    let same = Server::running(&ecds(&blue()), GOOD, &module(1_000));
    let ran = stage.flip(&FLIP, &[&one, &same]);
    assert!(ran.stderr.contains("(green) is written, but"), "{ran}");
}

#[test]
fn what_several_envoys_have_against_it_is_told_of_each() {
    let stage = Stage::with(&blue());
    let one = Server::running(&ecds(&blue()), &[("a", true)], "");
    let other = Server::running(&ecds(&blue()), &[("a", true), ("b", false)], "");
    assert_run!(stage.flip(&FLIP, &[&one, &other]), @r#"
    exit code: 1
    --- stderr
    error: [ENVOY-1] has no cluster `b`, the route of green; [ENVOY-2] has nowhere to send green: cluster `b` has 0 of 1 endpoint healthy (127.0.0.1:80 fails its health check)
    hint: nothing was written; give that Envoy the cluster, or name the one that it has in the configuration; start the application, and look at /clusters of that Envoy until it is healthy; --force flips all the same
    "#);
}

#[test]
fn a_flip_that_waits_for_its_envoys_stands_in_the_way_of_the_next_but_not_of_a_way_back() {
    let stage = Stage::with(&blue());
    let file = stage.path("cutover.json");
    let released = Arc::new(AtomicBool::new(false));
    let follows = Arc::clone(&released);
    let envoy = Server::with(move |_| {
        let name = "wasmcustom.cutover.plugin.cutover.service.default";
        let (generation, active) = if follows.load(Ordering::Relaxed) {
            let bytes = fs::read(&file).unwrap();
            let document = cutover_control::Document::parse(&bytes).unwrap();
            let plan = document.plan().unwrap();
            let switch = plan.services()[0].switch();
            (switch.generation.unwrap().get(), switch.active.number())
        } else {
            (1, 1)
        };
        format!("{name}.active: {active}\n{name}.generation: {generation}\n")
    });
    let flip = [
        "flip",
        "--yes",
        "green",
        "--deadline",
        "1m",
        "--reason",
        "release 12",
    ];
    let first = stage.to_flip(&flip, &[&envoy]).spawn().unwrap();
    until("the first flip's write", || {
        stage.configuration()["active"] == "green"
    });
    assert_run!(stage.flip(&["flip", "--yes", "green"], &[&envoy]), @r#"
    exit code: 1
    --- stderr
    error: another flip is under way: default to green, generation [GENERATION] by process [PID] of [USER]
    hint: nothing was written; `cutover wait` waits until it is done, `cutover rollback` goes back at once; --force flips all the same
    "#);
    let written = stage.configuration()["generation"].clone();
    let back = stage
        .to_flip(&["rollback", "--deadline", "1m"], &[&envoy])
        .spawn()
        .unwrap();
    until("the way back", || stage.configuration()["active"] == "blue");
    assert!(stage.configuration()["generation"].as_u64() > written.as_u64());
    released.store(true, Ordering::Relaxed);
    let back = stage.ran(back.wait_with_output().unwrap());
    assert_eq!(back.code, Some(0), "{back}");
    assert_run!(stage.ran(first.wait_with_output().unwrap()).naming(&[&envoy]), @r#"
    exit code: 1
    --- stderr
    error: generation [GENERATION] (green) is written, but the Envoy does not show it: superseded: [ENVOY-1] shows the newer generation [GENERATION] (blue)
    hint: another flip came after this one; look with `cutover status`
    "#);
    // Both are over, and stand in nobody's way.
    let ran = stage.flip(&["flip", "--yes", "green"], &[&envoy]);
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn what_force_passes_over_is_listed_and_a_way_back_warns_of_a_dead_color() {
    let dead: &[_] = &[("a", true), ("b", false)];
    let nowhere = "[ENVOY-1] has nowhere to send green: cluster `b` has 0 of 1 endpoint healthy \
                   (127.0.0.1:80 fails its health check)";
    let mut edited = blue();
    edited["hosts"] = json!(["shop.example"]);
    let envoy = Server::running(&ecds(&blue()), dead, "");
    let force = [FLIP.as_slice(), &["--force"]].concat();
    let forced = Stage::with(&edited).flip(&force, &[&envoy]);
    let warned = format!(
        "warning: --force passes over this: {nowhere}\n\
         warning: --force passes over this: more than the switch would change at [ENVOY-1]: configuration.hosts\n"
    );
    assert!(forced.stderr.starts_with(&warned), "{forced}");
    let force = [force.as_slice(), &["-o", "json"]].concat();
    let forced = Stage::with(&edited).flip(&force, &[&envoy]).json();
    let expected = format!("--force passes over this: {nowhere}");
    assert_eq!(forced["warnings"][0], expected);
    let dry = [FLIP.as_slice(), &["--force", "--dry-run"]].concat();
    let dry = Stage::with(&edited).flip(&dry, &[&envoy]);
    assert!(dry.stdout.contains(&warned), "{dry}");
    assert!(dry.stdout.contains("\na flip would go through\n"), "{dry}");
    // A way back is not asked about drift, and goes on.
    let stage = Stage::with(&edited);
    let back = stage.flip(&["rollback", "--deadline", "50ms"], &[&envoy]);
    assert!(
        back.stderr
            .starts_with(&format!("warning: {nowhere}\nerror: ")),
        "{back}"
    );
    assert_eq!(stage.configuration()["active"], "green");
    // Where all is well there is nothing to warn of.
    let well = Server::running(&ecds(&blue()), GOOD, "");
    let back = Stage::with(&blue()).flip(&["rollback", "--deadline", "50ms"], &[&well]);
    assert!(!back.stderr.contains("warning"), "{back}");
}
