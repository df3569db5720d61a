//! The tool as its users see it: what it prints, what it leaves, what it exits with.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has to stop, also in functions beside the tests"
)]

mod check;
mod cluster;
mod completions;
mod explain;
mod flip;
mod gates;
mod help;
mod init;
mod instant;
mod lint;
mod man;
mod output;
mod place;
mod plan;
mod preview;
mod question;
mod race;
mod real_envoy;
mod real_fleet;
mod real_gates;
mod real_instant;
mod reference;
mod sim;
mod status;
mod stopped;
mod support;
mod up;
mod wait;
mod watch;
mod wrong_input;

/// Compares a run with its snapshot; what changes from run to run is named.
#[macro_export]
macro_rules! assert_run {
    ($ran:expr, @$snapshot:literal) => {
        insta::with_settings!({ filters => vec![
            (r"\b1[6-9]\d{11}\b", "[GENERATION]"),
            (r"after \d+ ms", "after [TIME] ms"),
            (r#""milliseconds": [\d.]+"#, r#""milliseconds": "[TIME]""#),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "[WRITTEN]"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[UNTIL]"),
            (r"\.\d{10}\.[0-9a-f]{64}", ".[EXPIRY].[MAC]"),
            (r"BY +VERB", "BY VERB"),
            (r"[\w.()-]+@[\w.-]+ +", "[USER]@[HOST] "),
            (r"process \d+ of \S+", "process [PID] of [USER]"),
            (r"process \d+", "process [PID]"),
            (r"127\.0\.0\.1:[3-6]\d{4}\b", "[ADDRESS]"),
        ]}, { insta::assert_snapshot!($ran.to_string(), @$snapshot) });
    };
}
