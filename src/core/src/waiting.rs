//! The requests that wait in one VM of a proxy.

use std::collections::BTreeMap;

/// Requests that wait for their color, by what the host knows them by.
#[derive(Debug)]
pub struct Waiting<T> {
    /// In order of arrival, by the key of the register that they wait for: those of one register wait for
    /// one and the same.
    by_register: BTreeMap<String, BTreeMap<u32, T>>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self {
            by_register: BTreeMap::new(),
        }
    }
}

impl<T> Waiting<T> {
    /// Adds a request, unless as many as `most` wait: then false.
    pub fn add(&mut self, register_key: &str, id: u32, request: T, most: u64) -> bool {
        let waiting: usize = self.by_register.values().map(BTreeMap::len).sum();
        if u64::try_from(waiting).is_ok_and(|waiting| waiting >= most) {
            return false;
        }
        let group = self.by_register.entry(register_key.to_owned()).or_default();
        group.insert(id, request);
        true
    }

    /// Forgets a request that has ended, if it waited.
    pub fn forget(&mut self, id: u32) {
        self.by_register.retain(|_, group| {
            group.remove(&id);
            !group.is_empty()
        });
    }

    /// Takes out the requests whose register no longer holds them, as `is_held` says by its key.
    pub fn release(&mut self, is_held: impl Fn(&str) -> bool) -> Vec<(u32, T)> {
        let mut released = Vec::new();
        self.by_register.retain(|key, group| {
            let stays = is_held(key);
            if !stays {
                released.extend(std::mem::take(group));
            }
            stays
        });
        released
    }

    /// True when nobody waits.
    pub fn is_empty(&self) -> bool {
        self.by_register.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_released_in_order_of_arrival_with_those_of_their_register() {
        let mut waiting = Waiting::default();
        for (id, key) in [(3, "a"), (4, "b"), (5, "a"), (9, "a")] {
            assert!(waiting.add(key, id, (), 10));
        }
        assert!(waiting.release(|_| true).is_empty());
        assert_eq!(
            waiting.release(|key| key == "b"),
            [(3, ()), (5, ()), (9, ())]
        );
        assert!(!waiting.is_empty());
        assert_eq!(waiting.release(|_| false), [(4, ())]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn the_bound_is_over_all_registers_and_who_leaves_makes_room() {
        let mut waiting = Waiting::default();
        assert!(waiting.add("a", 1, (), 2) && waiting.add("b", 2, (), 2));
        assert!(!waiting.add("a", 3, (), 2));
        waiting.forget(7);
        assert!(!waiting.add("a", 3, (), 2));
        waiting.forget(2);
        assert!(waiting.add("a", 3, (), 2));
        assert_eq!(waiting.release(|_| false), [(1, ()), (3, ())]);
    }

    #[test]
    fn nobody_waits_once_the_last_one_has_left() {
        let mut waiting = Waiting::default();
        assert!(waiting.add("a", 1, (), 2));
        waiting.forget(1);
        assert!(waiting.is_empty());
    }
}
