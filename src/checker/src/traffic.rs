//! What the traffic of a scope could have seen.

use std::collections::{BTreeMap, HashMap};

use cutover_history::{Header, Scope};

use crate::record::Record;

/// Times of each proxy in which something was so, as weather tells it.
#[derive(Default)]
pub(crate) struct Times(BTreeMap<u32, Vec<(u64, u64)>>);

impl Times {
    pub(crate) fn add(&mut self, proxy: u32, from: u64, until: u64) {
        self.0.entry(proxy).or_default().push((from, until));
    }

    /// Makes the intervals of each proxy ascending and disjoint.
    pub(crate) fn merge(&mut self) {
        for intervals in self.0.values_mut() {
            intervals.sort_unstable();
            let mut merged: Vec<(u64, u64)> = Vec::with_capacity(intervals.len());
            for &(from, until) in intervals.iter() {
                match merged.last_mut() {
                    Some((_, last)) if from <= *last => *last = (*last).max(until),
                    _ => merged.push((from, until)),
                }
            }
            *intervals = merged;
        }
    }

    /// Whether a request overlaps one of its proxy's.
    pub(crate) fn overlap(&self, record: &Record) -> bool {
        !self
            .within(record.proxy(), record.start, record.end)
            .is_empty()
    }

    /// The times of a proxy that overlap [from, until].
    fn within(&self, proxy: u32, from: u64, until: u64) -> &[(u64, u64)] {
        let intervals = self.0.get(&proxy).map(Vec::as_slice).unwrap_or_default();
        let low = intervals.partition_point(|&(_, end)| end < from);
        let high = intervals.partition_point(|&(start, _)| start <= until);
        intervals.get(low..high).unwrap_or_default()
    }
}

/// When proxies were not as usual.
#[derive(Default)]
pub(crate) struct Absences {
    /// Down, because they were killed: their requests may fail.
    pub(crate) killed: Times,
    /// Not part of the fleet: nothing was sent to them.
    pub(crate) away: Times,
}

impl Absences {
    pub(crate) fn merge(&mut self) {
        self.killed.merge();
        self.away.merge();
    }
}

/// The requests of one scope, ready to be asked about intervals.
pub(crate) struct Traffic<'a> {
    /// The proxy, when the scope is one.
    pub(crate) proxy: Option<u32>,
    /// Ascending by start.
    pub(crate) records: &'a [Record],
    pub(crate) absences: &'a Absences,
    /// How far around a flip the traffic is looked at, ns.
    pub(crate) margin: u64,
    starts: Vec<(u32, Starts)>,
}

impl<'a> Traffic<'a> {
    pub(crate) fn new(
        header: &Header,
        unit: u32,
        records: &'a [Record],
        absences: &'a Absences,
    ) -> Self {
        let (proxy, proxies) = match header.scope {
            Scope::Proxy => (Some(unit), unit..=unit),
            Scope::Fleet => {
                let last = header.proxies.len().saturating_sub(1);
                (None, 0..=u32::try_from(last).unwrap_or(u32::MAX))
            }
        };
        let mut starts: Vec<(u32, Starts)> =
            proxies.map(|proxy| (proxy, Starts::default())).collect();
        for record in records {
            if record.read().is_some()
                && let Some((_, starts)) = starts.get_mut((record.proxy() - unit) as usize)
            {
                starts.push(record.start);
            }
        }
        // Twice, so that a gap as wide as the window fits in whole.
        let margin = header.window_ns.saturating_mul(2);
        Self {
            proxy,
            records,
            absences,
            margin,
            starts,
        }
    }

    /// The longest time within [from, until] in which no read began at one of the proxies, though it
    /// was there and was not being killed. A kill that overlaps the flip itself, [pushed, settled], is
    /// no excuse: who was down did not see it.
    pub(crate) fn largest_gap(
        &self,
        (from, until): (u64, u64),
        (pushed, settled): (u64, u64),
    ) -> u64 {
        let gaps = self.starts.iter().map(|(proxy, starts)| {
            let killed = self.absences.killed.within(*proxy, from, until).iter();
            let excused = killed.filter(|(down, up)| *down > settled || *up < pushed);
            let away = self.absences.away.within(*proxy, from, until);
            let mut absent: Vec<_> = excused.chain(away).copied().collect();
            absent.sort_unstable();
            let mut largest = 0;
            let mut from = from;
            for (gone, back) in absent {
                if gone > from {
                    largest = largest.max(starts.largest_gap(from, gone));
                }
                from = from.max(back);
            }
            if from < until {
                largest.max(starts.largest_gap(from, until))
            } else {
                largest
            }
        });
        gaps.max().unwrap_or_default()
    }

    /// Reads that began in [from, until), at the proxy that has fewest of those that were there.
    pub(crate) fn fewest_reads(&self, from: u64, until: u64) -> u64 {
        let there = self.starts.iter().filter(|(proxy, _)| {
            let away = self.absences.away.within(*proxy, from, until);
            !away
                .iter()
                .any(|(gone, back)| *gone <= from || *back >= until)
        });
        let reads = there.map(|(_, starts)| starts.count(from, until));
        reads.min().unwrap_or_default()
    }

    /// When the last of the proxies that were there in all of [from, until] had given its first read of
    /// a generation, by rank; none when one of them gave none.
    pub(crate) fn last_proxy(
        &self,
        first: &FirstReads,
        rank: usize,
        (from, until): (u64, u64),
    ) -> Option<u64> {
        let proxies = self.starts.iter().map(|(proxy, _)| *proxy);
        proxies
            .filter(|proxy| self.absences.away.within(*proxy, from, until).is_empty())
            .map(|proxy| first.get(&(rank, proxy)).copied())
            .try_fold(0, |latest, end| Some(latest.max(end?)))
    }

    /// When each proxy's first read of each generation was in.
    pub(crate) fn first_reads(&self) -> FirstReads {
        let mut first = FirstReads::new();
        for record in self.records {
            if let Some(rank) = record.read() {
                let end = first.entry((rank, record.proxy())).or_insert(record.end);
                *end = (*end).min(record.end);
            }
        }
        first
    }
}

/// The end of the first read, by rank of the generation and proxy.
pub(crate) type FirstReads = HashMap<(usize, u32), u64>;

/// How many starts share one entry of [`Starts::blocks`].
const BLOCK: usize = 1024;

/// Instants in ascending order, with the largest gap of each block so that no question is answered
/// by reading them all.
#[derive(Default)]
struct Starts {
    instants: Vec<u64>,
    /// The largest gap that ends at an instant of the block.
    blocks: Vec<u64>,
}

impl Starts {
    fn push(&mut self, at: u64) {
        let gap = self.instants.last().map_or(0, |last| at - last);
        if self.instants.len().is_multiple_of(BLOCK) {
            self.blocks.push(gap);
        } else if let Some(block) = self.blocks.last_mut() {
            *block = (*block).max(gap);
        }
        self.instants.push(at);
    }

    fn count(&self, from: u64, until: u64) -> u64 {
        let low = self.instants.partition_point(|&at| at < from);
        let high = self.instants.partition_point(|&at| at < until);
        u64::try_from(high.saturating_sub(low)).unwrap_or(u64::MAX)
    }

    /// The largest gap in [from, until], its edges included.
    fn largest_gap(&self, from: u64, until: u64) -> u64 {
        let low = self.instants.partition_point(|&at| at < from);
        let high = self.instants.partition_point(|&at| at <= until);
        let within = self.instants.get(low..high).unwrap_or_default();
        let (Some(first), Some(last)) = (within.first(), within.last()) else {
            return until - from;
        };
        (first - from)
            .max(until - last)
            .max(self.largest_between(low, high))
    }

    /// The largest gap between neighbors of the instants `low..high`.
    fn largest_between(&self, low: usize, high: usize) -> u64 {
        let scan = |low: usize, high: usize| {
            let pairs = self.instants.get(low..high).unwrap_or_default().windows(2);
            pairs
                .filter_map(|pair| Some(pair.last()? - pair.first()?))
                .max()
                .unwrap_or_default()
        };
        let (first, last) = (low / BLOCK + 1, high / BLOCK);
        if first >= last {
            return scan(low, high);
        }
        let blocks = self
            .blocks
            .get(first..last)
            .unwrap_or_default()
            .iter()
            .copied()
            .max();
        // Gaps that end in a whole block are in `blocks`; the others end before or after those.
        scan(low, first * BLOCK)
            .max(blocks.unwrap_or_default())
            .max(scan(last * BLOCK - 1, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_gap_by_blocks_is_the_one_by_reading_all() {
        let mut starts = Starts::default();
        let (mut at, mut state) = (0_u64, 1_u64);
        for _ in 0..5_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            at += state >> 50;
            starts.push(at);
        }
        for (from, until) in [
            (0, at),
            (17, at - 9),
            (at / 3, at / 2),
            (at / 2, at / 2 + 1),
            (at, at + 50),
            (0, 0),
        ] {
            let mut expected = 0;
            let mut last = from;
            for &at in starts
                .instants
                .iter()
                .filter(|&&at| at >= from && at <= until)
            {
                expected = expected.max(at - last);
                last = at;
            }
            expected = expected.max(until - last);
            assert_eq!(starts.largest_gap(from, until), expected, "{from}..{until}");
        }
    }
}
