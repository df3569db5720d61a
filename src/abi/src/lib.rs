//! The host calls of the proxy-wasm ABI 0.2.1 that the filter makes.
//!
//! The SDK's own wrappers panic on every status that they do not expect, and a panic takes the
//! proxy's VM down. These take statuses as numbers and turn each of them into a value.

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::ptr;

const OK: u32 = 0;
const CAS_MISMATCH: u32 = 8;
const PLUGIN_CONFIGURATION: u32 = 7;
const REQUEST_HEADERS: u32 = 0;
const RESPONSE_HEADERS: u32 = 2;

#[expect(unsafe_code, reason = "the host's functions are declared as they are")]
mod abi {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) fn proxy_log(level: u32, text: *const u8, size: usize) -> u32;
        pub(super) fn proxy_get_header_map_value(
            map: u32,
            key: *const u8,
            key_size: usize,
            value: *mut *mut u8,
            value_size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_replace_header_map_value(
            map: u32,
            key: *const u8,
            key_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_remove_header_map_value(
            map: u32,
            key: *const u8,
            key_size: usize,
        ) -> u32;
        pub(super) fn proxy_get_shared_data(
            key: *const u8,
            key_size: usize,
            value: *mut *mut u8,
            value_size: *mut usize,
            cas: *mut u32,
        ) -> u32;
        pub(super) fn proxy_set_shared_data(
            key: *const u8,
            key_size: usize,
            value: *const u8,
            value_size: usize,
            cas: u32,
        ) -> u32;
        pub(super) fn proxy_get_buffer_bytes(
            buffer: u32,
            start: usize,
            max_size: usize,
            value: *mut *mut u8,
            value_size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_get_property(
            path: *const u8,
            path_size: usize,
            value: *mut *mut u8,
            value_size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_set_property(
            path: *const u8,
            path_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_define_metric(
            kind: u32,
            name: *const u8,
            name_size: usize,
            id: *mut u32,
        ) -> u32;
        pub(super) fn proxy_record_metric(id: u32, value: u64) -> u32;
        pub(super) fn proxy_increment_metric(id: u32, offset: i64) -> u32;
        pub(super) fn proxy_send_local_response(
            status: u32,
            details: *const u8,
            details_size: usize,
            body: *const u8,
            body_size: usize,
            headers: *const u8,
            headers_size: usize,
            grpc_status: i32,
        ) -> u32;
        pub(super) fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
        pub(super) fn proxy_set_effective_context(context: u32) -> u32;
        pub(super) fn proxy_continue_stream(stream: u32) -> u32;
    }

    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub(super) fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
    }
}

/// Runs a call that returns bytes; none on any status but OK.
fn bytes(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    if call(&raw mut data, &raw mut size) != OK {
        return None;
    }
    if data.is_null() || size == 0 {
        return Some(Vec::new());
    }
    #[expect(unsafe_code, reason = "the host hands over memory by pointer")]
    // SAFETY: the host got this block from `proxy_on_memory_allocate` of the SDK, which leaks a
    // boxed slice of exactly `size` bytes, filled it, and forgot it.
    let block = unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(data, size)) };
    Some(block.into_vec())
}

/// Declares a safe function around one host call whose pointers all come from live slices.
macro_rules! call {
    ($function:ident($($argument:expr),* $(,)?)) => {{
        #[expect(unsafe_code, reason = "a host call")]
        // SAFETY: every pointer is that of a slice or local that outlives the call, with its size.
        let result = unsafe { abi::$function($($argument),*) };
        result
    }};
}

/// The first value of a request header.
pub fn request_header(name: &str) -> Option<Vec<u8>> {
    bytes(|data, size| {
        call!(proxy_get_header_map_value(
            REQUEST_HEADERS,
            name.as_ptr(),
            name.len(),
            data,
            size
        ))
    })
}

/// Gives a request header one value, whatever it was before.
pub fn set_request_header(name: &str, value: &str) -> bool {
    set_header(REQUEST_HEADERS, name, value)
}

/// Gives a response header one value, whatever it was before.
pub fn set_response_header(name: &str, value: &str) -> bool {
    set_header(RESPONSE_HEADERS, name, value)
}

fn set_header(map: u32, name: &str, value: &str) -> bool {
    let (key, text) = (name.as_bytes(), value.as_bytes());
    let status = call!(proxy_replace_header_map_value(
        map,
        key.as_ptr(),
        key.len(),
        text.as_ptr(),
        text.len()
    ));
    status == OK
}

/// Removes a request header, all values of it.
pub fn remove_request_header(name: &str) -> bool {
    call!(proxy_remove_header_map_value(
        REQUEST_HEADERS,
        name.as_ptr(),
        name.len()
    )) == OK
}

/// A value that all workers share, and its compare-and-set number.
pub fn shared(key: &str) -> Option<(Vec<u8>, u32)> {
    let mut cas = 0;
    let value = bytes(|data, size| {
        call!(proxy_get_shared_data(
            key.as_ptr(),
            key.len(),
            data,
            size,
            &raw mut cas
        ))
    })?;
    Some((value, cas))
}

/// What came of a compare-and-set.
pub enum Set {
    /// It is set.
    Done,
    /// Somebody else wrote first.
    Mismatch,
    /// The host cannot do it, with its status.
    Failed(u32),
}

/// Sets a shared value if its number is still `cas`; a value that is absent is set in any case.
pub fn set_shared(key: &str, value: &[u8], cas: u32) -> Set {
    let (data, size) = (value.as_ptr(), value.len());
    match call!(proxy_set_shared_data(
        key.as_ptr(),
        key.len(),
        data,
        size,
        cas
    )) {
        OK => Set::Done,
        CAS_MISMATCH => Set::Mismatch,
        status => Set::Failed(status),
    }
}

/// Wall-clock time since 1970, in nanoseconds. Unlike that of the standard library it does not panic
/// where the host cannot tell it.
pub fn wall() -> Option<i64> {
    clock(0)
}

/// The host's monotonic clock, in nanoseconds.
pub fn monotonic() -> Option<i64> {
    clock(1)
}

/// A clock by its number in WASI.
fn clock(number: u32) -> Option<i64> {
    const PRECISION: u64 = 1;
    let mut time = 0;
    let status = call!(clock_time_get(number, PRECISION, &raw mut time));
    (status == OK).then(|| i64::try_from(time).ok()).flatten()
}

/// Has the current root context, or that of the current stream, called so often; 0 ends it.
pub fn set_tick_period(milliseconds: u32) -> bool {
    call!(proxy_set_tick_period_milliseconds(milliseconds)) == OK
}

/// Makes the calls that follow be about another context; false when that is gone.
pub fn set_effective_context(context: u32) -> bool {
    call!(proxy_set_effective_context(context)) == OK
}

/// Lets the current request go on.
pub fn resume_request() -> bool {
    const REQUEST: u32 = 0;
    call!(proxy_continue_stream(REQUEST)) == OK
}

/// The plugin's configuration.
pub fn plugin_configuration() -> Vec<u8> {
    bytes(|data, size| {
        call!(proxy_get_buffer_bytes(
            PLUGIN_CONFIGURATION,
            0,
            usize::MAX,
            data,
            size
        ))
    })
    .unwrap_or_default()
}

/// The plugin's name, as the proxy's configuration has it.
pub fn plugin_name() -> String {
    let path = "plugin_name";
    let name = bytes(|data, size| call!(proxy_get_property(path.as_ptr(), path.len(), data, size)));
    String::from_utf8_lossy(&name.unwrap_or_default()).into_owned()
}

/// Sets the filter state `wasm.<name>` of the current stream.
pub fn set_filter_state(name: &str, value: &str) -> bool {
    let (data, size) = (value.as_ptr(), value.len());
    call!(proxy_set_property(name.as_ptr(), name.len(), data, size)) == OK
}

/// Kinds of metrics, by their number in the ABI.
#[derive(Clone, Copy)]
pub enum Metric {
    /// Only grows.
    Counter = 0,
    /// Is set.
    Gauge = 1,
}

/// Defines a metric, or finds the one of that name.
pub fn define_metric(kind: Metric, name: &str) -> Option<u32> {
    let mut id = 0;
    let status = call!(proxy_define_metric(
        kind as u32,
        name.as_ptr(),
        name.len(),
        &raw mut id
    ));
    (status == OK).then_some(id)
}

/// Sets a gauge.
pub fn record_metric(id: u32, value: u64) -> bool {
    call!(proxy_record_metric(id, value)) == OK
}

/// Adds one to a counter.
pub fn increment_metric(id: u32) -> bool {
    call!(proxy_increment_metric(id, 1)) == OK
}

/// Answers the current request here; `details` is what access logs show as response code details.
pub fn respond(status: u32, details: &str, headers: &[(&str, &str)], body: &str) -> bool {
    const NO_GRPC_STATUS: i32 = -1;
    let headers = serialize(headers);
    let status = call!(proxy_send_local_response(
        status,
        details.as_ptr(),
        details.len(),
        body.as_ptr(),
        body.len(),
        headers.as_ptr(),
        headers.len(),
        NO_GRPC_STATUS
    ));
    status == OK
}

/// A header map as the ABI wants it: the number of pairs, the sizes of each, then each key and value
/// with a zero byte behind it.
fn serialize(pairs: &[(&str, &str)]) -> Vec<u8> {
    let size = |text: &str| u32::try_from(text.len()).unwrap_or(0).to_le_bytes();
    let mut bytes = u32::try_from(pairs.len())
        .unwrap_or(0)
        .to_le_bytes()
        .to_vec();
    for (key, value) in pairs {
        bytes.extend(size(key));
        bytes.extend(size(value));
    }
    for (key, value) in pairs {
        for text in [key, value] {
            bytes.extend(text.as_bytes());
            bytes.push(0);
        }
    }
    bytes
}

struct ProxyLog;

impl Log for ProxyLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Error => 4,
            Level::Warn => 3,
            Level::Info => 2,
            Level::Debug => 1,
            Level::Trace => 0,
        };
        let text = record.args().to_string();
        let _unheard = call!(proxy_log(level, text.as_ptr(), text.len()));
    }

    fn flush(&self) {}
}

/// Sends what is logged to the proxy's log.
pub fn log_to_proxy() {
    if log::set_logger(&ProxyLog).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
