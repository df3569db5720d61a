//! Documents that name tests and builds name those that there are.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be made has to stop, also in functions beside the tests"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Names of all tests in the Rust sources under a folder.
fn tests(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in cutover_tests::rust_sources(folder) {
        let text = fs::read_to_string(&path).unwrap();
        let attributes = text.split("#[").filter(|attribute| {
            attribute.starts_with("test]") || attribute.starts_with("tokio::test")
        });
        let functions = attributes.filter_map(|test| test.split_once("fn ")?.1.split_once('('));
        names.extend(functions.map(|(name, _)| name.to_owned()));
    }
    names
}

/// What stands in backticks on a page and looks like the name of a test: a fact, of several words.
fn named(page: &str) -> Vec<String> {
    let page = fs::read_to_string(cutover_tests::root().join(page)).unwrap();
    let is_word = |byte| byte == b'_' || u8::is_ascii_lowercase(&byte) || byte.is_ascii_digit();
    page.split('`')
        .skip(1)
        .step_by(2)
        .filter(|text| text.matches('_').count() >= 3 && text.bytes().all(is_word))
        .filter(|text| !text.starts_with("proxy_on_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn guarantees_name_tests_that_exist() {
    let mut tests: BTreeSet<_> = tests(&cutover_tests::root().join("src"));
    tests.append(&mut self::tests(&cutover_tests::root().join("tests")));
    assert!(tests.contains("guarantees_name_tests_that_exist"));
    let named = named("docs/guarantees.md");
    assert!(named.len() >= 10, "{named:?}");
    for name in named {
        assert!(tests.contains(&name), "there is no test {name}");
    }
}

#[test]
fn guarantees_name_every_broken_build() {
    let page = cutover_tests::root().join("docs/guarantees.md");
    let page = fs::read_to_string(page).unwrap();
    let mut builds = 0;
    for manifest in ["src/filter/Cargo.toml", "src/cli/Cargo.toml"] {
        let manifest = fs::read_to_string(cutover_tests::root().join(manifest)).unwrap();
        let features = manifest
            .lines()
            .filter_map(|line| line.strip_prefix("broken-"));
        for feature in features {
            let (name, _) = feature.split_once(" = ").unwrap();
            assert!(page.contains(&format!("`{name}`")), "{name} is missing");
            builds += 1;
        }
    }
    assert_eq!(builds, 10);
}

/// What stands between ```` ```json ```` and ```` ``` ```` on a page.
fn json_blocks(page: &str) -> Vec<String> {
    let page = fs::read_to_string(cutover_tests::root().join(page)).unwrap();
    page.split("```json\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn configurations_in_the_docs_are_accepted_by_the_filter() {
    for (page, blocks) in [("README.md", 1), ("docs/configuration.md", 3)] {
        let found = json_blocks(page);
        assert_eq!(found.len(), blocks, "{page}");
        for block in found {
            let accepted = cutover_core::Plan::parse(block.as_bytes());
            assert!(
                accepted.is_ok(),
                "{page}: {}\n{block}",
                accepted.unwrap_err()
            );
        }
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = cutover_tests::root();
    let pages = ["README.md", "CONTRIBUTING.md"].map(|page| root.join(page));
    let docs = fs::read_dir(root.join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    for page in pages.into_iter().chain(docs) {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let (link, _) = link.split_once(')').unwrap();
            let target = link.split('#').next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                let there = page.parent().unwrap().join(target).exists();
                assert!(there, "{}: {link} leads nowhere", page.display());
            }
        }
    }
}

/// All keys of a JSON value, those of objects in objects too.
fn keys(value: &serde_json::Value, into: &mut BTreeSet<String>) {
    for (key, member) in value.as_object().into_iter().flatten() {
        into.insert(key.clone());
        keys(member, into);
    }
    for member in value.as_array().into_iter().flatten() {
        keys(member, into);
    }
}

#[test]
fn the_page_on_certificates_names_every_field_and_every_rule() {
    use cutover_checker::{Certificate, Rule};
    let page = |name: &str| fs::read_to_string(cutover_tests::root().join(name)).unwrap();
    let history = page("docs/history.md");
    let example = history.split("```jsonl\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let reader = cutover_history::Reader::new(example.as_bytes()).unwrap();
    let certificate = Certificate::of("history.jsonl", reader).unwrap();
    let mut fields = BTreeSet::new();
    keys(&serde_json::to_value(certificate).unwrap(), &mut fields);
    assert!(fields.contains("rate_at_most_ppb") && fields.contains("p999_ns"));

    let page = page("docs/certificate.md");
    let in_backticks = page.split('`').skip(1).step_by(2);
    let words =
        in_backticks.flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_'));
    let named: BTreeSet<_> = words.collect();
    for field in &fields {
        assert!(named.contains(field.as_str()), "{field} is missing");
    }
    for rule in Rule::ALL {
        assert!(page.contains(rule.sentence()), "{}", rule.sentence());
    }
}

#[test]
fn the_index_of_the_docs_names_every_page() {
    let root = cutover_tests::root();
    let index = fs::read_to_string(root.join("docs/README.md")).unwrap();
    for entry in fs::read_dir(root.join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_page = Path::new(&name).extension().is_some_and(|ext| ext == "md");
        let named = name == "README.md" || index.contains(&format!("({name})"));
        assert!(!is_page || named, "docs/README.md does not name {name}");
    }
}
