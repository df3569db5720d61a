//! Configurations, one file a case, its name the fault: what is accepted, and what is said.

#![expect(clippy::unwrap_used, reason = "a test's helper")]

use cutover_core::Plan;
use std::fmt::Write as _;
use std::{fs, path::PathBuf};

/// All files of a folder under `tests/configs`, by name.
fn cases(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = cutover_tests::root().join("tests/configs").join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no case in {}", folder.display());
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect()
}

#[test]
fn valid_configurations_are_accepted() {
    for (name, json) in cases("valid") {
        if let Err(invalid) = Plan::parse(&json) {
            panic!("{name}: {invalid}");
        }
    }
}

#[test]
fn invalid_configurations_are_refused_in_one_sentence_that_says_where() {
    let mut said = String::new();
    for (name, json) in cases("invalid") {
        match Plan::parse(&json) {
            Ok(_) => panic!("{name} was accepted"),
            Err(invalid) => writeln!(said, "{name}\n    {invalid}").unwrap(),
        }
    }
    insta::assert_snapshot!(said);
}

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let generated = serde_json::to_string_pretty(&cutover_core::schema::json_schema()).unwrap();
    cutover_tests::assert_generated("docs/config.schema.json", &generated);
}
