//! Stats: one for each name in a whole proxy.

use std::collections::BTreeMap;

use super::Status;

/// Counters and gauges.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    names: BTreeMap<Box<str>, usize>,
    values: Vec<(Kind, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

impl Stats {
    /// Defines a stat or finds it. Envoy gives a new number to every definition, and keeps it as long as the VM; all of one
    /// name are one stat. Here they have one number.
    pub(crate) fn define(&mut self, kind: u32, name: &str) -> Result<u32, Status> {
        let kind = match kind {
            0 => Kind::Counter,
            1 => Kind::Gauge,
            // Histograms there are, but not here: the module has none.
            _ => return Err(Status::BadArgument),
        };
        let next = self.values.len();
        let index = *self.names.entry(name.into()).or_insert(next);
        if index == next {
            self.values.push((kind, 0));
        }
        u32::try_from(index).map_err(|_| Status::BadArgument)
    }

    /// Sets a gauge; a counter is set by its difference, and only forward.
    pub(crate) fn record(&mut self, id: u32, value: u64) -> Status {
        match self.stat(id) {
            Some((Kind::Gauge, gauge)) => *gauge = value,
            Some((Kind::Counter, counter)) => *counter = (*counter).max(value),
            None => return Status::NotFound,
        }
        Status::Ok
    }

    /// Adds to a stat; a counter refuses to shrink.
    pub(crate) fn increment(&mut self, id: u32, by: i64) -> Status {
        match self.stat(id) {
            Some((Kind::Counter, _)) if by <= 0 => Status::BadArgument,
            Some((_, value)) => {
                *value = value.saturating_add_signed(by);
                Status::Ok
            }
            None => Status::NotFound,
        }
    }

    /// What a stat shows; none when nobody defined it.
    pub(crate) fn shown(&self, name: &str) -> Option<u64> {
        let index = self.names.get(name)?;
        self.values.get(*index).map(|(_, value)| *value)
    }

    fn stat(&mut self, id: u32) -> Option<(Kind, &mut u64)> {
        let (kind, value) = self.values.get_mut(usize::try_from(id).ok()?)?;
        Some((*kind, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_of_one_name_are_one() {
        let mut stats = Stats::default();
        let counter = stats.define(0, "seen").unwrap();
        assert_eq!(stats.define(0, "seen"), Ok(counter));
        assert_eq!(stats.increment(counter, 2), Status::Ok);
        assert_eq!(stats.increment(counter, 0), Status::BadArgument);
        assert_eq!(stats.shown("seen"), Some(2));
        let gauge = stats.define(1, "is").unwrap();
        assert_eq!(stats.record(gauge, 9), Status::Ok);
        assert_eq!(stats.increment(gauge, -4), Status::Ok);
        assert_eq!(stats.shown("is"), Some(5));
        assert_eq!(stats.record(99, 1), Status::NotFound);
        assert_eq!(stats.shown("other"), None);
    }
}
