//! The root context: one for each configuration in each VM.

use crate::{metrics, stream::Stream};
use cutover_abi as host;
use cutover_core::{Generation, Merge, Plan, Service, merge};
use log::{error, info, warn};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use std::{cell::Cell, rc::Rc};

thread_local! {
    /// True until a configuration has been seen in this VM. The proxy tries every configuration in
    /// a VM of its own first, so this is how a push is counted once and not once a worker.
    static FRESH: Cell<bool> = const { Cell::new(true) };
}

/// How often a switch is tried against others that are written at the same time. Each of them is a
/// push that went through, so that a handful would do.
const ATTEMPTS: u32 = 1000;

#[derive(Default)]
pub(crate) struct Root {
    plugin: Rc<str>,
    /// Empty until configured: the SDK panics where a stream has no context.
    plan: Rc<Plan>,
}

impl Context for Root {}

impl RootContext for Root {
    /// Checks the configuration and commits its switches. It fails for nothing but the
    /// configuration's own bytes and the VM's environment: those are the same in every VM, so the
    /// main thread's first run is the one that fails.
    fn on_configure(&mut self, _size: usize) -> bool {
        let plugin = host::plugin_name();
        let key = |id: &str| {
            let value = std::env::var_os(cutover_core::token::variable(id))?;
            Some(value.into_encoded_bytes())
        };
        let plan = Plan::parse(&host::plugin_configuration()).and_then(|p| p.bind(&plugin, key));
        match plan {
            Ok(plan) => {
                let fresh = FRESH.replace(false);
                for service in plan.services() {
                    switch(&plugin, service, fresh);
                }
                self.plan = Rc::new(plan);
                self.plugin = plugin.into();
                true
            }
            Err(invalid) => {
                error!("cutover: configuration refused: {invalid}");
                metrics::count(format!("cutover.plugin.{plugin}.config_refused"));
                false
            }
        }
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(
            Rc::clone(&self.plugin),
            Rc::clone(&self.plan),
        )))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// Commits a service's switch to the register, unless the register knows better.
fn switch(plugin: &str, service: &Service, fresh: bool) {
    let (name, active) = (service.name(), service.switch().active);
    let Some(generation) = service.switch().generation else {
        warn!("cutover: service {name}: {active} without a generation: each worker for itself");
        show(plugin, service, None);
        return;
    };
    for _attempt in 0..ATTEMPTS {
        let (stored, cas) = host::shared(service.register_key()).unzip();
        match merge(stored.as_deref(), generation, service.switch()) {
            Merge::Commit(bytes) => {
                match host::set_shared(service.register_key(), &bytes, cas.unwrap_or(0)) {
                    host::Set::Done => {
                        show(plugin, service, Some(generation));
                        info!("cutover: service {name}: {active}, generation {generation}");
                        return;
                    }
                    host::Set::Mismatch => {}
                    host::Set::Failed(status) => {
                        error!("cutover: service {name}: register not written, status {status}");
                        return;
                    }
                }
            }
            Merge::Same => return,
            Merge::Stale(committed) => {
                let ruling = committed.generation;
                return ignore(plugin, service, fresh, "stale", generation, ruling);
            }
            Merge::Conflict(committed) => {
                let ruling = committed.generation;
                return ignore(plugin, service, fresh, "conflict", generation, ruling);
            }
        }
    }
    error!("cutover: service {name}: register not written, the proxy refuses every attempt");
}

fn show(plugin: &str, service: &Service, generation: Option<Generation>) {
    let gauge = |what, value| metrics::gauge(metric(plugin, service.name(), what), value);
    gauge("active", service.switch().active.number().into());
    gauge("generation", generation.map_or(0, Generation::get));
}

/// Counts and logs a push that changes nothing: once, by the VM that the proxy tries it in.
fn ignore(
    plugin: &str,
    service: &Service,
    fresh: bool,
    why: &str,
    pushed: Generation,
    committed: Generation,
) {
    // A worker that comes late to an older configuration is no push.
    if !fresh {
        return;
    }
    // At a start or a reload every worker's VM is fresh: only the first to note it counts it.
    let key = format!("{}/ignored", service.register_key());
    let active = service.switch().active;
    let note = format!("{why} {pushed} {active} {committed}").into_bytes();
    let (seen, cas) = host::shared(&key).unzip();
    if seen.as_deref() == Some(&note) {
        return;
    }
    if matches!(
        host::set_shared(&key, &note, cas.unwrap_or(0)),
        host::Set::Done
    ) {
        metrics::count(metric(plugin, service.name(), why));
        warn!(
            "cutover: service {}: {why}: generation {pushed} ({active}) ignored, {committed} rules",
            service.name()
        );
    }
}

/// The name of a service's metric.
pub(crate) fn metric(plugin: &str, service: &str, what: &str) -> String {
    format!("cutover.plugin.{plugin}.service.{service}.{what}")
}
