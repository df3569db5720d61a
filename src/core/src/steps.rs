//! Steps of a proxy's wall clock while a switch is staged. They move nothing, but whoever measures
//! clocks by other means than the one that the proxy shows has to know of them.

use crate::Service;
use crate::clock::Reading;
use crate::proxy::{Level, Proxy, Set, metric};
use crate::register::Staged;

/// A wall clock that moves by more than this between two looks was set, in nanoseconds. A clock that is
/// steered moves by less than a thousandth of the time between them.
const STEP: i64 = 1_000_000;

/// Begins to watch, for all VMs of the proxy.
pub(crate) fn begin(proxy: &impl Proxy, service: &Service, staged: &Staged) {
    let value = encode(staged, staged.offset);
    proxy.set_shared(&service.beside("stepped"), &value, 0);
}

/// Looks how far apart the clocks are, and counts a step since the `last` look of this VM: once a
/// proxy. Returns what it saw.
pub(crate) fn look(
    proxy: &impl Proxy,
    plugin: &str,
    service: &Service,
    staged: &Staged,
    last: Option<i64>,
) -> Option<i64> {
    // Read too far apart, they would look like a step.
    let Some(now) = Reading::take(proxy).filter(|now| now.width < STEP / 2) else {
        return last;
    };
    let offset = now.offset();
    if is_step(offset, last.unwrap_or(offset)) {
        let key = service.beside("stepped");
        let (value, number) = proxy.shared(&key).unzip();
        // Another VM may have counted this one already.
        let counted = value.and_then(|value| decode(staged, &value));
        if is_step(offset, counted.unwrap_or(staged.offset)) {
            let value = encode(staged, offset);
            if proxy.set_shared(&key, &value, number.unwrap_or(0)) == Set::Done {
                proxy.count(metric(plugin, service.name(), "clock_steps"));
                let by = offset.saturating_sub(last.unwrap_or(offset));
                // Rounded: the two clocks are not read at the very same moment.
                let by = by.saturating_add(by.signum() * STEP / 2) / STEP;
                let line = format!(
                    "cutover: service {}: the wall clock was set by {by} ms, which moves nothing",
                    service.name()
                );
                proxy.say(Level::Warn, &line);
            }
        }
    }
    Some(offset)
}

fn is_step(one: i64, other: i64) -> bool {
    one.saturating_sub(other).saturating_abs() > STEP
}

fn encode(staged: &Staged, offset: i64) -> Vec<u8> {
    let generation = staged.switch.generation.get();
    [generation.to_le_bytes(), offset.to_le_bytes()].concat()
}

/// The clocks' distance after the last step that was counted for this switch.
fn decode(staged: &Staged, bytes: &[u8]) -> Option<i64> {
    let (generation, offset) = bytes.split_first_chunk()?;
    let is_of_it = u64::from_le_bytes(*generation) == staged.switch.generation.get();
    is_of_it.then_some(i64::from_le_bytes(*offset.first_chunk()?))
}
