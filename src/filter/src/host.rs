//! The proxy, and the request that it is calling for, as `cutover-core` asks for them.

use crate::metrics;
use cutover_abi as host;
use cutover_core::{Clock, Level, Proxy, Request, Set};
use log::{error, info, warn};

/// Stands for whatever the host is calling for.
#[derive(Clone, Copy)]
pub(crate) struct Host;

impl Clock for Host {
    fn wall(&self) -> Option<i64> {
        host::wall()
    }

    fn monotonic(&self) -> Option<i64> {
        host::monotonic()
    }
}

impl Proxy for Host {
    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        host::shared(key)
    }

    fn set_shared(&self, key: &str, value: &[u8], number: u32) -> Set {
        match host::set_shared(key, value, number) {
            host::Set::Done => Set::Done,
            host::Set::Mismatch => Set::Mismatch,
            host::Set::Failed(status) => Set::Failed(status),
        }
    }

    fn gauge(&self, name: String, value: u64) {
        metrics::gauge(name, value);
    }

    fn count(&self, name: String) {
        metrics::count(name);
    }

    fn say(&self, level: Level, line: &str) {
        match level {
            Level::Info => info!("{line}"),
            Level::Warn => warn!("{line}"),
            Level::Error => error!("{line}"),
        }
    }
}

impl Request for Host {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        let value = host::request_header(name);
        #[cfg(feature = "broken-panics-on-utf8")]
        #[expect(clippy::unwrap_used, reason = "this build is broken on purpose")]
        String::from_utf8(value.clone().unwrap_or_default()).unwrap();
        value
    }

    fn shared(&self, key: &str) -> Option<Vec<u8>> {
        host::shared(key).map(|(value, _)| value)
    }
}
