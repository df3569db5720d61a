use super::*;

fn plugin(name: &str) -> Plugin {
    let object = json!({
        "apiVersion": API_VERSION, "kind": "WasmPlugin",
        "metadata": {"name": name, "namespace": "shop", "uid": "u-1", "resourceVersion": "7"},
    });
    Plugin::from_object(object).unwrap()
}

fn note(text: &str) -> EventNote {
    EventNote {
        kind: EventKind::Warning,
        reason: "FlipUnconfirmed".to_owned(),
        note: text.to_owned(),
    }
}

#[test]
fn an_event_regards_the_plugin_and_no_other_of_its_name() {
    let now = "2026-11-21T10:00:00.5Z".parse().unwrap();
    let event = rendered(&plugin("web"), &note("19 of 20"), now);
    assert_eq!(event["regarding"]["uid"], "u-1");
    assert_eq!(event["metadata"]["namespace"], "shop");
    assert_eq!(event["eventTime"], "2026-11-21T10:00:00.500000Z");
    assert_eq!(
        (event["type"].as_str(), event["note"].as_str()),
        (Some("Warning"), Some("19 of 20"))
    );
}

#[test]
fn names_and_notes_are_cut_to_what_the_api_server_takes() {
    let now = "2026-11-21T10:00:00Z".parse().unwrap();
    let long = "ä".repeat(600);
    let event = rendered(&plugin(&"n".repeat(253)), &note(&long), now);
    assert!(event["metadata"]["name"].as_str().unwrap().len() <= 253);
    let cut = event["note"].as_str().unwrap();
    assert!(
        cut.len() <= LONGEST_NOTE && cut.ends_with("ä…"),
        "{}",
        cut.len()
    );
}
