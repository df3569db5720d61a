//! The part of WASI that the module imports, as Envoy offers it.

use wasmtime::{Caller, Error, Linker};

use super::memory::{self, Span};
use super::{Status, vm::Inside};

/// Numbers of WASI's own.
const SUCCESS: u32 = 0;
const INVALID: u32 = 28;
const NOT_SUPPORTED: u32 = 58;

pub(super) fn link(linker: &mut Linker<Inside>) -> Result<(), Error> {
    let wasi = "wasi_snapshot_preview1";
    // Real in Envoy: 0 is the wall clock, 1 the machine's CLOCK_MONOTONIC; no other.
    linker.func_wrap(
        wasi,
        "clock_time_get",
        |mut caller: Caller<'_, Inside>, clock: u32, _precision: u64, to: u32| -> u32 {
            let reading = caller.data().outside.clocks.get();
            let shown = match clock {
                0 => reading.wall,
                1 => reading.monotonic,
                _ => return NOT_SUPPORTED,
            };
            answer(memory::put_long(&mut caller, to, shown))
        },
    )?;
    // Real randomness in Envoy; here it is the seed's.
    linker.func_wrap(
        wasi,
        "random_get",
        |mut caller: Caller<'_, Inside>, at: u32, size: u32| -> u32 {
            let random = &mut caller.data_mut().random;
            let bytes: Vec<u8> = (0..size)
                .map(|_| u8::try_from(random.below(256)).unwrap_or_default())
                .collect();
            answer(memory::write(&mut caller, at, &bytes))
        },
    )?;
    // The variables that the configuration gives the VM, and none of the process.
    linker.func_wrap(
        wasi,
        "environ_sizes_get",
        |mut caller: Caller<'_, Inside>, count: u32, size: u32| -> u32 {
            let lines = environment(&caller);
            let bytes = lines.iter().map(Vec::len).sum::<usize>();
            let counted = memory::put(&mut caller, count, small(lines.len()));
            answer(counted.and_then(|()| memory::put(&mut caller, size, small(bytes))))
        },
    )?;
    linker.func_wrap(
        wasi,
        "environ_get",
        |mut caller: Caller<'_, Inside>, mut pointers: u32, mut at: u32| -> u32 {
            for line in environment(&caller) {
                let written = memory::put(&mut caller, pointers, at)
                    .and_then(|()| memory::write(&mut caller, at, &line));
                if let Err(status) = written {
                    return answer(Err(status));
                }
                pointers = pointers.saturating_add(4);
                at = at.saturating_add(small(line.len()));
            }
            SUCCESS
        },
    )?;
    // Standard output and error are lines of Envoy's log; a panic's message comes here.
    linker.func_wrap(
        wasi,
        "fd_write",
        |mut caller: Caller<'_, Inside>, _fd: u32, vectors: u32, count: u32, to: u32| -> u32 {
            answer(written(&mut caller, (vectors, count), to))
        },
    )?;
    // Envoy logs it and returns.
    linker.func_wrap(wasi, "proc_exit", |_: Caller<'_, Inside>, _code: u32| {})?;
    Ok(())
}

fn written(
    caller: &mut Caller<'_, Inside>,
    (vectors, count): (u32, u32),
    to: u32,
) -> Result<(), Status> {
    let table = Span {
        at: vectors,
        size: count.saturating_mul(8),
    };
    let spans = memory::with(caller, table, |bytes, _| {
        let words: Vec<u32> = bytes
            .chunks_exact(4)
            .filter_map(|word| Some(u32::from_le_bytes(word.try_into().ok()?)))
            .collect();
        words
            .chunks_exact(2)
            .filter_map(|pair| {
                Some(Span {
                    at: *pair.first()?,
                    size: *pair.last()?,
                })
            })
            .collect::<Vec<_>>()
    })?;
    let mut sum = 0_u32;
    for span in spans {
        memory::with(caller, span, |bytes, inside| inside.say(bytes))?;
        sum = sum.saturating_add(span.size);
    }
    memory::put(caller, to, sum)
}

fn environment(caller: &Caller<'_, Inside>) -> Vec<Vec<u8>> {
    let variables = caller.data().outside.environment.iter();
    let lines = variables.map(|(name, value)| format!("{name}={value}\0").into_bytes());
    lines.collect()
}

fn small(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn answer(outcome: Result<(), Status>) -> u32 {
    if outcome.is_ok() { SUCCESS } else { INVALID }
}
