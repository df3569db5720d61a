//! The root context: one for each configuration in each VM.

use crate::{metrics, stream::Stream};
use cutover_abi as host;
use cutover_core::{Generation, Merge, Plan, Pushes, Register, Service, merge};
use log::{error, info, warn};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

thread_local! {
    /// What this VM has seen of each register's pushes.
    static PUSHES: RefCell<BTreeMap<String, Pushes>> = RefCell::default();
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
                for service in plan.services() {
                    switch(&plugin, service);
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
fn switch(plugin: &str, service: &Service) {
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
                        ruled(service, generation);
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
            Merge::Same => return ruled(service, generation),
            Merge::Stale(committed) => {
                return ignore(plugin, service, "stale", generation, committed);
            }
            Merge::Conflict(committed) => {
                return ignore(plugin, service, "conflict", generation, committed);
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

/// Notes a push that rules.
fn ruled(service: &Service, generation: Generation) {
    pushes(service, |pushes, counted, _| {
        pushes.ruled(counted, generation);
    });
}

/// Counts and logs a push that changes nothing, once a proxy.
fn ignore(plugin: &str, service: &Service, why: &str, pushed: Generation, committed: Register) {
    let (name, active, rules) = (
        service.name(),
        service.switch().active,
        committed.generation,
    );
    let what = format!("{why} {pushed} {active} {rules}");
    let first = pushes(service, |pushes, counted, (key, cas)| {
        let counted = pushes.ignored(counted, pushed, &what);
        // Whoever writes first counts; the others saw the same push.
        counted.is_some_and(|value| matches!(host::set_shared(key, &value, cas), host::Set::Done))
    });
    if first {
        metrics::count(metric(plugin, name, why));
        warn!("cutover: service {name}: {why}: {active} {pushed} is ignored, {rules} rules");
    }
}

/// What this VM has seen of a service's pushes, what the proxy has counted, and where.
fn pushes<T>(
    service: &Service,
    note: impl FnOnce(&mut Pushes, Option<&[u8]>, (&str, u32)) -> T,
) -> T {
    let key = format!("{}/ignored", service.register_key());
    let (counted, cas) = host::shared(&key).unzip();
    PUSHES.with_borrow_mut(|pushes| {
        let pushes = pushes.entry(service.register_key().to_owned()).or_default();
        note(pushes, counted.as_deref(), (&key, cas.unwrap_or(0)))
    })
}

/// The name of a service's metric.
pub(crate) fn metric(plugin: &str, service: &str, what: &str) -> String {
    format!("cutover.plugin.{plugin}.service.{service}.{what}")
}
