//! `cutover`: flips, watches and proves blue-green switches in Envoy.

mod args;
mod called;
mod envoy;
mod failure;
mod manifest;
mod module;
mod output;
mod paint;
mod picture;
mod preview_rule;
mod proof;
mod question;
mod screen;
mod signals;
mod source;
mod table;
mod up;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(exit) = up::shim::enter() {
        return exit;
    }
    match args::parse() {
        Ok((events, verb)) => events.finish(verbs::run(verb, &events)),
        Err(refused) => refused.print(),
    }
}
