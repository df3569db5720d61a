//! `cutover`: flips, watches and proves blue-green switches in Envoy.

mod args;
mod envoy;
mod failure;
mod module;
mod output;
mod proof;
mod table;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    match args::parse() {
        Ok((format, verb)) => output::print(format, verbs::run(verb)),
        Err(refused) => refused.print(),
    }
}
