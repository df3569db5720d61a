//! A proxy-wasm host: what the module imports, as Envoy does it, and no more.
//!
//! Envoy here is 1.40 with ABI 0.2.1; what it does stands beside each call. Nothing in this folder knows of fleets
//! or of time: the clocks show what they were set to.

mod calls;
mod memory;
mod module;
mod outside;
mod shared;
mod stats;
mod vm;
mod wasi;

pub use module::{InvalidModule, Module};
pub(crate) use outside::Outside;
pub(crate) use vm::{Act, Action, Trapped, Vm};

/// Headers of a request or a response.
pub(crate) type Headers = Vec<(Box<str>, Box<[u8]>)>;

/// What a call answers to the module, by its number in the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    CasMismatch = 8,
    Unimplemented = 12,
    /// A pointer that is not in the module's memory.
    InvalidMemoryAccess = 6,
}
