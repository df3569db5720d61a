//! `cutover`: flips, watches and proves blue-green switches in Envoy.

mod args;
mod envoy;
mod failure;
mod module;
mod output;
mod paint;
mod picture;
mod proof;
mod screen;
mod table;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    match args::parse() {
        Ok((events, verb)) => events.finish(verbs::run(verb, &events)),
        Err(refused) => refused.print(),
    }
}
