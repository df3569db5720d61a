use super::*;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use tempfile::TempDir;

fn target(content: &str) -> (TempDir, FileTarget) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cutover.json");
    fs::write(&path, content).unwrap();
    (folder, FileTarget::new(path))
}

#[test]
fn a_replaced_file_keeps_its_mode_and_leaves_no_other_file() {
    let (folder, target) = target("old");
    fs::set_permissions(target.path(), fs::Permissions::from_mode(0o640)).unwrap();
    target.replace(b"new").unwrap();
    assert_eq!(fs::read(target.path()).unwrap(), b"new");
    assert_eq!(fs::metadata(target.path()).unwrap().mode() & 0o7777, 0o640);
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["cutover.json", "cutover.json.lock"]);
}

#[test]
fn what_a_killed_writer_left_is_overwritten() {
    let (folder, target) = target("old");
    fs::write(folder.path().join(".cutover.json.tmp"), "half").unwrap();
    target.replace(b"new").unwrap();
    assert_eq!(fs::read(target.path()).unwrap(), b"new");
    assert!(!folder.path().join(".cutover.json.tmp").exists());
}

#[test]
fn a_lock_that_is_held_is_refused_in_words_and_freed_on_drop() {
    let (_folder, target) = target("old");
    let held = target.lock().unwrap();
    let refused = target.replace(b"new").unwrap_err().to_string();
    let holder = format!("is being changed by {}", Author::this_process());
    assert!(refused.ends_with(&holder), "{refused}");
    assert_eq!(fs::read(target.path()).unwrap(), b"old");
    drop(held);
    target.replace(b"new").unwrap();
}

#[test]
fn a_symbolic_link_is_read_but_never_replaced() {
    let (folder, target) = target("old");
    let link = folder.path().join("link.json");
    symlink("cutover.json", &link).unwrap();
    let linked = FileTarget::new(&link);
    assert_eq!(linked.read_bytes().unwrap(), b"old");
    assert!(matches!(
        linked.replace(b"new"),
        Err(TargetError::SymbolicLink { .. })
    ));
    assert!(link.is_symlink());
    assert_eq!(target.read_bytes().unwrap(), b"old");
}

#[test]
fn a_missing_file_and_a_folder_are_told_apart() {
    let (folder, _target) = target("old");
    let missing = FileTarget::new(folder.path().join("none.json"));
    assert!(matches!(missing.read(), Err(TargetError::Missing(_))));
    assert!(matches!(missing.replace(b""), Err(TargetError::Missing(_))));
    let folder = FileTarget::new(folder.path());
    assert!(matches!(folder.read(), Err(TargetError::NotAFile(_))));
    assert!(matches!(folder.replace(b""), Err(TargetError::NotAFile(_))));
}
