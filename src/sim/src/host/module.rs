//! The module, compiled once for all proxies.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use wasmtime::{
    Config, Enabled, Engine, ExternType, InstanceAllocationStrategy, InstancePre, Linker,
    PoolingAllocationConfig, Val,
};

use super::{Status, calls, vm::Inside, wasi};

/// A filter module, ready to be started thousands of times. It is cheap to clone.
#[derive(Clone)]
pub struct Module {
    pub(super) engine: Engine,
    pub(super) instance: InstancePre<Inside>,
    sha256: String,
}

/// Says why a module cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum InvalidModule {
    /// It cannot be compiled, or asks for something that no proxy of this ABI has.
    #[error("it is not a module that can be run: {0}")]
    Unusable(String),
    /// It tells no version of the ABI.
    #[error("it does not export proxy_abi_version_0_2_1")]
    NoAbi,
}

impl Module {
    /// Compiles a module.
    ///
    /// # Errors
    /// Bytes that are no module, and a module that no proxy would load.
    pub fn new(wasm: &[u8]) -> Result<Self, InvalidModule> {
        let unusable = |error: wasmtime::Error| InvalidModule::Unusable(format!("{error:#}"));
        let mut pool = PoolingAllocationConfig::new();
        // Instances come and go by the hundred thousand. What they touched of their memory is put back in place, without
        // giving pages back to the kernel.
        pool.total_core_instances(4096)
            .total_memories(4096)
            .total_tables(4096)
            .max_memory_size(64 << 20)
            .linear_memory_keep_resident(2 << 20)
            .table_keep_resident(64 << 10)
            .pagemap_scan(Enabled::Auto);
        let mut config = Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        // A trap is told by its message; frames would have to be looked up for each.
        config.wasm_backtrace_max_frames(None);
        let engine = Engine::new(&config).map_err(unusable)?;
        let module = wasmtime::Module::new(&engine, wasm).map_err(unusable)?;
        if module.get_export("proxy_abi_version_0_2_1").is_none() {
            return Err(InvalidModule::NoAbi);
        }
        let mut linker = Linker::new(&engine);
        calls::link(&mut linker).map_err(unusable)?;
        wasi::link(&mut linker).map_err(unusable)?;
        for import in module.imports() {
            let (from, name) = (import.module(), import.name());
            let ExternType::Func(kind) = import.ty() else {
                continue;
            };
            if from != "env" || !MENTIONED.contains(&name) {
                continue;
            }
            linker
                .func_new(from, name, kind, |_, _, results| {
                    for result in results {
                        *result = Val::I32(Status::Unimplemented as i32);
                    }
                    Ok(())
                })
                .map_err(unusable)?;
        }
        let instance = linker.instantiate_pre(&module).map_err(unusable)?;
        let mut sha256 = String::with_capacity(64);
        for byte in Sha256::digest(wasm) {
            let _infallible = write!(sha256, "{byte:02x}");
        }
        Ok(Self {
            engine,
            instance,
            sha256,
        })
    }

    /// SHA-256 of the module's bytes, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

/// What the SDK's traits mention, so that it is imported, and the filter never calls: it is answered as unimplemented.
const MENTIONED: [&str; 20] = [
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_header_map_pairs",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_register_shared_queue",
    "proxy_resolve_shared_queue",
    "proxy_set_buffer_bytes",
    "proxy_set_header_map_pairs",
    "proxy_get_metric",
    "proxy_get_log_level",
];
