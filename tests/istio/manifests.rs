//! What is in `istio/`: that an API server takes every file, that its roles allow what they say and no more, and what
//! its policy refuses.

mod access;
mod ask;
mod chart;
mod files;
mod policy;
mod traffic;
mod tree;

use crate::bed::Bed;
use std::sync::atomic::{AtomicU32, Ordering};

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
