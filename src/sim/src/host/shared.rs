//! Shared data: one map for a whole proxy, all of its threads and both generations of its filter.

use std::collections::BTreeMap;

use super::Status;

/// A value and its number.
type Value = (Box<[u8]>, u32);

/// Values with their compare-and-set numbers.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    values: BTreeMap<Box<[u8]>, Value>,
    /// One counter for all values, as Envoy has it.
    last: u32,
}

impl Shared {
    pub(crate) fn get(&self, key: &[u8]) -> Option<(&[u8], u32)> {
        let (value, number) = self.values.get(key)?;
        Some((value, *number))
    }

    /// Sets a value. Number 0 sets it in any case, and so does every number where there was none: Envoy has no
    /// "create only if absent".
    pub(crate) fn set(&mut self, key: &[u8], value: &[u8], number: u32) -> Status {
        if let Some((_, current)) = self.values.get(key)
            && number != 0
            && number != *current
        {
            return Status::CasMismatch;
        }
        // It wraps around, and leaves 0 out.
        self.last = self.last.checked_add(1).unwrap_or(1);
        self.values.insert(key.into(), (value.into(), self.last));
        Status::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_number_that_was_read_sets_a_value() {
        let mut shared = Shared::default();
        assert_eq!(shared.get(b"a"), None);
        assert_eq!(
            shared.set(b"a", b"1", 99),
            Status::Ok,
            "an absent one is set"
        );
        let (_, number) = shared.get(b"a").unwrap();
        assert_eq!(shared.set(b"b", b"1", 0), Status::Ok);
        assert_eq!(shared.set(b"a", b"2", number), Status::Ok);
        assert_eq!(shared.set(b"a", b"3", number), Status::CasMismatch);
        assert_eq!(shared.set(b"a", b"4", 0), Status::Ok);
        assert_eq!(shared.get(b"a").unwrap().0, b"4");
    }
}
