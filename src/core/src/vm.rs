//! One VM of a proxy: what it does with pushes, and at the ticks of its timer.

use crate::proxy::{Level, Proxy, Set, metric};
use crate::register::{Ordered, Staged};
use crate::shown::{show, show_clock, show_without_generation};
use crate::{Merge, Plan, Pushes, Register, Ruled, Service, merge, steps};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often a switch is tried against others that are written at the same time. Each of them is a
/// push that went through, so that a handful would do.
const ATTEMPTS: u32 = 1000;

/// How often a tick comes while something is staged, at least: so fresh is the clock that it shows.
const TICK: Duration = Duration::from_millis(20);

/// What one VM of a proxy knows of a plugin. All VMs of a proxy see the same pushes in the same order,
/// but not at the same time; what they have in common is in the proxy's shared values.
#[derive(Debug)]
pub struct Vm {
    plugin: String,
    /// By the key of the register.
    known: BTreeMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    pushes: Pushes,
    /// The service as its newest switch came with it.
    newest: Arc<Service>,
    /// Something was staged when this VM looked last.
    staged: bool,
    /// How far apart the proxy's clocks were then.
    look: Option<i64>,
}

impl Vm {
    /// A VM that knows nothing yet.
    pub fn new(plugin: &str) -> Self {
        Self {
            plugin: plugin.to_owned(),
            known: BTreeMap::new(),
        }
    }

    /// The plugin's name.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Takes a new configuration: commits or stages its switches, unless the registers know better. A
    /// service whose switch is ignored is ignored whole: the newest one that this VM has seen takes its
    /// place in the plan.
    pub fn configure(&mut self, proxy: &impl Proxy, plan: &mut Plan) {
        for service in plan.services_mut() {
            let fresh = !self.known.contains_key(service.register_key());
            let known = self
                .known
                .entry(service.register_key().to_owned())
                .or_insert_with(|| Known {
                    pushes: Pushes::default(),
                    newest: Arc::clone(service),
                    staged: false,
                    look: None,
                });
            let obeyed = if let Some(pushed) = Ordered::of(service.switch()) {
                known.push(proxy, &self.plugin, service, &pushed, fresh)
            } else {
                let (name, active) = (service.name(), service.switch().active);
                let line = format!(
                    "cutover: service {name}: {active} without a generation: each worker for itself"
                );
                proxy.say(Level::Warn, &line);
                show_without_generation(proxy, &self.plugin, service);
                true
            };
            known.keep_newest(service, obeyed);
        }
    }

    /// Does what the time demands: commits what has come to rule, and shows the clock. Returns when to
    /// be called again, at the latest; none when nothing is staged as far as this VM knows.
    pub fn tick(&mut self, proxy: &impl Proxy) -> Option<Duration> {
        let staged = self.known.values_mut().filter(|known| known.staged);
        staged
            .filter_map(|known| known.tick(proxy, &self.plugin))
            .min()
    }

    /// True while something is staged as far as this VM knows: then ticks have to come.
    pub fn has_staged(&self) -> bool {
        self.known.values().any(|known| known.staged)
    }

    /// Notes that a request saw something staged for a service: ticks have to come. This VM may not
    /// have the configuration yet that staged it.
    pub fn notice(&mut self, service: &Service) {
        if let Some(known) = self.known.get_mut(service.register_key()) {
            known.staged = true;
        }
    }
}

impl Known {
    /// Merges a service's switch into the register; false when it is ignored.
    fn push(
        &mut self,
        proxy: &impl Proxy,
        plugin: &str,
        service: &Service,
        pushed: &Ordered,
        fresh: bool,
    ) -> bool {
        for _attempt in 0..ATTEMPTS {
            let (bytes, number) = proxy.shared(service.register_key()).unzip();
            let known = bytes.and_then(|bytes| Register::decode(&bytes));
            let was_staged = known.is_some_and(|register| register.staged.is_some());
            let (register, why) = match merge(known.as_ref(), pushed, proxy) {
                Merge::Write { register, late } => {
                    let bytes = register.encode();
                    match proxy.set_shared(service.register_key(), &bytes, number.unwrap_or(0)) {
                        Set::Done => {
                            self.written(proxy, service, pushed, &register, number.is_none());
                            if late {
                                proxy.count(metric(plugin, service.name(), "late"));
                            }
                            show(proxy, plugin, service, was_staged);
                            tell(proxy, service, pushed, &register, late);
                            return true;
                        }
                        Set::Mismatch => continue,
                        Set::Failed(status) => {
                            let name = service.name();
                            let line = format!(
                                "cutover: service {name}: register not written, status {status}"
                            );
                            proxy.say(Level::Error, &line);
                            return true;
                        }
                    }
                }
                Merge::Same(register) => (register, None),
                Merge::Stale(register) => (register, Some("stale")),
                Merge::Conflict(register) => (register, Some("conflict")),
            };
            self.watch(register.staged.as_ref());
            // A configuration without a generation came in between and set the gauges, or they may have
            // gone with the VMs of before.
            let marker = service.beside("unordered");
            let unordered = proxy.shared(&marker).filter(|(value, _)| value == b"1");
            if let Some((_, number)) = unordered {
                proxy.set_shared(&marker, b"", number);
                show(proxy, plugin, service, false);
            } else if fresh {
                show(proxy, plugin, service, false);
            }
            match why {
                Some(why) => self.ignore(proxy, plugin, service, why, pushed, &register),
                None => self.pushes.ruled(pushed.generation),
            }
            return why.is_none();
        }
        let name = service.name();
        let line = format!(
            "cutover: service {name}: register not written, the proxy refuses every attempt"
        );
        proxy.say(Level::Error, &line);
        true
    }

    /// Notes a switch that is in the register now, the `first` of its service or a later one.
    fn written(
        &mut self,
        proxy: &impl Proxy,
        service: &Service,
        pushed: &Ordered,
        register: &Register,
        first: bool,
    ) {
        if first {
            // A value that is absent cannot be compared and set: two VMs would both be the first to count.
            proxy.set_shared(&service.beside("ignored"), b"0 ", 0);
        }
        if let Some(staged) = &register.staged {
            steps::begin(proxy, service, staged);
        }
        let key = service.beside("ruled");
        let (ruled, number) = proxy.shared(&key).unzip();
        let ruled = Ruled::append(ruled.as_deref(), pushed.generation);
        proxy.set_shared(&key, &ruled, number.unwrap_or(0));
        self.pushes.ruled(pushed.generation);
        self.watch(register.staged.as_ref());
    }

    /// Has ticks come while something is staged.
    fn watch(&mut self, staged: Option<&Staged>) {
        if let Some(staged) = staged {
            self.staged = true;
            self.look = Some(staged.offset);
        }
    }

    /// Puts the newest that this VM has seen of a service in the place of an older one: what is ignored
    /// is ignored whole, with its routes and closed colors.
    fn keep_newest(&mut self, service: &mut Arc<Service>, obeyed: bool) {
        let is_older = self.newest.switch().generation >= service.switch().generation;
        if !obeyed && is_older && !cfg!(feature = "broken-per-worker") {
            *service = Arc::clone(&self.newest);
        } else {
            self.newest = Arc::clone(service);
        }
    }

    /// Counts and logs a push that changes nothing, once a proxy.
    fn ignore(
        &mut self,
        proxy: &impl Proxy,
        plugin: &str,
        service: &Service,
        why: &str,
        pushed: &Ordered,
        register: &Register,
    ) {
        let (name, active, generation) = (service.name(), pushed.active, pushed.generation);
        let newest = register.newest().generation;
        let what = format!("{why} {generation} {active} {newest}");
        let key = service.beside("ignored");
        let (counted, number) = proxy.shared(&key).unzip();
        let history = proxy.shared(&service.beside("ruled"));
        let history = history.as_ref().map(|(value, _)| value.as_slice());
        let counted = self
            .pushes
            .ignored(counted.as_deref(), history, generation, &what);
        // Whoever writes first counts; the others saw the same push.
        let first = counted
            .is_some_and(|value| proxy.set_shared(&key, &value, number.unwrap_or(0)) == Set::Done);
        if first {
            proxy.count(metric(plugin, name, why));
            let does = if register.staged.is_some() {
                "is staged"
            } else {
                "rules"
            };
            let line = format!(
                "cutover: service {name}: {why}: {active} {generation} is ignored, {newest} {does}"
            );
            proxy.say(Level::Warn, &line);
        }
    }

    /// One tick for a service of which something is staged.
    fn tick(&mut self, proxy: &impl Proxy, plugin: &str) -> Option<Duration> {
        let service = &self.newest;
        let (bytes, number) = proxy.shared(service.register_key()).unwrap_or_default();
        let register = Register::decode(&bytes);
        let Some((register, staged)) = register.and_then(|r| Some((r, r.staged?))) else {
            // Whoever made it so has shown that, and this VM may have shown its clock since.
            self.staged = false;
            show(proxy, plugin, service, true);
            return None;
        };
        if let Some(committed) = register.commit(proxy) {
            let set = proxy.set_shared(service.register_key(), &committed.encode(), number);
            if set == Set::Done {
                let (name, switch) = (service.name(), committed.committed);
                let (active, generation) = (switch.active, switch.generation);
                let line = format!("cutover: service {name}: {active}, generation {generation}");
                proxy.say(Level::Info, &line);
            }
            // The next tick shows it once more: another VM may be about to show its clock.
            show(proxy, plugin, service, true);
            return Some(TICK);
        }
        self.look = steps::look(proxy, plugin, service, &staged, self.look);
        let x = show_clock(proxy, plugin, service, &staged);
        Some(x.map_or(TICK, |x| staged.activation.remaining(x).min(TICK)))
    }
}

/// Logs a switch that is in the register now.
fn tell(proxy: &impl Proxy, service: &Service, pushed: &Ordered, register: &Register, late: bool) {
    let (name, active, generation) = (service.name(), pushed.active, pushed.generation);
    let staged = register.staged.map_or_else(String::new, |staged| {
        let (at, hold) = (staged.activation.at(), staged.activation.hold());
        format!(", staged for {at} with a hold of {hold} ms")
    });
    let late_too = if late { ", late" } else { "" };
    let line =
        format!("cutover: service {name}: {active}, generation {generation}{staged}{late_too}");
    proxy.say(if late { Level::Warn } else { Level::Info }, &line);
}
