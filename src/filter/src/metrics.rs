//! Metrics, each defined once a VM: the proxy keeps every definition until the VM ends.

use cutover_abi::{self as host, Metric};
use std::{cell::RefCell, collections::BTreeMap};

thread_local! {
    static DEFINED: RefCell<BTreeMap<String, u32>> = RefCell::default();
}

/// Sets a gauge. A proxy that refuses the metric serves on without it.
pub(crate) fn gauge(name: String, value: u64) {
    if let Some(id) = id(Metric::Gauge, name) {
        host::record_metric(id, value);
    }
}

/// Counts one. A proxy that refuses the metric serves on without it.
pub(crate) fn count(name: String) {
    if let Some(id) = id(Metric::Counter, name) {
        host::increment_metric(id);
    }
}

fn id(kind: Metric, name: String) -> Option<u32> {
    DEFINED.with_borrow_mut(|defined| {
        if let Some(&id) = defined.get(&name) {
            return Some(id);
        }
        let id = host::define_metric(kind, &name)?;
        defined.insert(name, id);
        Some(id)
    })
}
