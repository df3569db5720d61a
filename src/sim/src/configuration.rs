//! What is pushed: configurations of the plugin.

use std::sync::Arc;

use cutover_history::Color;
use serde_json::json;

use crate::clock::EPOCH;

/// A switch, as it stands in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Its generation.
    pub generation: u64,
    /// Its color.
    pub active: Color,
    /// When it activates, Unix ms, and for how long requests are held before and after that, ms; none is at once.
    pub due: Option<(u64, u64)>,
    /// Generation and color of the switch before.
    pub previous: Option<(u64, Color)>,
}

impl Switch {
    /// The plugin configuration that carries it: one service for all hosts, and clusters by the names of the colors.
    pub fn configuration(&self) -> Arc<[u8]> {
        let mut configuration = json!({
            "active": name(self.active),
            "generation": self.generation,
            "blue": "blue",
            "green": "green",
        });
        if let Some((generation, active)) = self.previous {
            let previous = json!({ "generation": generation, "active": name(active) });
            put(&mut configuration, "previous", previous);
        }
        if let Some((at, hold)) = self.due {
            put(&mut configuration, "activate_at", at.into());
            if hold > 0 {
                put(&mut configuration, "hold", hold.into());
            }
        }
        configuration.to_string().into_bytes().into()
    }
}

fn put(configuration: &mut serde_json::Value, key: &str, value: serde_json::Value) {
    if let Some(members) = configuration.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
}

/// A color's word.
pub(crate) fn name(color: Color) -> &'static str {
    match color {
        Color::Blue => "blue",
        Color::Green => "green",
    }
}

/// An instant of a run as Unix ms.
pub(crate) fn unix_ms(at: u64) -> u64 {
    EPOCH.saturating_add(at) / 1_000_000
}

/// An instant of a run as Unix µs.
pub(crate) fn unix_us(at: u64) -> u64 {
    EPOCH.saturating_add(at) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_says_when_it_activates_and_what_was_before() {
        let switch = Switch {
            generation: 2,
            active: Color::Green,
            due: Some((unix_ms(1_000_000), 20)),
            previous: Some((1, Color::Blue)),
        };
        let written: serde_json::Value = serde_json::from_slice(&switch.configuration()).unwrap();
        let expected = json!({
            "active": "green",
            "generation": 2,
            "activate_at": 1_795_294_800_001_u64,
            "hold": 20,
            "previous": { "generation": 1, "active": "blue" },
            "blue": "blue",
            "green": "green",
        });
        assert_eq!(written, expected);
    }
}
