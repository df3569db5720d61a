//! Where the tests find things.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The top of the checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where builds go: `CARGO_TARGET_DIR`, relative to the checkout, or `target`.
pub fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// All files under a folder, however deep.
///
/// # Panics
///
/// When a folder cannot be read: a test that saw only a part would show nothing.
#[expect(clippy::unwrap_used, reason = "only tests call it")]
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files_below(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// The Rust sources under a folder.
pub fn rust_sources(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    files_below(folder).into_iter().filter(is_rust)
}

/// The files of the checkout, committed or to be, from its top: all, or those like a pattern of Git's.
///
/// # Errors
///
/// When Git cannot be asked.
pub fn checked_out(patterns: &[&str]) -> io::Result<Vec<String>> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .args(patterns)
        .current_dir(root())
        .output()?;
    let names = String::from_utf8_lossy(&listed.stdout);
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

/// Copies the checkout, committed or to be, into a folder. By another process: a script that this one has open for writing, and
/// another thread's child with it, could not be run.
///
/// # Errors
///
/// When Git cannot be asked, or a file not be copied.
pub fn copy_checkout(to: &Path) -> io::Result<()> {
    let is_kept = |name: &String| root().join(name).is_file() && !name.starts_with(".tools");
    let names = checked_out(&[])?.into_iter().filter(is_kept);
    copy(names, &root(), to)
}

/// Copies files with their folders, named from a folder, into another one.
///
/// # Errors
///
/// When one of them cannot be copied.
pub fn copy(
    names: impl IntoIterator<Item = impl AsRef<OsStr>>,
    from: &Path,
    to: &Path,
) -> io::Result<()> {
    let mut cp = Command::new("cp");
    cp.arg("--parents").arg("--").args(names).arg(to);
    let copied = cp.current_dir(from).output()?;
    if copied.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&copied.stderr)))
}

/// The module under test, made by `scripts/build`.
///
/// # Panics
///
/// When it has not been made: a test that runs without it would show nothing.
pub fn module() -> PathBuf {
    made("cutover.wasm")
}

/// The module with one fault built in, made by `scripts/build broken`.
///
/// # Panics
///
/// When it has not been made.
pub fn broken_module(fault: &str) -> PathBuf {
    made(&format!("broken/{fault}.wasm"))
}

/// The tool that says done when it has written, made by `scripts/build broken`.
///
/// # Panics
///
/// When it has not been made.
pub fn tool_that_reports_at_write() -> PathBuf {
    made("broken/cutover-reports-at-write")
}

/// The Envoy under test: `CUTOVER_ENVOY`, or the one that `scripts/get-envoy` puts into the checkout.
///
/// # Panics
///
/// When there is none.
pub fn envoy() -> PathBuf {
    let path = std::env::var_os("CUTOVER_ENVOY")
        .map_or_else(|| root().join(".tools/envoy-1.40.0/envoy"), PathBuf::from);
    assert!(
        path.is_file(),
        "{} is missing: run scripts/get-envoy",
        path.display()
    );
    path
}

/// The library that makes the clock of one process wrong, built by `scripts/get-clock`.
///
/// # Panics
///
/// When it cannot be built.
#[expect(clippy::panic, reason = "only tests call it")]
pub fn clock_library() -> PathBuf {
    let script = root().join("scripts/get-clock");
    let output = Command::new(script)
        .env("CARGO_TARGET_DIR", target())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
        }
        failed => panic!("scripts/get-clock: {failed:?}"),
    }
}

fn made(name: &str) -> PathBuf {
    let path = target().join(name);
    assert!(
        path.is_file(),
        "{} is missing: run scripts/build, or scripts/build broken",
        path.display()
    );
    path
}

/// Holds a committed file equal to what was generated; with `CUTOVER_UPDATE` set it is written instead.
///
/// # Panics
///
/// When it is another, and when it cannot be written.
#[track_caller]
pub fn assert_generated(name: &str, generated: &str) {
    let (path, generated) = (root().join(name), generated.trim_end().to_owned() + "\n");
    if std::env::var_os("CUTOVER_UPDATE").is_some() {
        let written = fs::write(&path, &generated);
        assert!(written.is_ok(), "{name} cannot be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "{name} is stale: run this test with CUTOVER_UPDATE=1"
    );
}
