//! The root context: one for each configuration in each VM.

use crate::{metrics, stream::Stream};
use cutover_abi as host;
use cutover_core::{
    Color, Generation, Merge, Plan, Pushes, Register, Ruled, Service, identity, merge,
};
use log::{error, info, warn};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::{rc::Rc, sync::Arc};

thread_local! {
    /// What this VM knows of each service, by the key of its register.
    static KNOWN: RefCell<BTreeMap<String, Known>> = RefCell::default();
}

#[derive(Default)]
struct Known {
    pushes: Pushes,
    /// The service as its newest switch came with it.
    newest: Option<Arc<Service>>,
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
            Ok(mut plan) => {
                for service in plan.services_mut() {
                    let obeyed = switch(&plugin, service);
                    keep_newest(service, obeyed);
                }
                for (what, value) in identity() {
                    metrics::gauge(format!("cutover.plugin.{plugin}.{what}"), value);
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

/// Commits a service's switch to the register, unless the register knows better: then false.
fn switch(plugin: &str, service: &Service) -> bool {
    let (name, active) = (service.name(), service.switch().active);
    let marker = beside(service, "unordered");
    let Some(generation) = service.switch().generation else {
        warn!("cutover: service {name}: {active} without a generation: each worker for itself");
        show(plugin, name, active, None);
        host::set_shared(&marker, b"1", 0);
        return true;
    };
    for _attempt in 0..ATTEMPTS {
        let (stored, cas) = host::shared(service.register_key()).unzip();
        let (committed, why) = match merge(stored.as_deref(), generation, service.switch()) {
            Merge::Commit(bytes) => {
                match host::set_shared(service.register_key(), &bytes, cas.unwrap_or(0)) {
                    host::Set::Done => {
                        note_commit(service, generation, cas.is_none());
                        show(plugin, name, active, Some(generation));
                        info!("cutover: service {name}: {active}, generation {generation}");
                        return true;
                    }
                    host::Set::Mismatch => continue,
                    host::Set::Failed(status) => {
                        error!("cutover: service {name}: register not written, status {status}");
                        return true;
                    }
                }
            }
            Merge::Same => (Register { generation, active }, None),
            Merge::Stale(committed) => (committed, Some("stale")),
            Merge::Conflict(committed) => (committed, Some("conflict")),
        };
        // A configuration without a generation came in between and set the gauges.
        if let Some((_, cas)) = host::shared(&marker).filter(|(value, _)| value == b"1") {
            host::set_shared(&marker, b"", cas);
            show(plugin, name, committed.active, Some(committed.generation));
        }
        match why {
            Some(why) => ignore(plugin, service, why, generation, committed),
            None => known(service, |known| known.pushes.ruled(generation)),
        }
        return why.is_none();
    }
    error!("cutover: service {name}: register not written, the proxy refuses every attempt");
    true
}

/// Notes a switch that became the register, the `first` of its service or a later one.
fn note_commit(service: &Service, generation: Generation, first: bool) {
    if first {
        // A value that is absent cannot be compared and set: two VMs would both be the first to count.
        host::set_shared(&beside(service, "ignored"), b"0 ", 0);
    }
    let key = beside(service, "ruled");
    let (ruled, cas) = host::shared(&key).unzip();
    let ruled = Ruled::append(ruled.as_deref(), generation);
    host::set_shared(&key, &ruled, cas.unwrap_or(0));
    known(service, |known| known.pushes.ruled(generation));
}

/// Puts the newest that this VM has seen of a service in the place of an older one: what is ignored
/// is ignored whole, with its routes and closed colors.
fn keep_newest(service: &mut Arc<Service>, obeyed: bool) {
    let newest = known(service, |known| match &known.newest {
        Some(newest)
            if !obeyed
                && newest.switch().generation >= service.switch().generation
                && !cfg!(feature = "broken-per-worker") =>
        {
            Some(Arc::clone(newest))
        }
        _ => {
            known.newest = Some(Arc::clone(service));
            None
        }
    });
    if let Some(newest) = newest {
        *service = newest;
    }
}

fn show(plugin: &str, service: &str, active: Color, generation: Option<Generation>) {
    let gauge = |what, value| metrics::gauge(metric(plugin, service, what), value);
    gauge("active", active.number().into());
    gauge("generation", generation.map_or(0, Generation::get));
}

/// Counts and logs a push that changes nothing, once a proxy.
fn ignore(plugin: &str, service: &Service, why: &str, pushed: Generation, committed: Register) {
    let (name, active) = (service.name(), service.switch().active);
    let rules = committed.generation;
    let what = format!("{why} {pushed} {active} {rules}");
    let key = beside(service, "ignored");
    let (counted, cas) = host::shared(&key).unzip();
    let (history, _) = host::shared(&beside(service, "ruled")).unzip();
    let counted = known(service, |known| {
        known
            .pushes
            .ignored(counted.as_deref(), history.as_deref(), pushed, &what)
    });
    // Whoever writes first counts; the others saw the same push.
    let first = counted.is_some_and(|value| {
        matches!(
            host::set_shared(&key, &value, cas.unwrap_or(0)),
            host::Set::Done
        )
    });
    if first {
        metrics::count(metric(plugin, name, why));
        warn!("cutover: service {name}: {why}: {active} {pushed} is ignored, {rules} rules");
    }
}

fn known<T>(service: &Service, ask: impl FnOnce(&mut Known) -> T) -> T {
    KNOWN.with_borrow_mut(|known| ask(known.entry(service.register_key().to_owned()).or_default()))
}

/// The key of a shared value that stands beside a service's register.
fn beside(service: &Service, what: &str) -> String {
    format!("{}/{what}", service.register_key())
}

/// The name of a service's metric.
pub(crate) fn metric(plugin: &str, service: &str, what: &str) -> String {
    format!("cutover.plugin.{plugin}.service.{service}.{what}")
}
