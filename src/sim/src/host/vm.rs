//! One VM: an instance of the module, its contexts, and what the proxy calls in it.

use std::collections::BTreeMap;
use std::rc::Rc;

use wasmtime::{Memory, Store, TypedFunc, WasmParams, WasmResults};

use super::{Headers, Module, Outside, Status};
use crate::random::Random;

/// What the proxy does with a stream after its request's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Continue,
    Pause,
}

/// What a call in the VM asked the proxy to do after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The stream goes on.
    Continue(u32),
    /// The stream is answered here: status and body.
    Respond(u32, u32, Box<str>),
    /// The root context's timer has another period, in ms.
    Tick(u32, u32),
}

/// Says that a call in a VM ended in a trap: the VM is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trapped(pub(crate) String);

/// The host's side of a VM.
pub(crate) struct Inside {
    pub(super) outside: Outside,
    memory: Option<Memory>,
    allocate: Option<TypedFunc<u32, u32>>,
    /// The context that is called.
    current: u32,
    /// The one that calls are of instead; 0 when there is none.
    effective: u32,
    roots: BTreeMap<u32, Rc<[u8]>>,
    streams: BTreeMap<u32, Stream>,
    pub(super) acts: Vec<Act>,
    pub(super) random: Random,
    /// The last thing that it said in the log.
    said: String,
}

struct Stream {
    root: u32,
    request: Headers,
    response: Option<Headers>,
}

impl Inside {
    pub(super) fn memory(&self) -> Result<Memory, Status> {
        self.memory.ok_or(Status::InvalidMemoryAccess)
    }

    pub(super) fn allocate(&self) -> Result<TypedFunc<u32, u32>, Status> {
        self.allocate.clone().ok_or(Status::InvalidMemoryAccess)
    }

    pub(super) fn say(&mut self, text: &[u8]) {
        String::from_utf8_lossy(text)
            .trim_end()
            .clone_into(&mut self.said);
    }

    /// The context that a call is of.
    fn context(&self) -> u32 {
        if self.effective == 0 {
            self.current
        } else {
            self.effective
        }
    }

    pub(super) fn set_effective(&mut self, context: u32) -> Status {
        if !self.roots.contains_key(&context) && !self.streams.contains_key(&context) {
            return Status::BadArgument;
        }
        self.effective = context;
        Status::Ok
    }

    /// The stream that a call is of, if it is one.
    pub(super) fn stream(&self) -> Option<u32> {
        let context = self.context();
        self.streams.contains_key(&context).then_some(context)
    }

    /// The root context of the context that a call is of.
    fn root(&self) -> u32 {
        let context = self.context();
        self.streams
            .get(&context)
            .map_or(context, |stream| stream.root)
    }

    pub(super) fn configuration(&self) -> Option<Rc<[u8]>> {
        self.roots.get(&self.root()).cloned()
    }

    pub(super) fn set_period(&mut self, period: u32) -> Status {
        let root = self.root();
        self.acts.push(Act::Tick(root, period));
        Status::Ok
    }

    /// The headers that a call means: 0 the request's, 2 the response's. Where there are none now, that is a bad argument.
    pub(super) fn headers(&mut self, map: u32) -> Result<&mut Headers, Status> {
        let stream = self.streams.get_mut(&self.context());
        let headers = stream.and_then(|stream| match map {
            0 => Some(&mut stream.request),
            2 => stream.response.as_mut(),
            _ => None,
        });
        headers.ok_or(Status::BadArgument)
    }
}

/// What the module exports; Envoy skips a call that is not there.
struct Exports {
    context_create: TypedFunc<(u32, u32), ()>,
    configure: TypedFunc<(u32, u32), u32>,
    delete: TypedFunc<u32, ()>,
    request_headers: TypedFunc<(u32, u32, u32), u32>,
    response_headers: Option<TypedFunc<(u32, u32, u32), u32>>,
    tick: Option<TypedFunc<u32, ()>>,
}

/// One VM of a proxy: the canary's, the main thread's or a worker's.
pub(crate) struct Vm {
    store: Store<Inside>,
    exports: Exports,
    last_context: u32,
}

impl Vm {
    /// Starts one: instance, `_initialize`. Envoy would call `proxy_on_vm_start` for each root context, too, which the module
    /// does not export.
    pub(crate) fn start(
        module: &Module,
        outside: &Outside,
        random: Random,
    ) -> Result<Self, Trapped> {
        let inside = Inside {
            outside: outside.clone(),
            memory: None,
            allocate: None,
            current: 0,
            effective: 0,
            roots: BTreeMap::new(),
            streams: BTreeMap::new(),
            acts: Vec::new(),
            random,
            said: String::new(),
        };
        let mut store = Store::new(&module.engine, inside);
        let trapped = |error: wasmtime::Error| Trapped(format!("{error:#}"));
        let instance = module.instance.instantiate(&mut store).map_err(trapped)?;
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        let allocate = instance.get_typed_func(&mut store, "proxy_on_memory_allocate");
        store.data_mut().allocate = Some(allocate.map_err(trapped)?);
        let exports = Exports {
            context_create: instance
                .get_typed_func(&mut store, "proxy_on_context_create")
                .map_err(trapped)?,
            configure: instance
                .get_typed_func(&mut store, "proxy_on_configure")
                .map_err(trapped)?,
            delete: instance
                .get_typed_func(&mut store, "proxy_on_delete")
                .map_err(trapped)?,
            request_headers: instance
                .get_typed_func(&mut store, "proxy_on_request_headers")
                .map_err(trapped)?,
            response_headers: instance
                .get_typed_func(&mut store, "proxy_on_response_headers")
                .ok(),
            tick: instance.get_typed_func(&mut store, "proxy_on_tick").ok(),
        };
        let initialize: TypedFunc<(), ()> = instance
            .get_typed_func(&mut store, "_initialize")
            .map_err(trapped)?;
        let mut vm = Self {
            store,
            exports,
            last_context: 0,
        };
        vm.call(&initialize, 0, ())?;
        Ok(vm)
    }

    /// Makes a root context with this configuration; false when it refuses it.
    pub(crate) fn configure(&mut self, configuration: &Rc<[u8]>) -> Result<(u32, bool), Trapped> {
        let root = self.next_context();
        self.inside().roots.insert(root, Rc::clone(configuration));
        let (create, configure) = (
            self.exports.context_create.clone(),
            self.exports.configure.clone(),
        );
        self.call(&create, root, (root, 0))?;
        let size = u32::try_from(configuration.len()).unwrap_or(u32::MAX);
        let accepted = self.call(&configure, root, (root, size))?;
        Ok((root, accepted != 0))
    }

    /// Begins a stream with the headers of its request.
    pub(crate) fn request(
        &mut self,
        root: u32,
        headers: Headers,
    ) -> Result<(u32, Action), Trapped> {
        let stream = self.next_context();
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        let opened = Stream {
            root,
            request: headers,
            response: None,
        };
        self.inside().streams.insert(stream, opened);
        let (create, on_headers) = (
            self.exports.context_create.clone(),
            self.exports.request_headers.clone(),
        );
        self.call(&create, stream, (stream, root))?;
        let action = self.call(&on_headers, stream, (stream, count, 1))?;
        let answered = self.inside().acts.iter();
        let mut answered =
            answered.filter(|act| matches!(act, Act::Respond(of, ..) if *of == stream));
        let stops = answered.next().is_some();
        let paused = stops || action != 0;
        Ok((
            stream,
            if paused {
                Action::Pause
            } else {
                Action::Continue
            },
        ))
    }

    /// Passes the headers of a stream's response through.
    pub(crate) fn response(&mut self, stream: u32, headers: Headers) -> Result<(), Trapped> {
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        if let Some(stream) = self.inside().streams.get_mut(&stream) {
            stream.response = Some(headers);
        }
        let Some(on_headers) = self.exports.response_headers.clone() else {
            return Ok(());
        };
        self.call(&on_headers, stream, (stream, count, 1))?;
        Ok(())
    }

    /// Lets a root context's timer go off.
    pub(crate) fn tick(&mut self, root: u32) -> Result<(), Trapped> {
        let Some(tick) = self.exports.tick.clone() else {
            return Ok(());
        };
        self.call(&tick, root, root)
    }

    /// Ends a context, of a stream or a root.
    pub(crate) fn delete(&mut self, context: u32) -> Result<(), Trapped> {
        let delete = self.exports.delete.clone();
        let ended = self.call(&delete, context, context);
        self.inside().roots.remove(&context);
        self.inside().streams.remove(&context);
        ended
    }

    /// What a stream's request headers are now.
    pub(crate) fn request_headers(&self, stream: u32) -> &[(Box<str>, Box<[u8]>)] {
        let stream = self.store.data().streams.get(&stream);
        stream.map_or(&[], |stream| &stream.request)
    }

    /// What calls asked to be done after them, in their order.
    pub(crate) fn acts(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.inside().acts)
    }

    fn inside(&mut self) -> &mut Inside {
        self.store.data_mut()
    }

    fn next_context(&mut self) -> u32 {
        self.last_context = self.last_context.wrapping_add(1);
        self.last_context
    }

    fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        function: &TypedFunc<P, R>,
        context: u32,
        arguments: P,
    ) -> Result<R, Trapped> {
        let inside = self.inside();
        (inside.current, inside.effective) = (context, 0);
        function.call(&mut self.store, arguments).map_err(|error| {
            let said = &self.store.data().said;
            Trapped(format!("{error:#}; it said: {said}"))
        })
    }
}
