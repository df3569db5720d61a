//! What a proxy shows of its registers, as gauges.

use crate::Service;
use crate::clock::switch_clock;
use crate::proxy::{Proxy, metric};
use crate::register::{Register, Staged};

/// How often gauges are set anew because the register changed meanwhile.
const ATTEMPTS: u32 = 100;

/// Sets the gauges of a service from its register. Whoever sets them looks again afterwards: a VM that
/// was overtaken by a push between its look and its gauges would else leave the old ones behind.
///
/// Those of a staged switch are set where there is one, and where `was_staged` says that there was.
pub(crate) fn show(proxy: &impl Proxy, plugin: &str, service: &Service, mut was_staged: bool) {
    for _attempt in 0..ATTEMPTS {
        let Some((bytes, number)) = proxy.shared(service.register_key()) else {
            return;
        };
        let Some(Register { committed, staged }) = Register::decode(&bytes) else {
            return;
        };
        let gauge = |what, value| proxy.gauge(metric(plugin, service.name(), what), value);
        gauge("active", committed.active.number().into());
        gauge("generation", committed.generation.get());
        was_staged |= staged.is_some();
        if was_staged {
            let (at, hold) = staged.map_or((0, 0), |s| (s.activation.at(), s.activation.hold()));
            gauge("staged", staged.map_or(0, |s| s.switch.generation.get()));
            gauge("activate_at", at);
            gauge("hold", hold.into());
            match staged {
                Some(staged) => {
                    show_clock(proxy, plugin, service, &staged);
                }
                None => gauge("clock", 0),
            }
        }
        let again = proxy.shared(service.register_key());
        if again.is_none_or(|(_, again)| again == number) {
            return;
        }
    }
}

/// Shows that a service has no register as far as this configuration goes.
pub(crate) fn show_without_generation(proxy: &impl Proxy, plugin: &str, service: &Service) {
    let gauge = |what, value| proxy.gauge(metric(plugin, service.name(), what), value);
    gauge("active", service.switch().active.number().into());
    gauge("generation", 0);
    proxy.set_shared(&service.beside("unordered"), b"1", 0);
}

/// Shows the clock that a staged switch goes by, in Unix microseconds; returns it in nanoseconds.
pub(crate) fn show_clock(
    proxy: &impl Proxy,
    plugin: &str,
    service: &Service,
    staged: &Staged,
) -> Option<i64> {
    let x = switch_clock(proxy, staged.offset)?;
    let micros = u64::try_from(x / 1000).unwrap_or(0);
    proxy.gauge(metric(plugin, service.name(), "clock"), micros);
    Some(x)
}
