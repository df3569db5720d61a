use crate::{help::verbs, support::Stage};
use std::fmt::Write as _;

const HEAD: &str = "\
# Commands

What `--help` says, of the tool and of each verb, at a width of 100 columns. Generated (`CUTOVER_UPDATE=1 cargo test --package
cutover`). `cutover man DIR` writes the same as manual pages, `cutover completions SHELL` makes a shell complete it.

| verb | what it does |
| --- | --- |
";

#[test]
fn the_command_reference_is_what_help_says() {
    let mut page = HEAD.to_owned();
    let mut sections = section("cutover", &["--help"]);
    for verb in verbs() {
        let help = Stage::new().run(&[verb.as_str(), "--help"]).stdout;
        let about = help.lines().next().unwrap();
        writeln!(page, "| [`{verb}`](#cutover-{verb}) | {about} |").unwrap();
        sections += &section(&format!("cutover {verb}"), &[&verb, "--help"]);
    }
    cutover_tests::assert_generated("docs/commands.md", &(page + &sections));
}

fn section(title: &str, arguments: &[&str]) -> String {
    let ran = Stage::new().run(arguments);
    assert_eq!(ran.code, Some(0), "{ran}");
    format!("\n## {title}\n\n```text\n{}\n```\n", ran.stdout.trim_end())
}
