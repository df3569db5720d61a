//! Durations for people.

use std::fmt;

/// A duration in nanoseconds, shown in the largest unit that fits, cut after three decimals.
#[derive(Clone, Copy)]
pub(crate) struct Span(pub(crate) u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            0..1_000 => return write!(f, "{} ns", self.0),
            1_000..1_000_000 => (1_000, "us"),
            1_000_000..1_000_000_000 => (1_000_000, "ms"),
            _ => (1_000_000_000, "s"),
        };
        let thousandths = self.0 % unit / (unit / 1_000);
        if thousandths == 0 {
            return write!(f, "{} {name}", self.0 / unit);
        }
        let digits = format!("{thousandths:03}");
        write!(
            f,
            "{}.{} {name}",
            self.0 / unit,
            digits.trim_end_matches('0')
        )
    }
}
