//! The root context: one for each configuration in each VM.

use crate::metrics;
use crate::stream::Stream;
use crate::worker::{Timer, Worker};
use cutover_abi as host;
use cutover_core::{Plan, identity};
use log::error;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use std::rc::Rc;
use std::time::Duration;

pub(crate) struct Root {
    id: u32,
    worker: Rc<Worker>,
    timer: Rc<Timer>,
    /// Empty until configured: the SDK panics where a stream has no context.
    plan: Rc<Plan>,
}

impl Root {
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id,
            worker: Worker::of(""),
            timer: Rc::default(),
            plan: Rc::default(),
        }
    }
}

impl Context for Root {}

impl RootContext for Root {
    /// Checks the configuration and pushes its switches. It fails for nothing but the configuration's
    /// own bytes and the VM's environment: those are the same in every VM, so the main thread's first
    /// run is the one that fails.
    fn on_configure(&mut self, _size: usize) -> bool {
        let plugin = host::plugin_name();
        let key = |id: &str| {
            let value = std::env::var_os(cutover_core::token::variable(id))?;
            Some(value.into_encoded_bytes())
        };
        let plan = Plan::parse(&host::plugin_configuration()).and_then(|p| p.bind(&plugin, key));
        match plan {
            Ok(mut plan) => {
                self.worker = Worker::of(&plugin);
                if self.worker.configure(&mut plan) {
                    self.timer.within(Duration::ZERO);
                }
                for (what, value) in identity() {
                    metrics::gauge(format!("cutover.plugin.{plugin}.{what}"), value);
                }
                self.plan = Rc::new(plan);
                true
            }
            Err(invalid) => {
                error!("cutover: configuration refused: {invalid}");
                metrics::count(format!("cutover.plugin.{plugin}.config_refused"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let next = self.worker.tick();
        host::set_effective_context(self.id);
        self.timer.next(next);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let (worker, timer) = (Rc::clone(&self.worker), Rc::clone(&self.timer));
        Some(Box::new(Stream::new(
            id,
            worker,
            timer,
            Rc::clone(&self.plan),
        )))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Drop for Root {
    /// The host keeps timers of roots that are gone, and they would go off for as long as the VM lives.
    fn drop(&mut self) {
        self.timer.next(None);
    }
}
