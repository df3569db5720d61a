//! The tool, as its users run it.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use cutover_history::Color;
use serde_json::Value;
use tokio::process::Command;

use crate::bed::Bed;
use crate::named_by;
use crate::way::Way;

/// The tool on a bed.
pub(crate) struct Tool {
    program: PathBuf,
    options: Vec<String>,
    kubeconfig: Option<PathBuf>,
    /// Where it keeps what it keeps.
    home: tempfile::TempDir,
}

/// A flip that was made.
pub(crate) struct Flipped {
    pub(crate) invoked: Instant,
    pub(crate) acknowledged: Instant,
    pub(crate) generation: u64,
    /// When it was to rule, Unix milliseconds; none for a plain one.
    pub(crate) at: Option<u64>,
}

impl Tool {
    pub(crate) fn for_bed(bed: &Bed) -> Result<Self, Box<dyn Error>> {
        let mut options = vec!["--target".to_owned(), bed.target()];
        options.extend(["--admin".to_owned(), bed.admins().join(",")]);
        Ok(Self {
            program: named_by("CUTOVER_TOOL")?,
            options,
            kubeconfig: bed.kubeconfig(),
            home: tempfile::tempdir()?,
        })
    }

    /// Makes a flip, and returns when the tool says that every proxy shows it.
    pub(crate) async fn flip(&self, color: Color, way: Way) -> Result<Flipped, Box<dyn Error>> {
        let color = match color {
            Color::Blue => "blue",
            Color::Green => "green",
        };
        let invoked = Instant::now();
        let arguments = [&["flip", color, "--yes"], way.command()].concat();
        let answer = self.run(&arguments).await?;
        let number = |key: &str| answer.get(key).and_then(Value::as_u64);
        Ok(Flipped {
            invoked,
            acknowledged: Instant::now(),
            generation: number("generation").ok_or("the tool tells no generation")?,
            at: number("at"),
        })
    }

    /// Takes the fields of the switch from whoever installed the plugin, without a change that shows.
    pub(crate) async fn begin(&self) -> Result<(), Box<dyn Error>> {
        if self.kubeconfig.is_some() {
            for color in ["green", "blue"] {
                let flip = ["flip", color, "--yes", "--now", "--force-conflicts"];
                self.run(&flip).await?;
            }
        }
        Ok(())
    }

    async fn run(&self, arguments: &[&str]) -> Result<Value, Box<dyn Error>> {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(&self.options);
        command.args(["--output", "json", "--deadline", "60s"]);
        command.env_clear().env("HOME", self.home.path());
        command.envs(self.kubeconfig.iter().map(|path| ("KUBECONFIG", path)));
        let output = command.kill_on_drop(true).output().await?;
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout)?);
        }
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        Err(format!("cutover {}: {said}", arguments.join(" ")).into())
    }
}
