//! Where the tests find Envoy and the module.

use std::path::{Path, PathBuf};

/// The Envoy of `CUTOVER_ENVOY`, or the one that `scripts/get-envoy` puts into the workspace.
pub(crate) fn envoy() -> PathBuf {
    let path = std::env::var_os("CUTOVER_ENVOY")
        .map_or_else(|| root().join(".tools/envoy-1.40.0/envoy"), PathBuf::from);
    assert!(
        path.is_file(),
        "{} is missing: scripts/get-envoy puts Envoy there, or CUTOVER_ENVOY names another one",
        path.display()
    );
    path
}

/// The module that `scripts/build` makes.
pub(crate) fn module() -> PathBuf {
    let path = root().join("target/cutover.wasm");
    assert!(
        path.is_file(),
        "{} is missing: scripts/build makes it",
        path.display()
    );
    path
}

#[cfg(test)]
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}
