//! Where the tests find things.

use std::{fs, path::PathBuf};

/// The top of the checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where builds go: `CARGO_TARGET_DIR`, relative to the checkout, or `target`.
pub fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
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
