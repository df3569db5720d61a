//! The filter: what Envoy calls. It translates host calls into questions to `cutover-core` and its
//! answers into host calls; whatever is about traffic is decided there.

mod host;
mod metrics;
mod root;
mod stream;
mod worker;

mod entry {
    proxy_wasm::main! {{
        cutover_abi::log_to_proxy();
        proxy_wasm::set_root_context(|id| Box::new(crate::root::Root::new(id)));
    }}
}
