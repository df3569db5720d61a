use crate::{help::verbs, support::Stage};
use std::process::{Command, Stdio};

/// What bash offers for the last of these words.
fn offered(stage: &Stage, words: &str) -> Vec<String> {
    let script = r#"
        set -eu
        source ./completions.bash
        COMP_WORDS=($1 "${2-}") COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _cutover cutover "${2-}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let (before, last) = words.rsplit_once(' ').unwrap();
    let output = Command::new("bash")
        .args(["--norc", "--noprofile", "-c", script, "bash", before, last])
        .current_dir(stage.path("."))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words}");
    let replies = String::from_utf8(output.stdout).unwrap();
    replies.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_completes_verbs_and_colors_and_options() {
    let stage = Stage::new();
    let ran = stage.run(&["completions", "bash"]);
    assert_eq!(ran.code, Some(0));
    stage.write("completions.bash", &ran.stdout);
    assert_eq!(offered(&stage, "cutover roll"), ["rollback"]);
    assert_eq!(offered(&stage, "cutover flip g"), ["green"]);
    assert_eq!(
        offered(&stage, "cutover flip --expect"),
        ["--expect-generation"]
    );
    assert_eq!(offered(&stage, "cutover flip p"), [""; 0]);
    let all = offered(&stage, "cutover ");
    for verb in verbs() {
        assert!(all.contains(&verb), "{verb} is missing in {all:?}");
    }
}

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = Stage::new().run(&["completions", shell]);
        assert_eq!(ran.code, Some(0), "{shell}");
        assert!(ran.stdout.contains("rollback"), "{shell}");
        assert_eq!(ran.stderr, "", "{shell}");
    }
    let ran = Stage::new().run(&["completions", "csh"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("possible values: bash, "),
        "{}",
        ran.stderr
    );
}
