//! The filter module that this tool carries.

use crate::failure::Failure;
use std::{borrow::Cow, fs, path::Path};

static MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/cutover.wasm"));

/// The module at `path`, or the one that was built in.
pub(crate) fn module(path: Option<&Path>) -> Result<Cow<'static, [u8]>, Failure> {
    let Some(path) = path else {
        return match MODULE {
            [] => Err(
                Failure::environment("this build of cutover carries no module")
                    .hint("build with scripts/build, or name one with --wasm PATH"),
            ),
            module => Ok(Cow::Borrowed(module)),
        };
    };
    let module = fs::read(path).map_err(|error| {
        Failure::usage(format!("{} cannot be read: {error}", path.display()))
            .hint("without --wasm it is the module that this tool carries")
    })?;
    if !module.starts_with(b"\0asm") {
        let message = format!("{} is not a WebAssembly module", path.display());
        return Err(Failure::usage(message).hint("scripts/build makes target/cutover.wasm"));
    }
    Ok(Cow::Owned(module))
}
