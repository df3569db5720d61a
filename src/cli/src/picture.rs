//! The page of `--report DIR`.

use crate::failure::Failure;
use cutover_history::Reader;
use cutover_report::{Judged, Undrawable};
use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

/// The page's name in its folder.
const NAME: &str = "report.html";

/// Makes the folder, before any work is done that would be lost without it.
pub(crate) fn folder(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))
}

/// Draws a judged history; gives the page's path.
pub(crate) fn draw(judged: &Judged, history: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    let cannot_draw = |error: Undrawable| {
        Failure::environment(format!("{} cannot be drawn: {error}", history.display()))
            .hint("the history is read twice: name a file that stays as it is")
    };
    let file = File::open(history).map_err(|error| {
        Failure::environment(format!("{} cannot be read: {error}", history.display()))
    })?;
    let page = Reader::new(BufReader::with_capacity(1 << 20, file))
        .map_err(Undrawable::from)
        .and_then(|reader| judged.draw(reader))
        .map_err(cannot_draw)?;
    let path = folder.join(NAME);
    fs::write(&path, page).map_err(|error| cannot_write(&path, &error))?;
    Ok(path)
}

fn cannot_write(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::environment(format!("{} cannot be written: {error}", path.display()))
        .hint("--report DIR names another folder")
}
