//! The module's memory: what it points at, and where it wants answers.

use wasmtime::Caller;

use super::{Status, vm::Inside};

/// A piece of the module's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) at: u32,
    pub(crate) size: u32,
}

/// Runs with a piece of the memory and with the host's side of the VM.
pub(crate) fn with<T>(
    caller: &mut Caller<'_, Inside>,
    span: Span,
    run: impl FnOnce(&[u8], &mut Inside) -> T,
) -> Result<T, Status> {
    let memory = caller.data().memory()?;
    let (bytes, inside) = memory.data_and_store_mut(caller);
    let bytes = piece(bytes, span)?;
    Ok(run(bytes, inside))
}

/// The same with two pieces.
pub(crate) fn with_two<T>(
    caller: &mut Caller<'_, Inside>,
    (first, second): (Span, Span),
    run: impl FnOnce(&[u8], &[u8], &mut Inside) -> T,
) -> Result<T, Status> {
    let memory = caller.data().memory()?;
    let (bytes, inside) = memory.data_and_store_mut(caller);
    let (first, second) = (piece(bytes, first)?, piece(bytes, second)?);
    Ok(run(first, second, inside))
}

/// Writes a number of 32 bits.
pub(crate) fn put(caller: &mut Caller<'_, Inside>, at: u32, number: u32) -> Result<(), Status> {
    write(caller, at, &number.to_le_bytes())
}

/// Writes a number of 64 bits.
pub(crate) fn put_long(
    caller: &mut Caller<'_, Inside>,
    at: u32,
    number: u64,
) -> Result<(), Status> {
    write(caller, at, &number.to_le_bytes())
}

/// Writes bytes.
pub(crate) fn write(caller: &mut Caller<'_, Inside>, at: u32, bytes: &[u8]) -> Result<(), Status> {
    let memory = caller.data().memory()?;
    let at = usize::try_from(at).map_err(|_| Status::InvalidMemoryAccess)?;
    memory
        .write(caller, at, bytes)
        .map_err(|_| Status::InvalidMemoryAccess)
}

/// Hands bytes over: in a block that the module allocates for them, whose place and size it gets. Of nothing it gets
/// nothing, and is not asked to allocate, as in Envoy.
pub(crate) fn give(
    caller: &mut Caller<'_, Inside>,
    bytes: &[u8],
    (at, size): (u32, u32),
) -> Result<(), Status> {
    let length = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
    let mut block = 0;
    if length > 0 {
        let allocate = caller.data().allocate()?;
        let allocated = allocate.call(&mut *caller, length);
        block = allocated.map_err(|_| Status::InvalidMemoryAccess)?;
        write(caller, block, bytes)?;
    }
    put(caller, at, block)?;
    put(caller, size, length)
}

fn piece(bytes: &[u8], span: Span) -> Result<&[u8], Status> {
    let at = usize::try_from(span.at).map_err(|_| Status::InvalidMemoryAccess)?;
    let size = usize::try_from(span.size).map_err(|_| Status::InvalidMemoryAccess)?;
    let end = at.checked_add(size).ok_or(Status::InvalidMemoryAccess)?;
    bytes.get(at..end).ok_or(Status::InvalidMemoryAccess)
}
