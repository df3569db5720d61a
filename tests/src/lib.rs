//! Where the tests find things.

use std::path::PathBuf;

/// The top of the checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where builds go.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
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
