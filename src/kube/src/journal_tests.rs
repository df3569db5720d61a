use super::*;

fn plugin(name: &str) -> Plugin {
    let object = json!({
        "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
        "metadata": {"name": name, "namespace": "shop", "uid": "0123456789ab"},
    });
    Plugin::from_object(object).unwrap()
}

#[test]
fn a_line_comes_behind_the_others() {
    assert_eq!(appended("", "one"), "one\n");
    assert_eq!(appended("one\ntwo\n", "three"), "one\ntwo\nthree\n");
    // An editor may have taken the last line end away.
    assert_eq!(appended("one\ntwo", "three"), "one\ntwo\nthree\n");
}

#[test]
fn the_newest_two_hundred_are_kept() {
    let mut text = String::new();
    for number in 0..300 {
        text = appended(&text, &number.to_string());
    }
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[199]), (200, "100", "299"));
}

#[test]
fn no_more_bytes_are_kept_than_a_map_can_take() {
    let line = "x".repeat(10_000);
    let mut text = String::new();
    for _ in 0..40 {
        text = appended(&text, &line);
    }
    assert!(text.len() <= MOST_BYTES);
    assert_eq!(text.lines().count(), MOST_BYTES / 10_001);
}

#[test]
fn the_map_is_named_after_the_plugin() {
    assert_eq!(name(&plugin("web.v1")), "web.v1.cutover-journal");
    let longest = name(&plugin(&"n".repeat(253)));
    assert!(
        longest.len() <= 253 && longest.ends_with("n-01234567.cutover-journal"),
        "{longest}"
    );
}
