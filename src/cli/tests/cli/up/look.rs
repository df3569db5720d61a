//! What `status` sees of an `up`.

use super::{
    drain::Events,
    stage::{Applications, Up, flip, in_another_shell},
};
use crate::support::Stage;
use serde_json::json;

#[test]
fn streams_are_counted_at_the_color_that_has_them_until_it_is_drained() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &[]);
    let stream = Events::open(up.listen, 1_000_000, 10);
    flip(&stage, "green");
    let status = in_another_shell(&stage, &["status", "-o", "json"]);
    assert_eq!(status.code, Some(0), "{status}");
    let json = status.json();
    let envoy = &json["envoys"][0];
    assert_eq!(
        envoy["services"][0]["streams"],
        json!({ "blue": 1, "green": 0 })
    );
    assert_eq!(envoy["drift"], json!([]));
    assert_eq!(envoy["module"], json["module"]);
    assert!(
        json["next"].as_str().unwrap().contains("--until drained"),
        "{status}"
    );
    let drained = [
        "status",
        "--until",
        "drained",
        "--every",
        "20ms",
        "--deadline",
    ];
    let waited = in_another_shell(&stage, &[&drained[..], &["100ms"]].concat());
    assert_eq!(waited.code, Some(1), "{waited}");
    assert!(waited.stderr.contains(" has 1 stream on blue"), "{waited}");
    drop(stream);
    let waited = in_another_shell(&stage, &[&drained[..], &["1m"]].concat());
    assert_eq!(waited.code, Some(0), "{waited}");
}

#[test]
fn an_up_that_is_gone_is_watched_for_and_found_again() {
    let (stage, applications) = (Stage::new(), Applications::start());
    let up = Up::start(&stage, &applications, &[]);
    let first = up.admin.to_string();
    assert!(
        in_another_shell(&stage, &["status"])
            .stdout
            .contains(&first)
    );
    assert_eq!(up.stop().status.code(), Some(0));
    let alone = in_another_shell(&stage, &["status"]);
    assert!(alone.stdout.contains("no `cutover up` runs on"), "{alone}");
    let settled = [
        "status",
        "--until",
        "settled",
        "--every",
        "20ms",
        "--deadline",
    ];
    let waited = in_another_shell(&stage, &[&settled[..], &["50ms"]].concat());
    assert_eq!(waited.code, Some(1), "{waited}");
    assert!(waited.stderr.contains("no Envoy can be asked"), "{waited}");
    let up = Up::start(&stage, &applications, &[]);
    let waited = in_another_shell(&stage, &[&settled[..], &["1m"]].concat());
    assert_eq!(waited.code, Some(0), "{waited}");
    assert!(waited.stdout.contains(&up.admin.to_string()), "{waited}");
}
