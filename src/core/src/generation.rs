//! The integer that orders the switches of a service.

use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// Orders the switches of a service: 1 to 2^53 - 1.
///
/// The upper bound is the largest integer that a JSON number keeps when it passes through a 64-bit
/// float, as it does in a `google.protobuf.Struct` (RFC 8259, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transparent))]
#[serde(transparent)]
pub struct Generation(
    #[cfg_attr(
        feature = "schema",
        schemars(range(min = 1, max = 9_007_199_254_740_991_i64))
    )]
    u64,
);

/// A number that is no generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("generation {0} is outside 1 to 9007199254740991")]
pub struct InvalidGeneration(u64);

impl Generation {
    /// The largest generation, 2^53 - 1.
    pub const MAX: u64 = (1 << 53) - 1;

    /// Checks the range.
    pub fn new(number: u64) -> Result<Self, InvalidGeneration> {
        if (1..=Self::MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(InvalidGeneration(number))
        }
    }

    /// The number itself.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The generation of a switch that follows `last` and is written at `unix_ms`.
    ///
    /// Wall-clock milliseconds make it readable and unique among writers that do not know of each
    /// other; the maximum keeps it growing when the clock stepped back.
    pub fn after(last: Option<Self>, unix_ms: u64) -> Result<Self, InvalidGeneration> {
        Self::new(last.map_or(1, |g| g.0 + 1).max(unix_ms))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Generation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Generation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer from 1 to 9007199254740991")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Generation, E> {
                Generation::new(number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            // A control plane that kept the number as a float may print it as 1.7e12.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "the range and the fraction are checked first"
            )]
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Generation, E> {
                let whole = number.fract() == 0.0;
                if whole && number >= 1.0 && number <= Generation::MAX as f64 {
                    return self.visit_u64(number as u64);
                }
                Err(E::invalid_value(de::Unexpected::Float(number), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
