//! `cutover`: flips, watches and proves blue-green switches in Envoy.

mod args;
mod failure;
mod module;
mod output;
mod table;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    match args::parse() {
        Ok((format, verb)) => output::print(format, verbs::run(verb)),
        Err(refused) => refused.print(),
    }
}
