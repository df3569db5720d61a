//! The module against hosts that real proxies are not on command: every status, any bytes.

use std::path::PathBuf;
use std::process::Command;

/// Runs a module through `tests/contract/host.mjs` under Node.js.
fn odd_host(module: &PathBuf) -> (bool, String) {
    let script = cutover_tests::root().join("tests/contract/host.mjs");
    let output = Command::new("node").arg(script).arg(module).output();
    let Ok(output) = output else {
        return (
            false,
            "needs Node.js 20 or newer: install `node`".to_owned(),
        );
    };
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn no_status_and_no_bytes_of_a_host_make_the_module_trap() {
    let (passed, said) = odd_host(&cutover_tests::module());
    assert!(passed, "{said}");
    assert!(said.contains(" passed, 0 failed"), "{said}");
}

#[test]
fn the_build_that_panics_on_invalid_utf8_is_caught() {
    let (passed, said) = odd_host(&cutover_tests::broken_module("panics-on-utf8"));
    assert!(!passed, "{said}");
    assert!(said.contains("RuntimeError: unreachable"), "{said}");
}
