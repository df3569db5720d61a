//! What the logic of pushes needs of a proxy. The filter has it from host calls, models and simulators
//! have it from themselves.

use crate::Clock;

/// A proxy, as one of its VMs reaches it.
pub trait Proxy: Clock {
    /// A value that all workers share, and its compare-and-set number.
    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)>;

    /// Sets a shared value if its number is still `number`; one that is absent is set in any case.
    fn set_shared(&self, key: &str, value: &[u8], number: u32) -> Set;

    /// Sets a gauge.
    fn gauge(&self, name: String, value: u64);

    /// Adds one to a counter.
    fn count(&self, name: String);

    /// Writes a line to the proxy's log.
    fn say(&self, level: Level, line: &str);
}

/// What came of a compare-and-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// It is set.
    Done,
    /// Somebody else wrote first.
    Mismatch,
    /// The proxy cannot do it, with its status.
    Failed(u32),
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something happened as it should.
    Info,
    /// Something was not done as it was asked for.
    Warn,
    /// Something could not be done.
    Error,
}

/// The name of a service's metric.
pub fn metric(plugin: &str, service: &str, what: &str) -> String {
    format!("cutover.plugin.{plugin}.service.{service}.{what}")
}
