use super::*;
use crate::{FileTarget, ResourceOptions, resource};
use serde_json::{Value, json};
use std::net::SocketAddr;

fn document(configuration: &Value) -> Document {
    let file = resource::render(&ResourceOptions {
        module: "cutover.wasm".into(),
        configuration: configuration.clone(),
        environment: vec![],
    });
    Document::parse(file.as_bytes()).unwrap()
}

fn blue() -> Value {
    json!({"active": "blue", "generation": 1, "blue": "a", "green": "b"})
}

/// What an Envoy shows that runs this file, with one healthy endpoint in each cluster.
fn facts(document: &Document) -> Facts {
    let one = Endpoints {
        healthy: 1,
        unhealthy: vec![],
    };
    let version = document.version_info().map(str::to_owned);
    Facts {
        stats: Stats {
            version: version.clone(),
            ..Stats::default()
        },
        running: Some(Running {
            version,
            resource: document.resource().unwrap(),
        }),
        clusters: Some(["a", "b"].map(|name| (name.to_owned(), one.clone())).into()),
    }
}

fn refusals(document: &Document, facts: &Facts) -> Vec<String> {
    let plan = document.plan().unwrap();
    let proxy = SocketAddr::from(([127, 0, 0, 1], 9901));
    let proxy = &proxy.into();
    let refusals = at_envoy(proxy, document, &plan.services()[0], Color::Green, facts);
    refusals.iter().map(ToString::to_string).collect()
}

#[test]
fn an_envoy_that_runs_the_file_and_has_a_healthy_upstream_has_nothing_against_it() {
    let document = document(&blue());
    assert!(refusals(&document, &facts(&document)).is_empty());
    // What was given nothing runs nothing that could change.
    let fresh = Facts {
        running: None,
        ..facts(&document)
    };
    assert!(refusals(&document, &fresh).is_empty());
}

#[test]
fn a_cluster_that_is_missing_empty_or_sick_is_told() {
    let document = document(&blue());
    let mut facts = facts(&document);
    facts
        .clusters
        .as_mut()
        .unwrap()
        .insert("b".to_owned(), Endpoints::default());
    assert_eq!(
        refusals(&document, &facts),
        ["127.0.0.1:9901 has nowhere to send green: cluster `b` has no endpoint"]
    );
    let sick = Endpoints {
        healthy: 0,
        unhealthy: vec!["10.0.0.1:80 fails its health check".to_owned()],
    };
    facts
        .clusters
        .as_mut()
        .unwrap()
        .insert("b".to_owned(), sick);
    assert_eq!(
        refusals(&document, &facts),
        [
            "127.0.0.1:9901 has nowhere to send green: cluster `b` has 0 of 1 endpoint healthy (10.0.0.1:80 fails its health check)"
        ]
    );
    facts.clusters.as_mut().unwrap().remove("b");
    assert_eq!(
        refusals(&document, &facts),
        ["127.0.0.1:9901 has no cluster `b`, the route of green"]
    );
}

#[test]
fn a_route_that_is_a_header_is_not_looked_for_among_the_clusters() {
    let mut configuration = blue();
    configuration["blue"] = json!({"header": "v1"});
    configuration["green"] = json!({"header": "v2"});
    let document = document(&configuration);
    let facts = Facts {
        clusters: Some(BTreeMap::new()),
        ..facts(&document)
    };
    assert!(refusals(&document, &facts).is_empty());
}

#[test]
fn a_file_that_would_change_more_than_the_switch_is_told() {
    let facts = facts(&document(&blue()));
    let mut other = blue();
    other["blue"] = "c".into();
    assert_eq!(
        refusals(&document(&other), &facts),
        ["more than the switch would change at 127.0.0.1:9901: configuration.blue"]
    );
}

#[test]
fn of_a_file_that_envoy_refused_nothing_is_concluded() {
    let document = document(&blue());
    let mut facts = facts(&document);
    facts.stats.version = None;
    let said = refusals(&document, &facts);
    assert_eq!(
        said,
        [
            "127.0.0.1:9901 refused its last file (1), or has not taken it yet, and runs an older one (without a version): whether more than the switch would change cannot be seen"
        ]
    );
}

#[test]
fn a_module_that_is_not_the_one_that_runs_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::from(FileTarget::new(folder.path().join("cutover.json")));
    let document = document(&blue());
    let facts = |version| Facts {
        stats: Stats {
            module: ModuleId::of_gauges(version, 7),
            version: document.version_info().map(str::to_owned),
            ..Stats::default()
        },
        ..facts(&document)
    };
    let (one, same, other, old) = (facts(1_000), facts(1_000), facts(2_000), facts(0));
    let said = |envoys: &[&Facts]| {
        let proxies = [9901, 9902].map(|port| SocketAddr::from(([127, 0, 0, 1], port)).into());
        let envoys: Vec<_> = proxies.iter().zip(envoys.iter().copied()).collect();
        let refusals = modules(&target, &document, &envoys);
        let words = refusals.iter().map(ToString::to_string);
        words
            .collect::<Vec<_>>()
            .join("\n")
            .replace(&folder.path().display().to_string(), "")
    };
    assert_eq!(said(&[&one, &same]), "");
    assert_eq!(
        said(&[&one, &other]),
        "the Envoys run different modules: 127.0.0.1:9901 runs 0.1.0 (000000000007), 127.0.0.1:9902 runs 0.2.0 (000000000007)"
    );
    let mut wasm = b"\0asm\x01\0\0\0\0".to_vec();
    let content = br#"{"version": "0.1.0", "build": "0000000000070000"}"#;
    let name = b"cutover.build";
    wasm.push(u8::try_from(1 + name.len() + content.len()).unwrap());
    wasm.push(u8::try_from(name.len()).unwrap());
    wasm.extend_from_slice(name);
    wasm.extend_from_slice(content);
    fs::write(folder.path().join("cutover.wasm"), wasm).unwrap();
    assert_eq!(said(&[&one, &same]), "");
    assert_eq!(
        said(&[&other]),
        "a push would change the module of 127.0.0.1:9901: it runs 0.2.0 (000000000007), /cutover.wasm is 0.1.0 (000000000007)"
    );
    assert_eq!(
        said(&[&old]),
        "a push would change the module of 127.0.0.1:9901: it runs one that does not show its build, /cutover.wasm is 0.1.0 (000000000007)"
    );
}
