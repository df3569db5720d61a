//! What threads do: configurations, requests, timers.

use std::rc::Rc;

use super::event::Event;
use super::thread::{Held, Root, Thread};
use super::{Proxy, set};
use crate::answer::{Decision, Outcome, color};
use crate::host::{Act, Action, Headers, Trapped, Vm};
use crate::random::Random;

impl Proxy<'_> {
    /// The main thread gets a configuration: it tries it in a VM that is thrown away, runs it, and posts it to the workers.
    pub(super) fn arrive(&mut self, push: usize) {
        let same = |other: usize| self.configurations.get(other) == self.configurations.get(push);
        if self.last.is_some_and(same) {
            return;
        }
        self.last = Some(push);
        let accepted = match self.tried.get(&push) {
            Some(accepted) => *accepted,
            None => self.try_out(push),
        };
        if !accepted {
            if self.stage.tell {
                self.course
                    .tale
                    .push((self.now, "refuses a configuration".to_owned()));
            }
            return;
        }
        let main = self.threads.len().saturating_sub(1);
        self.configure(main, push);
        let life = self.life;
        for thread in 0..main {
            // To one thread, what was posted first comes first.
            let at = self.now.saturating_add(self.lateness());
            let before = self.threads.get(thread).map_or(0, |thread| thread.posted);
            let at = at.max(before);
            if let Some(thread) = self.threads.get_mut(thread) {
                thread.posted = at;
            }
            self.later(at, Event::Configure { thread, push, life });
        }
    }

    /// The canary: a VM that is killed after it was configured, without a goodbye. What it said is kept.
    fn try_out(&mut self, push: usize) -> bool {
        let accepted = self.new_vm().and_then(|mut vm| {
            let configuration = self.configurations.get(push).cloned().unwrap_or_default();
            Ok(vm.configure(&configuration)?.1)
        });
        let accepted = accepted.unwrap_or(false);
        self.tried.insert(push, accepted);
        accepted
    }

    fn new_vm(&mut self) -> Result<Vm, Trapped> {
        let random = Random::of(self.random.number(), 1);
        Vm::start(self.stage.module, &self.outside, random)
    }

    /// A thread runs a configuration; streams that begin from now on are of it.
    pub(super) fn configure(&mut self, thread: usize, push: usize) {
        let Some(known) = self.threads.get(thread) else {
            return;
        };
        let replaced = known.current;
        let reused = known.root_of(push);
        let root = match reused {
            Some(root) => Some(root),
            None => self.new_root(thread, push),
        };
        let Some(state) = self.threads.get_mut(thread) else {
            return;
        };
        (state.current, state.push) = (root, Some(push));
        if let Some(root) = root.and_then(|root| state.roots.get_mut(&root)) {
            root.released = false;
        }
        let Some(old) = replaced.filter(|old| Some(*old) != root) else {
            return;
        };
        // When every thread has the new one, the main thread lets go of the old one, and posts that.
        let at = self.now.saturating_add(3_000_000 + self.lateness());
        let life = self.life;
        self.later(
            at,
            Event::Release {
                thread,
                root: old,
                life,
            },
        );
    }

    pub(super) fn new_root(&mut self, thread: usize, push: usize) -> Option<u32> {
        let configuration = Rc::clone(self.configurations.get(push)?);
        if self.threads.get(thread)?.vm.is_none() {
            let vm = self.new_vm().ok();
            self.threads.get_mut(thread)?.vm = vm;
        }
        let vm = self.threads.get_mut(thread)?.vm.as_mut()?;
        let Ok((root, accepted)) = vm.configure(&configuration) else {
            self.trap(thread);
            return None;
        };
        let state = Root {
            push,
            streams: 0,
            released: false,
            timer: (0, 0),
        };
        self.threads.get_mut(thread)?.roots.insert(root, state);
        self.act(thread);
        // Envoy would leave the filter out on this worker. The module refuses for nothing that differs between VMs.
        accepted.then_some(root)
    }

    pub(super) fn release(&mut self, thread: usize, root: u32) {
        let Some(state) = self.threads.get_mut(thread) else {
            return;
        };
        // It may have been taken again in between.
        if state.current == Some(root) {
            return;
        }
        if let Some(state) = state.roots.get_mut(&root) {
            state.released = true;
        }
        self.forget(thread, root);
    }

    /// Ends a root context that nobody has any more. Its timer is still there in Envoy, and calls nobody.
    fn forget(&mut self, thread: usize, root: u32) {
        let Some(state) = self.threads.get_mut(thread) else {
            return;
        };
        let unused = |root: &Root| root.released && root.streams == 0;
        if !state.roots.get(&root).is_some_and(unused) {
            return;
        }
        state.roots.remove(&root);
        let ended = state.vm.as_mut().map(|vm| vm.delete(root));
        if matches!(ended, Some(Err(_))) {
            self.trap(thread);
        }
    }

    /// A request's headers are complete.
    pub(super) fn ask(&mut self, number: usize) {
        let Some(ask) = self.plan.asks.get(number) else {
            return;
        };
        let thread = usize::from(ask.worker);
        if self.up.is_none() {
            return self.fail(number, None, "the connection was refused");
        }
        if self.threads.get(thread).is_some_and(Thread::has_trapped) && !self.reload(thread) {
            return self.fail(number, Some(503), "the filter's VM has trapped");
        }
        let Some(state) = self.threads.get_mut(thread) else {
            return self.fail(number, None, "there is no such worker");
        };
        let (Some(root), Some(vm)) = (state.current, state.vm.as_mut()) else {
            // No configuration yet: the listener is not there, and the client tries again.
            return self.later(self.now.saturating_add(1_000_000), Event::Ask(number));
        };
        let headers = ask.headers.iter().flat_map(|headers| headers.iter());
        let headers: Headers = headers
            .map(|(name, value)| (name.as_str().into(), value.as_slice().into()))
            .collect();
        match vm.request(root, headers) {
            Err(Trapped(why)) => {
                self.trap(thread);
                self.fail(number, Some(503), &why);
            }
            Ok((stream, action)) => {
                if let Some(root) = state.roots.get_mut(&root) {
                    root.streams += 1;
                }
                let held = Held { ask: number, root };
                state.held.insert(stream, held);
                if action == Action::Continue {
                    self.go_on(thread, stream);
                } else if ask.patience > 0 {
                    let at = self.now.saturating_add(ask.patience);
                    let (life, ask) = (self.life, number);
                    self.later(
                        at,
                        Event::Leave {
                            thread,
                            stream,
                            ask,
                            life,
                        },
                    );
                }
                self.act(thread);
            }
        }
    }

    /// A root context's timer goes off, and is set again for the same time.
    pub(super) fn tick(&mut self, thread: usize, root: u32, serial: u32) {
        let Some(state) = self.threads.get_mut(thread) else {
            return;
        };
        let timer = state.roots.get(&root).map(|root| root.timer);
        let Some((period, _)) = timer.filter(|(period, is)| *period > 0 && *is == serial) else {
            return;
        };
        let Some(vm) = state.vm.as_mut() else {
            return;
        };
        if vm.tick(root).is_err() {
            return self.trap(thread);
        }
        self.act(thread);
        let timer = self
            .threads
            .get(thread)
            .and_then(|state| state.roots.get(&root));
        if timer.is_some_and(|root| root.timer == (period, serial)) {
            self.arm(thread, root, serial, period);
        }
    }

    fn arm(&mut self, thread: usize, root: u32, serial: u32, period: u32) {
        let wait = u64::from(period).saturating_mul(1_000_000);
        let at = self
            .now
            .saturating_add(wait)
            .saturating_add(self.lateness());
        let life = self.life;
        self.later(
            at,
            Event::Tick {
                thread,
                root,
                serial,
                life,
            },
        );
    }

    /// Does what calls in a thread's VM asked for.
    fn act(&mut self, thread: usize) {
        let vm = self
            .threads
            .get_mut(thread)
            .and_then(|state| state.vm.as_mut());
        for act in vm.map(Vm::acts).unwrap_or_default() {
            match act {
                Act::Continue(stream) => self.go_on(thread, stream),
                Act::Respond(stream, status, body) => {
                    let status = u16::try_from(status).ok();
                    let why = body.trim_end().into();
                    self.end(thread, stream, Outcome::Failed { status, why });
                }
                Act::Tick(root, period) => {
                    let Some(state) = self.threads.get_mut(thread) else {
                        return;
                    };
                    state.serial += 1;
                    let serial = state.serial;
                    if let Some(root) = state.roots.get_mut(&root) {
                        root.timer = (period, serial);
                    }
                    if period > 0 {
                        self.arm(thread, root, serial, period);
                    }
                }
            }
        }
    }

    /// A stream goes on to its upstream, which answers at once.
    fn go_on(&mut self, thread: usize, stream: u32) {
        let Some(state) = self.threads.get_mut(thread) else {
            return;
        };
        let Some(vm) = state
            .vm
            .as_mut()
            .filter(|_| state.held.contains_key(&stream))
        else {
            return;
        };
        let header = |name: &str| {
            let mut headers = vm.request_headers(stream).iter();
            headers
                .find(|(key, _)| **key == *name)
                .map(|(_, value)| &**value)
        };
        let route = header("x-cutover-cluster").or(header("x-cutover-color"));
        let outcome = Outcome::Routed {
            served: route.and_then(|route| color(str::from_utf8(route).ok()?)),
            decision: header("x-cutover-decision").and_then(Decision::parse),
        };
        let status: Headers = vec![(":status".into(), b"200".as_slice().into())];
        if vm.response(stream, status).is_err() {
            return self.trap(thread);
        }
        self.end(thread, stream, outcome);
    }

    /// A client leaves, if its stream still waits.
    pub(super) fn leave(&mut self, thread: usize, stream: u32, ask: usize) {
        let held = self
            .threads
            .get(thread)
            .and_then(|state| state.held.get(&stream));
        if held.is_some_and(|held| held.ask == ask) {
            self.end(thread, stream, Outcome::Left);
        }
    }

    fn end(&mut self, thread: usize, stream: u32, outcome: Outcome) {
        let Some(state) = self.threads.get_mut(thread) else {
            return;
        };
        let Some(Held { ask, root }) = state.held.remove(&stream) else {
            return;
        };
        set(&mut self.course, ask, self.now, outcome);
        let ended = state.vm.as_mut().map(|vm| vm.delete(stream));
        if let Some(root) = state.roots.get_mut(&root) {
            root.streams = root.streams.saturating_sub(1);
        }
        if matches!(ended, Some(Err(_))) {
            return self.trap(thread);
        }
        self.forget(thread, root);
    }
}
