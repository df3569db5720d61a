//! `cutover completions`: what a shell needs to complete verbs, options and colors.

use crate::{args, output::Report};
use clap::Args;
use clap_complete::Shell;
use serde_json::json;

const EXAMPLE: &str = "\
Example:
  cutover completions bash > ~/.local/share/bash-completion/completions/cutover
  cutover completions zsh > \"${fpath[1]}/_cutover\"
  cutover completions fish > ~/.config/fish/completions/cutover.fish

For one shell alone: source <(cutover completions bash)

Exit codes: 0 printed, 2 bad use";

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Report {
        let mut script = vec![];
        clap_complete::generate(self.shell, &mut args::command(), "cutover", &mut script);
        let script = String::from_utf8_lossy(&script);
        let json = json!({ "shell": self.shell.to_string(), "script": script });
        Report::good(script, json)
    }
}
