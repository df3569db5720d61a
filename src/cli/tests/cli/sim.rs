use crate::{assert_run, support::Stage};

/// The module that the tests are about; a tool that is built for tests carries none.
fn module() -> String {
    cutover_tests::module().display().to_string()
}

#[test]
fn a_fleet_is_flipped_in_each_way_and_the_seed_repeats_it() {
    let stage = Stage::new();
    let module = module();
    let small = [
        "sim",
        "--proxies",
        "20",
        "--requests",
        "2000",
        "--wasm",
        &module,
    ];
    let first = stage.run(&small);
    assert_eq!(first.code, Some(0), "{first}");
    for line in ["plain ", "scheduled ", "held "] {
        assert!(first.stdout.contains(line), "{first}");
    }
    assert_eq!(stage.run(&small).stdout, first.stdout);
    let json = stage.run(&[&small[..], &["-o", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let ways = json
        .get("ways")
        .and_then(serde_json::Value::as_array)
        .unwrap();
    let mixed: Vec<_> = ways
        .iter()
        .map(|way| way.get("mixed_ns").unwrap().as_u64().unwrap())
        .collect();
    let [plain, scheduled, held] = mixed.try_into().unwrap();
    assert!(
        plain > scheduled && scheduled > held && held == 0,
        "{json:#}"
    );
}

#[test]
fn the_report_of_a_simulation_is_judged_again_by_check() {
    let stage = Stage::new();
    let module = module();
    let arguments = [
        "sim",
        "--proxies",
        "3",
        "--requests",
        "300",
        "--report",
        "pictures",
        "--wasm",
        &module,
    ];
    assert_eq!(stage.run(&arguments).code, Some(0));
    let certificate = |way: &str| format!("pictures/{way}/certificate.json");
    assert_eq!(stage.run(&["check", &certificate("held")]).code, Some(0));
    assert_eq!(stage.run(&["check", &certificate("plain")]).code, Some(1));
    assert!(stage.path("pictures/held/report.html").is_file());
}

#[test]
fn a_search_tells_what_holds_and_what_does_not() {
    let stage = Stage::new();
    let ran = stage.run(&["sim", "--search", "12", "--wasm", &module()]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(
        ran.stdout
            .contains(" schedules within the assumptions hold"),
        "{ran}"
    );
    let broken = cutover_tests::broken_module("no-hold")
        .display()
        .to_string();
    let ran = stage.run(&["sim", "--search", "40", "--wasm", &broken]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stdout.contains("fails, within the assumptions"),
        "{ran}"
    );
    assert!(
        ran.stdout.contains("operator  pushes generation 2, green"),
        "{ran}"
    );
}

#[test]
fn a_fleet_that_was_never_tried_is_refused() {
    let stage = Stage::new();
    assert_run!(stage.run(&["sim", "--proxies", "100001", "--wasm", &module()]), @"
    exit code: 2
    --- stderr
    error: invalid value '100001' for '--proxies <N>': 100001 is not in 1..=100000

    For more information, try '--help'.
    ");
}

#[test]
fn an_instant_that_leaves_no_time_to_stage_is_refused() {
    let stage = Stage::new();
    assert_run!(stage.run(&["sim", "--at", "300ms", "--wasm", &module()]), @"
    exit code: 2
    --- stderr
    error: --at leaves no time to stage the switch: 520ms at least
    hint: all must have staged it before requests are held, with half a second to take it back
    ");
}
