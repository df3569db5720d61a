use crate::{assert_run, help::verbs, support::Stage};
use std::process::Command;

/// A page; groff, where there is one, has nothing to complain about in it.
fn page(stage: &Stage, name: &str) -> String {
    let groff = Command::new("groff")
        .args(["-man", "-k", "-Tutf8", "-ww", "-z", name])
        .current_dir(stage.path("."))
        .output();
    if let Ok(output) = groff {
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{name}");
    }
    stage.read(name).replace("\\-", "-")
}

#[test]
fn every_verb_has_a_page_with_its_options_and_exit_codes() {
    let stage = Stage::new();
    let ran = stage.run(&["man", "pages"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let verbs = verbs();
    for verb in &verbs {
        let page = page(&stage, &format!("pages/cutover-{verb}.1"));
        assert!(page.contains(&format!("cutover {verb}")), "{page}");
        let (_, codes) = page.split_once(".SH \"EXIT STATUS\"\n").unwrap();
        assert!(
            codes.starts_with(".TP\n0\n") && codes.contains(".TP\n2\n"),
            "{page}"
        );
        assert!(page.contains("EXAMPLES"), "{page}");
    }
    let page = page(&stage, "pages/cutover.1");
    for verb in &verbs {
        assert!(page.contains(&format!("cutover-{verb}(1)")), "{page}");
    }
    for code in ["0\nit holds", "1\nit is", "2\nbad use", "3\ninconclusive"] {
        assert!(page.contains(code), "{page}");
    }
    let pages = std::fs::read_dir(stage.path("pages")).unwrap().count();
    assert_eq!(pages, verbs.len() + 1);
    assert_eq!(stage.run(&["man"]).stdout, stage.read("pages/cutover.1"));
}

#[test]
fn a_dry_run_writes_no_page() {
    let stage = Stage::new();
    let ran = stage.run(&["man", "pages", "--dry-run"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("pages/cutover-flip.1\n"), "{ran}");
    assert!(!stage.path("pages").exists());
}

#[test]
fn a_folder_that_cannot_be_made_is_said() {
    let stage = Stage::new();
    stage.write("pages", "a file");
    assert_run!(stage.run(&["man", "pages"]), @"
    exit code: 3
    --- stderr
    error: pages cannot be written: File exists (os error 17)
    hint: name a folder that you may write to
    ");
}
