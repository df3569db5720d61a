//! docs/troubleshooting.md: each heading is a message of the tool, and each message has a heading.

#![expect(clippy::unwrap_used, reason = "a test that cannot be made has to stop")]

use std::{fs, path::Path};

/// A text between quotes in a source: `{…}` is `…`.
struct Literal {
    text: String,
    /// It becomes the message of a failure.
    is_message: bool,
}

/// What stands before a literal that becomes a message.
const BEFORE_MESSAGES: [&str; 6] = [
    "Failure::usage(",
    "Failure::environment(",
    "Failure::failed(",
    "let message =",
    "#[error(",
    "Failure::new(Exit::",
];

/// All texts of the Rust sources under a folder, those of unit tests left out.
fn literals(folder: &Path) -> Vec<Literal> {
    let mut all = vec![];
    for path in cutover_tests::rust_sources(folder) {
        let source = fs::read_to_string(&path).unwrap();
        let mut found = in_source(source.split("#[cfg(test)]").next().unwrap());
        if path.to_string_lossy().ends_with("_tests.rs") {
            // What a test is about to compare is no message.
            for one in &mut found {
                one.is_message = false;
            }
        }
        all.append(&mut found);
    }
    all
}

fn in_source(source: &str) -> Vec<Literal> {
    let mut all = vec![];
    let mut rest = source.replace("'\"'", "' '");
    let mut code = String::new();
    while let Some(at) = rest.find('"') {
        let before = rest.get(..at).unwrap();
        let comment = before
            .rsplit('\n')
            .next()
            .is_some_and(|line| line.contains("//"));
        if comment {
            // Quotes in a comment come to nothing: go on at its end.
            let end = rest
                .get(at..)
                .unwrap()
                .find('\n')
                .map_or(rest.len(), |end| at + end);
            rest = rest.get(end..).unwrap().to_owned();
            continue;
        }
        code.push_str(before);
        let hashes = before.len() - before.trim_end_matches('#').len();
        let raw = before.trim_end_matches('#').ends_with('r');
        let body = rest.get(at + 1..).unwrap();
        let (text, end) = if raw {
            let close = format!("\"{}", "#".repeat(hashes));
            let end = body.find(&close).unwrap();
            (body.get(..end).unwrap().to_owned(), end + close.len())
        } else {
            unescaped(body)
        };
        all.push(Literal {
            text: template(&text),
            is_message: is_message(&code),
        });
        code.push_str("\"\"");
        rest = body.get(end..).unwrap().to_owned();
    }
    all
}

fn is_message(code: &str) -> bool {
    let code = code.trim_end();
    let code = code.strip_suffix("format!(").unwrap_or(code).trim_end();
    // `Failure::new(Exit::Failed, …`
    let exit = |word: &str| {
        let kind = code
            .strip_suffix(',')
            .and_then(|code| code.rsplit_once("Exit::"));
        kind.is_some_and(|(before, kind)| {
            before.trim_end().ends_with(word) && kind.chars().all(char::is_alphanumeric)
        })
    };
    BEFORE_MESSAGES.iter().any(|before| {
        before
            .strip_suffix("Exit::")
            .map_or_else(|| code.ends_with(before), exit)
    })
}

/// A text up to its closing quote, and how long it is in the source.
fn unescaped(body: &str) -> (String, usize) {
    let mut text = String::new();
    let mut chars = body.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (text, at + 1),
            '\\' => match chars.next().map(|(_, escaped)| escaped) {
                Some('\n') => while chars.next_if(|(_, c)| c.is_whitespace()).is_some() {},
                Some('n') => text.push('\n'),
                Some(escaped) => text.push(escaped),
                None => {}
            },
            char => text.push(char),
        }
    }
    (text, body.len())
}

/// A format string with `…` for what is filled in, up to its first line feed.
fn template(text: &str) -> String {
    let text = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let mut parts = text.split('{');
    let mut template = parts.next().unwrap().to_owned();
    for part in parts {
        template += "…";
        template += part.split_once('}').map_or("", |(_, after)| after);
    }
    let template = template.replace('\u{1}', "{").replace('\u{2}', "}");
    let template = template.split('\n').next().unwrap().replace("……", "…");
    template.trim().to_owned()
}

/// True when `…` of a heading can stand for what is in a text, which may go on before and after it.
fn is_in(heading: &str, text: &str) -> bool {
    let mut rest = text;
    heading.split('…').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

fn sources(crates: &[&str]) -> Vec<Literal> {
    let folder = |name: &&str| cutover_tests::root().join("src").join(name).join("src");
    crates
        .iter()
        .map(folder)
        .flat_map(|folder| literals(&folder))
        .collect()
}

fn headings() -> Vec<String> {
    let page = cutover_tests::root().join("docs/troubleshooting.md");
    let page = fs::read_to_string(page).unwrap();
    page.lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(str::to_owned)
        .collect()
}

/// All lines of the files under a folder.
fn lines(folder: &Path) -> Vec<String> {
    let mut all = vec![];
    for path in cutover_tests::files_below(folder) {
        if let Ok(text) = fs::read_to_string(&path) {
            all.extend(text.lines().map(str::to_owned));
        }
    }
    all
}

/// The messages in the snapshots of the tool's tests.
fn shown() -> Vec<String> {
    let lines = lines(&cutover_tests::root().join("src/cli/tests"));
    let shown = lines
        .iter()
        .filter_map(|line| line.trim().strip_prefix("error: "));
    shown.map(str::to_owned).collect()
}

const CRATES: [&str; 8] = [
    "cli", "control", "kube", "harness", "checker", "history", "report", "core",
];

/// What is filled in makes the message; snapshots show how it reads then.
const TOO_GENERAL: [&str; 3] = ["… cannot be …: …", "…: …", "… …/…: …"];

/// Said by the parser of arguments.
const OF_OTHERS: [&str; 3] = [
    "invalid value",
    "unrecognized subcommand",
    "the following required",
];

#[test]
fn headings_of_troubleshooting_are_messages_of_the_tool() {
    let (headings, sources) = (headings(), sources(&CRATES));
    assert!(headings.len() > 30, "{headings:?}");
    assert!(sources.iter().filter(|literal| literal.is_message).count() > 50);
    let shown = shown();
    let unknown = headings.iter().filter(|heading| {
        let said = |literal: &Literal| is_in(heading, &literal.text);
        !sources.iter().any(said) && !shown.iter().any(|line| is_in(heading, line))
    });
    let unknown: Vec<_> = unknown.collect();
    assert!(unknown.is_empty(), "no source says:\n{unknown:#?}");
}

#[test]
fn a_heading_is_found_where_it_is_and_not_where_it_is_not() {
    assert!(is_in("no … at …", "there is no Envoy at none"));
    assert!(!is_in("no … at …", "there is no Envoy on none"));
    let source = r#"Failure::usage(format!("a {b} \
                     c")).hint("d") // "e
        Failure::new(Exit::Failed, "f{{}}"); g("h"); let message = format!("i\nj");"#;
    let literals = in_source(source);
    let seen: Vec<_> = literals
        .iter()
        .map(|l| (l.text.as_str(), l.is_message))
        .collect();
    let expected = [
        ("a … c", true),
        ("d", false),
        ("f{}", true),
        ("h", false),
        ("i", true),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn messages_of_the_tool_have_an_entry_in_troubleshooting() {
    let headings = headings();
    // What core says is part of a message: which field, and why.
    let crates: Vec<_> = CRATES.into_iter().filter(|name| *name != "core").collect();
    let sources = sources(&crates)
        .into_iter()
        .filter(|literal| literal.is_message);
    let messages = sources.map(|literal| literal.text).chain(shown());
    let mut missing: Vec<_> = messages
        .filter(|message| message.chars().filter(|c| c.is_alphabetic()).count() > 3)
        .filter(|message| !TOO_GENERAL.contains(&message.as_str()))
        .filter(|message| !OF_OTHERS.iter().any(|other| message.starts_with(other)))
        .filter(|message| !headings.iter().any(|heading| is_in(heading, message)))
        .collect();
    missing.sort();
    missing.dedup();
    assert!(
        missing.is_empty(),
        "docs/troubleshooting.md has no heading for:\n### {}",
        missing.join("\n### ")
    );
}
