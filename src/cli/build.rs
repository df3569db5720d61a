//! Puts the filter module inside the tool: the file that `CUTOVER_MODULE` names at build time.
//!
//! Without the variable the tool is built with an empty module, and says so where it needs one.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let inside = Path::new(&env::var("OUT_DIR")?).join("cutover.wasm");
    let module = match env::var_os("CUTOVER_MODULE") {
        Some(path) => {
            let path = Path::new(&path);
            if path.is_relative() {
                return Err("CUTOVER_MODULE must be an absolute path".into());
            }
            println!("cargo::rerun-if-changed={}", path.display());
            fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => Vec::new(),
    };
    fs::write(inside, module)?;
    println!("cargo::rerun-if-env-changed=CUTOVER_MODULE");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
