//! Where the Envoy binary is.

use crate::failure::Failure;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Finds the Envoy to start: as it was named (`--envoy`, `CUTOVER_ENVOY`), else on the `PATH`, else
/// where `scripts/get-envoy` puts it in this checkout.
pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        return if path.is_file() {
            Ok(path.to_owned())
        } else {
            Err(
                Failure::environment(format!("there is no Envoy at {}", path.display()))
                    .hint("--envoy PATH or CUTOVER_ENVOY names its binary"),
            )
        };
    }
    on_path().or_else(in_checkout).ok_or_else(|| {
        Failure::environment("no Envoy was found").hint(
            "scripts/get-envoy puts one into the checkout; --envoy PATH or CUTOVER_ENVOY names another",
        )
    })
}

fn on_path() -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders)
        .map(|folder| folder.join("envoy"))
        .find(|path| path.is_file())
}

/// `.tools/envoy-VERSION/envoy` in this folder or in one above it; the last version by name.
fn in_checkout() -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    here.ancestors().find_map(|folder| {
        let tools = fs::read_dir(folder.join(".tools")).ok()?;
        let envoys = tools.filter_map(|tool| Some(tool.ok()?.path().join("envoy")));
        envoys.filter(|path| path.is_file()).max()
    })
}
