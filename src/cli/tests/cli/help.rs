use crate::{assert_run, support::Stage};

/// All verbs, as `--help` lists them.
pub(crate) fn verbs() -> Vec<String> {
    let help = Stage::new().run(&["--help"]).stdout;
    let listed = help
        .split_once("Commands:\n")
        .unwrap()
        .1
        .split_once("\n\n")
        .unwrap()
        .0;
    // A description that goes on in a second line stands far to the right.
    let verbs = listed
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_once(' '));
    let verbs = verbs.map(|(verb, _)| verb.to_owned());
    verbs
        .filter(|verb| !verb.is_empty() && verb != "help")
        .collect()
}

#[test]
fn every_verb_has_an_example_and_its_exit_codes() {
    let verbs = verbs();
    assert!(verbs.len() >= 8, "{verbs:?}");
    for verb in verbs {
        let ran = Stage::new().run(&[verb.as_str(), "--help"]);
        assert_eq!(ran.code, Some(0), "{verb}");
        assert!(
            ran.stdout.contains(&format!("Example:\n  cutover {verb}")),
            "{verb}"
        );
        assert!(ran.stdout.contains("Exit codes:"), "{verb}");
        assert!(ran.stderr.is_empty(), "{verb}");
    }
}

#[test]
fn a_misspelled_color_gets_a_suggestion() {
    assert_run!(Stage::new().run(&["flip", "gren"]), @r#"
    exit code: 2
    --- stderr
    error: invalid value 'gren' for '[COLOR]'
      [possible values: blue, green]

      tip: a similar value exists: 'green'

    For more information, try '--help'.
    "#);
}

#[test]
fn bad_use_is_json_too_when_asked_for() {
    assert_run!(Stage::new().run(&["flip", "purple", "-o", "json"]), @r#"
    exit code: 2
    --- stdout
    {
      "error": "invalid value 'purple' for '[COLOR]'",
      "exit_code": 2,
      "hint": "--help tells what can be said",
      "next": "--help tells what can be said"
    }
    --- stderr
    error: invalid value 'purple' for '[COLOR]'
      [possible values: blue, green]

    For more information, try '--help'.
    "#);
    assert_run!(Stage::new().run(&["-o=json", "launch"]), @r#"
    exit code: 2
    --- stdout
    {
      "error": "unrecognized subcommand 'launch'",
      "exit_code": 2,
      "hint": "--help tells what can be said",
      "next": "--help tells what can be said"
    }
    --- stderr
    error: unrecognized subcommand 'launch'

      tip: a similar subcommand exists: 'plan'

    Usage: cutover [OPTIONS] <COMMAND>

    For more information, try '--help'.
    "#);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = Stage::new()
        .command(&["lint", "-"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let configuration = br#"{"active": "blue", "blue": "a", "green": "b"}"#;
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), configuration).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn help_breaks_a_line_only_where_it_is_full_at_80_and_at_100_columns() {
    let stage = Stage::new();
    let help = |words: &[&str], width: usize| {
        let width = width.to_string();
        let ran = stage.run_with(&[words, &["--help"]].concat(), &[("COLUMNS", &width)]);
        let below = ran.stdout.split_once("\nExample:");
        let below = below.or_else(|| ran.stdout.split_once("\nExit codes:"));
        below.unwrap().1.to_owned()
    };
    let examples = |help: &str| help.trim().split("\n\n").next().unwrap().to_owned();
    let verbs = verbs();
    let commands = verbs.iter().map(|verb| vec![verb.as_str()]).chain([vec![]]);
    for command in commands {
        for width in [80, 100] {
            let help = help(&command, width);
            let lines: Vec<_> = help.lines().collect();
            for pair in lines.windows(2) {
                let [line, next] = pair else { continue };
                assert!(line.chars().count() <= width, "{command:?}: {line}");
                // A list has lines that are not full; each is indented.
                if next.starts_with(' ') || next.is_empty() || line.is_empty() {
                    continue;
                }
                let word = next.split(' ').next().unwrap().chars().count();
                let would_be = line.chars().count() + 1 + word;
                assert!(would_be > width, "{command:?} at {width}: {line}\n{next}");
            }
        }
        // Nobody copies half an example.
        assert_eq!(
            examples(&help(&command, 80)),
            examples(&help(&command, 100))
        );
    }
}
