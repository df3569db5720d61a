//! The picture of two flips: a plain push above, a held flip below, and the hold magnified.

mod draw;
mod scene;

use std::error::Error;
use std::path::Path;

use scene::Scene;

use crate::way::Way;

/// Draws the first flip of the local fleet in both ways. The same results give the same bytes.
pub(crate) fn write(results: &Path, file: &Path) -> Result<(), Box<dyn Error>> {
    let plain = Scene::read(results, Way::Plain)?;
    let held = Scene::read(results, Way::Held)?;
    std::fs::write(file, draw::picture(&plain, &held))?;
    Ok(())
}
