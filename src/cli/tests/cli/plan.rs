use crate::{
    assert_run,
    support::{Server, Stage, ecds},
};
use serde_json::{Value, json};

const GOOD: &[(&str, bool)] = &[("a", true), ("b", true)];

fn blue() -> Value {
    json!({"active": "blue", "generation": 1, "blue": "a", "green": "b"})
}

#[test]
fn a_plan_shows_the_switch_as_a_diff_and_what_each_envoy_shows() {
    let stage = Stage::with(&blue());
    let before = stage.read("cutover.json");
    let envoy = Server::running(&before, GOOD, "");
    assert_run!(stage.flip(&["plan"], &[&envoy]), @r#"
    exit code: 0
    --- stdout
    default: blue -> green
      - active: blue
      - generation: 1
      + active: green
      + generation: [GENERATION] or later
      + previous: blue, generation 1

    ENVOY            ACTIVE  GENERATION  ENDPOINTS OF GREEN
    [ENVOY-1]  blue    1           1 of 1 endpoint healthy
    a flip would go through
    next: cutover flip green
    "#);
    assert_run!(stage.flip(&["plan", "green", "-o", "json"], &[&envoy]), @r#"
    exit code: 0
    --- stdout
    {
      "exit_code": 0,
      "next": "cutover flip green",
      "services": [
        {
          "after": {
            "activate_at": null,
            "active": "green",
            "generation": [GENERATION],
            "hold": null,
            "previous": {
              "active": "blue",
              "generation": 1
            }
          },
          "before": {
            "activate_at": null,
            "active": "blue",
            "generation": 1,
            "hold": null,
            "previous": null
          },
          "envoys": [
            {
              "active": "blue",
              "admin": "[ENVOY-1]",
              "endpoints": {
                "healthy": 1,
                "unhealthy": []
              },
              "generation": 1
            }
          ],
          "obstacle": null,
          "service": "default",
          "to": "green",
          "warnings": []
        }
      ]
    }
    "#);
    assert_run!(stage.flip(&["plan", "blue"], &[&envoy]), @r#"
    exit code: 0
    --- stdout
    default is blue already

    ENVOY            ACTIVE  GENERATION  ENDPOINTS OF BLUE
    [ENVOY-1]  blue    1           1 of 1 endpoint healthy
    next: nothing is to be done
    "#);
    assert_eq!(stage.read("cutover.json"), before);
    assert!(!stage.path("cutover.json.journal").exists());
}

#[test]
fn a_plan_exits_as_the_flip_would() {
    let stage = Stage::with(&blue());
    let sick = Server::running(&ecds(&blue()), &[("a", true), ("b", false)], "");
    assert_run!(stage.flip(&["plan", "green"], &[&sick]), @r#"
    exit code: 1
    --- stdout
    default: blue -> green
      - active: blue
      - generation: 1
      + active: green
      + generation: [GENERATION] or later
      + previous: blue, generation 1

    ENVOY            ACTIVE  GENERATION  ENDPOINTS OF GREEN
    [ENVOY-1]  blue    1           0 of 1 endpoint healthy (127.0.0.1:80 fails its health check)
    a flip would fail: [ENVOY-1] has nowhere to send green: cluster `b` has 0 of 1 endpoint healthy (127.0.0.1:80 fails its health check)
    next: start the application, and look at /clusters of that Envoy until it is healthy; --force flips all the same
    "#);
    let mut closed = blue();
    closed["closed"] = json!(["green"]);
    assert_run!(Stage::with(&closed).flip(&["plan"], &[]), @r#"
    exit code: 2
    --- stdout
    default: blue -> green

    Nobody was asked: this is the file alone.
    a flip would fail: green of service `default` is closed
    next: take the color out of `closed` first
    "#);
    // The file alone says nothing against it; a flip that nobody can confirm is none all the same.
    let flip = stage.flip(&["flip", "green", "--yes"], &[]);
    assert_eq!(flip.code, Some(2), "{flip}");
    assert_run!(stage.flip(&["plan"], &[]), @r#"
    exit code: 2
    --- stdout
    default: blue -> green
      - active: blue
      - generation: 1
      + active: green
      + generation: [GENERATION] or later
      + previous: blue, generation 1

    Nobody was asked: this is the file alone.
    a flip would fail: no Envoy was named, so nobody could say that it is done
    next: say --admin HOST:PORT or set CUTOVER_ADMIN; --no-wait only writes
    "#);
    assert_run!(stage.run(&["plan", "-t", "cutover.json", "-a", "127.0.0.1:9"]), @r#"
    exit code: 3
    --- stdout
    default: blue -> green

    ENVOY        ACTIVE     GENERATION  ENDPOINTS OF GREEN
    127.0.0.1:9  no answer
    a flip would fail: no answer from 127.0.0.1:9: Connection refused (os error 111)
    next: is Envoy up, and is that its admin address?
    "#);
    // The way back is not asked.
    let back = stage.flip(&["rollback", "--dry-run"], &[&sick]);
    assert_run!(back, @r#"
    exit code: 0
    --- stdout
    default: blue -> green
      - active: blue
      - generation: 1
      + active: green
      + generation: [GENERATION] or later
      + previous: blue, generation 1

    ENVOY            ACTIVE  GENERATION  ENDPOINTS OF GREEN
    [ENVOY-1]  blue    1           0 of 1 endpoint healthy (127.0.0.1:80 fails its health check)
    warning: [ENVOY-1] has nowhere to send green: cluster `b` has 0 of 1 endpoint healthy (127.0.0.1:80 fails its health check)
    a rollback would go through
    next: cutover rollback
    "#);
}

#[test]
fn a_plan_without_a_service_is_one_of_all() {
    let service = |host: &str, active: &str| json!({"hosts": [host], "active": active, "generation": 1, "blue": "a", "green": "b"});
    let services = json!({"services": {"blog": service("b.example", "green"), "shop": service("s.example", "blue")}});
    let stage = Stage::with(&services);
    let envoy = Server::running(&ecds(&services), GOOD, "");
    assert_run!(stage.flip(&["plan"], &[&envoy]), @r#"
    exit code: 0
    --- stdout
    blog: green -> blue
      - active: green
      - generation: 1
      + active: blue
      + generation: [GENERATION] or later
      + previous: green, generation 1

    ENVOY            ACTIVE  GENERATION  ENDPOINTS OF BLUE
    [ENVOY-1]  green   1           1 of 1 endpoint healthy
    a flip would go through

    shop: blue -> green
      - active: blue
      - generation: 1
      + active: green
      + generation: [GENERATION] or later
      + previous: blue, generation 1

    ENVOY            ACTIVE  GENERATION  ENDPOINTS OF GREEN
    [ENVOY-1]  blue    1           1 of 1 endpoint healthy
    a flip would go through
    next: cutover flip blue --service blog
    "#);
    assert_run!(stage.flip(&["plan", "--service", "blog"], &[&envoy]), @r#"
    exit code: 0
    --- stdout
    blog: green -> blue
      - active: green
      - generation: 1
      + active: blue
      + generation: [GENERATION] or later
      + previous: green, generation 1

    ENVOY            ACTIVE  GENERATION  ENDPOINTS OF BLUE
    [ENVOY-1]  green   1           1 of 1 endpoint healthy
    a flip would go through
    next: cutover flip blue --service blog
    "#);
}

#[test]
fn the_step_after_a_dry_run_is_the_same_without_it() {
    let stage = Stage::with(&blue());
    let envoy = Server::following(&stage.path("cutover.json"));
    let dry = [
        "--dry-run",
        "--expect-generation",
        "1",
        "--reason",
        "it's 12",
    ];
    let said = r"--expect-generation 1 --reason 'it'\''s 12'";
    let ran = stage.flip(
        &[&["flip", "green", "--force"], &dry[..]].concat(),
        &[&envoy],
    );
    let next = r"cutover flip green --expect-generation 1 --force --reason 'it'\''s 12'";
    assert!(ran.stdout.ends_with(&format!("\nnext: {next}\n")), "{ran}");
    let ran = stage.flip(&[&["rollback"], &dry[..]].concat(), &[&envoy]);
    assert!(
        ran.stdout
            .ends_with(&format!("\nnext: cutover rollback {said}\n")),
        "{ran}"
    );
    let ran = stage.flip(&["flip", "green", "--dry-run", "--no-wait"], &[]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(
        ran.stdout
            .ends_with("\nnext: cutover flip green --no-wait\n"),
        "{ran}"
    );
}

#[test]
fn a_dry_run_writes_nothing_and_needs_no_yes() {
    let stage = Stage::with(&blue());
    let before = stage.read("cutover.json");
    let envoy = Server::following(&stage.path("cutover.json"));
    assert_run!(stage.flip(&["flip", "green", "--dry-run"], &[&envoy]), @r#"
    exit code: 0
    --- stdout
    default: blue -> green
      - active: blue
      - generation: 1
      + active: green
      + generation: [GENERATION] or later
      + previous: blue, generation 1

    ENVOY            ACTIVE  GENERATION  ENDPOINTS OF GREEN
    [ENVOY-1]  blue    1           1 of 1 endpoint healthy
    a flip would go through
    next: cutover flip green
    "#);
    assert_run!(stage.flip(&["flip", "green", "--dry-run", "--expect-generation", "7"], &[&envoy]), @r#"
    exit code: 1
    --- stdout
    default: blue -> green

    ENVOY            ACTIVE  GENERATION  ENDPOINTS OF GREEN
    [ENVOY-1]  blue    1           1 of 1 endpoint healthy
    a flip would fail: generation 7 was expected, but the file has generation 1 (blue)
    next: look with `cutover status` at what the other one did
    "#);
    assert_eq!(stage.read("cutover.json"), before);
}

#[test]
fn the_active_color_without_a_healthy_endpoint_is_no_good_end() {
    let stage = Stage::with(&blue());
    let before = stage.read("cutover.json");
    let dead = Server::running(&before, &[("a", false), ("b", true)], "");
    for verb in [&["plan", "blue"][..], &["flip", "blue", "--yes"]] {
        let ran = stage.flip(verb, &[&dead]);
        assert_eq!(ran.code, Some(1), "{ran}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            said.contains("[ENVOY-1] has nowhere to send blue: "),
            "{ran}"
        );
        assert!(!said.contains("nothing is to be done"), "{ran}");
    }
    let ran = stage.flip(&["flip", "blue", "--yes", "--force"], &[&dead]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(stage.read("cutover.json"), before);
}
