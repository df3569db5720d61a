//! What is in `istio/`: that an API server takes every file, that its roles allow what they say and no more, and what
//! its policy refuses.

mod access;
mod chart;
mod files;
mod policy;
mod traffic;
mod tree;

use crate::bed::Bed;
use std::{
    fs,
    process::Output,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// What kubectl showed, or what it was refused with.
type Answer = Result<String, String>;

fn answer(output: &Output) -> Answer {
    let text = |bytes| String::from_utf8_lossy(bytes).trim_end().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// A name for a namespace that no other test has. (It stays: the control plane of the bed has nobody who would end it.)
fn fresh_name() -> String {
    static NAMESPACES: AtomicU32 = AtomicU32::new(0);
    let number = NAMESPACES.fetch_add(1, Ordering::Relaxed);
    format!("manifests-{}-{number}", std::process::id())
}

/// A namespace that no other test has.
fn fresh_namespace(bed: &Bed) -> String {
    let name = fresh_name();
    bed.kubectl_says(&["create", "namespace", &name]);
    name
}

/// Waits until something is so, for at most 30 seconds.
#[track_caller]
fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A file of the test's own, for kubectl to read.
fn written(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}
