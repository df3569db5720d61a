//! Turns what the compiler made of the filter into the module that is shipped.
//!
//! The SDK exports a callback for everything that a proxy can tell a filter, and a proxy calls each
//! export that it finds, several times a request. Only those in [`EXPORTS`] do anything here: the
//! others are removed, with the code that nothing else reaches. A module that imports more than
//! [`IMPORTS`] is refused, as a proxy need not have it: host functions of the proxy-wasm ABI 0.2.1 (of
//! which the SDK's traits mention more than the filter calls) and the part of WASI that proxies offer.
//!
//! At last the module gets its build id, the first eight bytes of the SHA-256 of all the rest: where the
//! filter reads it (`src/core/src/identity.rs`), and in a custom section, where tools do.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::{collections::BTreeSet, env, error::Error, fs, process::ExitCode};
use walrus::Module;

const EXPORTS: &[&str] = &[
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_memory_allocate",
    "proxy_on_request_headers",
    "proxy_on_response_headers",
    "proxy_on_tick",
];

/// What the filter has in the place of a build id: a mark, and eight bytes to overwrite.
const STAMP: &[u8] = b"cutover.build.id--------";

/// The custom section with version and build id.
const SECTION: &str = "cutover.build";

const IMPORTS: &[&str] = &[
    "env.proxy_add_header_map_value",
    "env.proxy_call_foreign_function",
    "env.proxy_close_stream",
    "env.proxy_continue_stream",
    "env.proxy_define_metric",
    "env.proxy_dequeue_shared_queue",
    "env.proxy_done",
    "env.proxy_enqueue_shared_queue",
    "env.proxy_get_buffer_bytes",
    "env.proxy_get_current_time_nanoseconds",
    "env.proxy_get_header_map_pairs",
    "env.proxy_get_header_map_value",
    "env.proxy_get_property",
    "env.proxy_get_shared_data",
    "env.proxy_get_status",
    "env.proxy_grpc_call",
    "env.proxy_grpc_cancel",
    "env.proxy_grpc_close",
    "env.proxy_grpc_send",
    "env.proxy_grpc_stream",
    "env.proxy_http_call",
    "env.proxy_increment_metric",
    "env.proxy_log",
    "env.proxy_record_metric",
    "env.proxy_register_shared_queue",
    "env.proxy_remove_header_map_value",
    "env.proxy_replace_header_map_value",
    "env.proxy_resolve_shared_queue",
    "env.proxy_send_local_response",
    "env.proxy_set_buffer_bytes",
    "env.proxy_set_effective_context",
    "env.proxy_set_header_map_pairs",
    "env.proxy_set_property",
    "env.proxy_set_shared_data",
    "env.proxy_set_tick_period_milliseconds",
    "wasi_snapshot_preview1.clock_time_get",
    "wasi_snapshot_preview1.environ_get",
    "wasi_snapshot_preview1.environ_sizes_get",
    "wasi_snapshot_preview1.fd_write",
    "wasi_snapshot_preview1.proc_exit",
    "wasi_snapshot_preview1.random_get",
];

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]
fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        eprintln!("usage: cutover-pack-module FROM.wasm TO.wasm");
        return ExitCode::from(2);
    };
    match pack(from, to) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cutover-pack-module: {error}");
            ExitCode::FAILURE
        }
    }
}

fn pack(from: &str, to: &str) -> Result<String, Box<dyn Error>> {
    let mut module = Module::from_file(from)?;
    let (kept, removed): (Vec<_>, Vec<_>) = module
        .exports
        .iter()
        .map(|export| (export.id(), export.name.clone()))
        .partition(|(_, name)| EXPORTS.contains(&name.as_str()));
    if kept.len() < EXPORTS.len() {
        let kept: BTreeSet<_> = kept.iter().map(|(_, name)| name.as_str()).collect();
        let missing: Vec<_> = EXPORTS
            .iter()
            .filter(|name| !kept.contains(*name))
            .collect();
        return Err(format!("{from} lacks exports: {missing:?}").into());
    }
    for (id, _) in removed {
        module.exports.delete(id);
    }
    walrus::passes::gc::run(&mut module);
    let imports = module
        .imports
        .iter()
        .map(|import| format!("{}.{}", import.module, import.name));
    let unknown: Vec<_> = imports
        .filter(|name| !IMPORTS.contains(&name.as_str()))
        .collect();
    if !unknown.is_empty() {
        return Err(format!("{from} imports what a proxy need not have: {unknown:?}").into());
    }
    let mut bytes = module.emit_wasm();
    let build = stamp(&mut bytes).ok_or_else(|| format!("{from} has no place for a build id"))?;
    // Left alone where it is the same: what is built from it is then not built again.
    if fs::read(to).ok().as_deref() != Some(&bytes) {
        fs::write(to, &bytes)?;
    }
    let digest = hex(&Sha256::digest(&bytes));
    Ok(format!(
        "{to}: build {build}, {} bytes, sha256 {digest}",
        bytes.len()
    ))
}

/// Writes the build id into the module. None if it has not exactly one place for it.
fn stamp(module: &mut Vec<u8>) -> Option<String> {
    let digest = Sha256::digest(&*module);
    let id = digest.get(..8)?;
    let mut places = module.windows(STAMP.len()).enumerate();
    let mut place = || places.find_map(|(at, bytes)| (bytes == STAMP).then_some(at + STAMP.len()));
    let (end, None) = (place()?, place()) else {
        return None;
    };
    module.get_mut(end - id.len()..end)?.copy_from_slice(id);
    let build = hex(id);
    let content = format!(
        r#"{{"version": "{}", "build": "{build}"}}"#,
        env!("CARGO_PKG_VERSION")
    );
    let [name_length, content_length] = [SECTION.len(), content.len()].map(u8::try_from);
    // Lengths below 128 are one byte in a module.
    let section_length =
        1 + name_length.ok()? + content_length.ok().filter(|length| *length < 100)?;
    module.extend([0, section_length, name_length.ok()?]);
    module.extend(SECTION.bytes().chain(content.bytes()));
    Some(build)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_id_is_of_the_content_and_stands_in_two_places() {
        let whole = |content: &[u8]| [b"\0asm", content, STAMP, b"."].concat();
        let mut module = whole(b"one");
        let build = stamp(&mut module).unwrap();
        assert_eq!(build, hex(&Sha256::digest(whole(b"one"))[..8]));
        let text = String::from_utf8_lossy(&module).into_owned();
        assert!(!text.contains("--------"), "{text}");
        assert!(text.contains(&format!(r#""build": "{build}""#)), "{text}");
        assert_ne!(stamp(&mut whole(b"two")), Some(build.clone()));
        assert_eq!(stamp(&mut whole(b"one")), Some(build));
    }

    #[test]
    fn without_exactly_one_place_there_is_no_build_id() {
        assert_eq!(stamp(&mut b"\0asm".to_vec()), None);
        assert_eq!(stamp(&mut [STAMP, STAMP].concat()), None);
    }
}
