//! A sample of a stream that is even, small and the same each time.

use std::collections::BinaryHeap;

/// Keeps up to a number of items, each as likely as any other, and counts them all.
///
/// Those with the smallest hashes of their lines are kept: the sample does not depend on the order.
pub(crate) struct Sample<T> {
    most: usize,
    kept: BinaryHeap<Item<T>>,
    pub(crate) seen: u64,
}

struct Item<T> {
    hash: u64,
    item: T,
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl<T> Eq for Item<T> {}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.hash.cmp(&other.hash)
    }
}

impl<T> Sample<T> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            kept: BinaryHeap::new(),
            seen: 0,
        }
    }

    /// Takes in an item; one that `must` be kept is, as long as there are no more of those than fit.
    pub(crate) fn add(&mut self, line: u32, must: bool, item: T) {
        self.seen += 1;
        let hash = if must { 0 } else { mix(line) };
        if self.kept.len() < self.most {
            self.kept.push(Item { hash, item });
        } else if self.kept.peek().is_some_and(|largest| hash < largest.hash) {
            self.kept.pop();
            self.kept.push(Item { hash, item });
        }
    }

    pub(crate) fn into_items(self) -> Vec<T> {
        self.kept.into_iter().map(|kept| kept.item).collect()
    }
}

/// The finalizer of `SplitMix64` (Steele, Lea, Flood, 2014), never 0 here.
fn mix(line: u32) -> u64 {
    let mut z = u64::from(line).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(lines: impl Iterator<Item = u32>) -> (Vec<u32>, u64) {
        let mut sample = Sample::new(100);
        for line in lines {
            sample.add(line, line == 7_777, line);
        }
        let seen = sample.seen;
        let mut items = sample.into_items();
        items.sort_unstable();
        (items, seen)
    }

    #[test]
    fn a_sample_is_even_and_keeps_what_it_must_in_any_order() {
        let (items, seen) = sampled(0..10_000);
        assert_eq!((items.len(), seen), (100, 10_000));
        assert_eq!(sampled((0..10_000).rev()).0, items);
        assert!(items.contains(&7_777));
        for quarter in 0..4 {
            let within = quarter * 2_500..(quarter + 1) * 2_500;
            let count = items.iter().filter(|&item| within.contains(item)).count();
            assert!((10..40).contains(&count), "{count} of 100 in {within:?}");
        }
    }

    #[test]
    fn all_is_kept_while_there_is_room() {
        assert_eq!(sampled(0..100).0, (0..100).collect::<Vec<_>>());
    }
}
