//! The calls of the proxy-wasm ABI that the filter makes.

use std::rc::Rc;

use wasmtime::{Caller, Error, Linker};

use super::Status;
use super::memory::{self, Span};
use super::vm::{Act, Inside};

const REQUEST: u32 = 0;
const PLUGIN_CONFIGURATION: u32 = 7;

type In<'a> = Caller<'a, Inside>;

pub(super) fn link(linker: &mut Linker<Inside>) -> Result<(), Error> {
    headers(linker)?;
    shared(linker)?;
    stats(linker)?;
    contexts(linker)?;
    let env = "env";
    linker.func_wrap(
        env,
        "proxy_log",
        |mut caller: In<'_>, level: u32, at: u32, size: u32| {
            let said = memory::with(&mut caller, Span { at, size }, |text, inside| {
                // Warnings and errors, which stories show.
                if level >= 3 {
                    inside.say(text);
                }
            });
            number(said.map(|()| Status::Ok))
        },
    )?;
    // The wall clock; the filter asks WASI instead.
    linker.func_wrap(
        env,
        "proxy_get_current_time_nanoseconds",
        |mut caller: In<'_>, to: u32| {
            let wall = caller.data().outside.clocks.get().wall;
            number(memory::put_long(&mut caller, to, wall).map(|()| Status::Ok))
        },
    )?;
    // The configuration of the root context that is called; there is no other buffer here. A start behind its end is an error.
    linker.func_wrap(
        env,
        "proxy_get_buffer_bytes",
        |mut caller: In<'_>, buffer: u32, start: u32, most: u32, data: u32, size: u32| {
            let inside = caller.data();
            let configuration = inside
                .configuration()
                .filter(|_| buffer == PLUGIN_CONFIGURATION);
            let Some(configuration) = configuration else {
                return number(Err(Status::BadArgument));
            };
            let [start, most] = [start, most].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
            let Some(rest) = configuration.get(start..) else {
                return number(Err(Status::BadArgument));
            };
            let bytes = rest.get(..most.min(rest.len())).unwrap_or(rest).to_vec();
            number(memory::give(&mut caller, &bytes, (data, size)).map(|()| Status::Ok))
        },
    )?;
    // Of all properties the plugin's name: no other is asked for.
    linker.func_wrap(
        env,
        "proxy_get_property",
        |mut caller: In<'_>, at: u32, length: u32, data: u32, size: u32| {
            let asked = memory::with(&mut caller, Span { at, size: length }, |path, inside| {
                (path == b"plugin_name").then(|| Rc::clone(&inside.outside.plugin))
            });
            let name = match asked {
                Ok(Some(name)) => name,
                Ok(None) => return number(Err(Status::NotFound)),
                Err(status) => return number(Err(status)),
            };
            number(memory::give(&mut caller, name.as_bytes(), (data, size)).map(|()| Status::Ok))
        },
    )?;
    // Filter state: set, and read by nobody here.
    linker.func_wrap(
        env,
        "proxy_set_property",
        |_: In<'_>, _: u32, _: u32, _: u32, _: u32| number(Ok(Status::Ok)),
    )?;
    Ok(())
}

/// Header maps. On request headers each change drops the cached route, with ABI 0.2.1: the route is that of the last
/// value, which is what is read here when the stream goes on.
fn headers(linker: &mut Linker<Inside>) -> Result<(), Error> {
    let env = "env";
    linker.func_wrap(
        env,
        "proxy_get_header_map_value",
        |mut caller: In<'_>, map: u32, at: u32, length: u32, data: u32, size: u32| {
            let found = memory::with(&mut caller, Span { at, size: length }, |name, inside| {
                let headers = inside.headers(map)?;
                let name = name.to_ascii_lowercase();
                // The first value of a repeated header, and no other.
                let found = headers.iter().find(|(key, _)| key.as_bytes() == name);
                found
                    .map(|(_, value)| value.to_vec())
                    .ok_or(Status::NotFound)
            });
            match found.and_then(|found| found) {
                Ok(value) => {
                    number(memory::give(&mut caller, &value, (data, size)).map(|()| Status::Ok))
                }
                Err(status) => number(Err(status)),
            }
        },
    )?;
    linker.func_wrap(
        env,
        "proxy_replace_header_map_value",
        |mut caller: In<'_>, map: u32, key: u32, key_size: u32, value: u32, value_size: u32| {
            let spans = (span(key, key_size), span(value, value_size));
            let set = memory::with_two(&mut caller, spans, |key, value, inside| {
                let Ok(key) = str::from_utf8(key) else {
                    return Status::BadArgument;
                };
                let headers = match inside.headers(map) {
                    Ok(headers) => headers,
                    Err(status) => return status,
                };
                let key = key.to_ascii_lowercase();
                headers.retain(|(name, _)| **name != *key);
                headers.push((key.into(), value.into()));
                Status::Ok
            });
            number(set)
        },
    )?;
    linker.func_wrap(
        env,
        "proxy_remove_header_map_value",
        |mut caller: In<'_>, map: u32, key: u32, key_size: u32| {
            let removed = memory::with(&mut caller, span(key, key_size), |key, inside| {
                let headers = match inside.headers(map) {
                    Ok(headers) => headers,
                    Err(status) => return status,
                };
                let key = key.to_ascii_lowercase();
                headers.retain(|(name, _)| name.as_bytes() != key);
                Status::Ok
            });
            number(removed)
        },
    )?;
    Ok(())
}

fn shared(linker: &mut Linker<Inside>) -> Result<(), Error> {
    let env = "env";
    linker.func_wrap(
        env,
        "proxy_get_shared_data",
        |mut caller: In<'_>, key: u32, key_size: u32, data: u32, size: u32, cas: u32| {
            let found = memory::with(&mut caller, span(key, key_size), |key, inside| {
                let shared = inside.outside.shared.borrow();
                shared
                    .get(key)
                    .map(|(value, number)| (value.to_vec(), number))
            });
            let (value, current) = match found {
                Ok(Some(found)) => found,
                Ok(None) => return number(Err(Status::NotFound)),
                Err(status) => return number(Err(status)),
            };
            let given = memory::give(&mut caller, &value, (data, size));
            number(
                given
                    .and_then(|()| memory::put(&mut caller, cas, current))
                    .map(|()| Status::Ok),
            )
        },
    )?;
    linker.func_wrap(
        env,
        "proxy_set_shared_data",
        |mut caller: In<'_>, key: u32, key_size: u32, value: u32, value_size: u32, cas: u32| {
            let spans = (span(key, key_size), span(value, value_size));
            number(memory::with_two(
                &mut caller,
                spans,
                |key, value, inside| inside.outside.shared.borrow_mut().set(key, value, cas),
            ))
        },
    )?;
    Ok(())
}

fn stats(linker: &mut Linker<Inside>) -> Result<(), Error> {
    let env = "env";
    linker.func_wrap(
        env,
        "proxy_define_metric",
        |mut caller: In<'_>, kind: u32, name: u32, name_size: u32, to: u32| {
            let defined = memory::with(&mut caller, span(name, name_size), |name, inside| {
                let name = str::from_utf8(name).map_err(|_| Status::BadArgument)?;
                inside.outside.stats.borrow_mut().define(kind, name)
            });
            match defined.and_then(|defined| defined) {
                Ok(id) => number(memory::put(&mut caller, to, id).map(|()| Status::Ok)),
                Err(status) => number(Err(status)),
            }
        },
    )?;
    linker.func_wrap(
        env,
        "proxy_record_metric",
        |caller: In<'_>, id: u32, value: u64| {
            number(Ok(caller
                .data()
                .outside
                .stats
                .borrow_mut()
                .record(id, value)))
        },
    )?;
    linker.func_wrap(
        env,
        "proxy_increment_metric",
        |caller: In<'_>, id: u32, by: i64| {
            number(Ok(caller
                .data()
                .outside
                .stats
                .borrow_mut()
                .increment(id, by)))
        },
    )?;
    Ok(())
}

/// What a call does to contexts. All of it takes effect when the call that the proxy made has returned.
fn contexts(linker: &mut Linker<Inside>) -> Result<(), Error> {
    let env = "env";
    // Until the call of the proxy returns, calls are those of this context. An unknown one is refused.
    linker.func_wrap(
        env,
        "proxy_set_effective_context",
        |mut caller: In<'_>, context: u32| number(Ok(caller.data_mut().set_effective(context))),
    )?;
    // Of a root context: after so many ms, and again and again; 0 ends it. Set anew, it counts anew.
    linker.func_wrap(
        env,
        "proxy_set_tick_period_milliseconds",
        |mut caller: In<'_>, period: u32| number(Ok(caller.data_mut().set_period(period))),
    )?;
    // Deferred: `addAfterVmCallAction`. A stream that was not paused goes on as it did.
    linker.func_wrap(
        env,
        "proxy_continue_stream",
        |mut caller: In<'_>, kind: u32| {
            let inside = caller.data_mut();
            let status = match inside.stream() {
                Some(stream) if kind == REQUEST => {
                    inside.acts.push(Act::Continue(stream));
                    Status::Ok
                }
                // The response of a stream is never held here.
                Some(_) if kind == 1 => Status::Ok,
                _ => Status::BadArgument,
            };
            number(Ok(status))
        },
    )?;
    // Deferred, too; the call that is under way stops the stream, whatever it returns.
    linker.func_wrap(
        env,
        "proxy_send_local_response",
        |mut caller: In<'_>,
         status: u32,
         _details: u32,
         _details_size: u32,
         body: u32,
         body_size: u32,
         _headers: u32,
         _headers_size: u32,
         _grpc: i32| {
            number(memory::with(
                &mut caller,
                span(body, body_size),
                |body, inside| {
                    let Some(stream) = inside.stream() else {
                        return Status::BadArgument;
                    };
                    let body = String::from_utf8_lossy(body).into();
                    inside.acts.push(Act::Respond(stream, status, body));
                    Status::Ok
                },
            ))
        },
    )?;
    Ok(())
}

fn span(at: u32, size: u32) -> Span {
    Span { at, size }
}

fn number(outcome: Result<Status, Status>) -> u32 {
    outcome.unwrap_or_else(|status| status) as u32
}
