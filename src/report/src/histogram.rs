//! Latencies of one column, in little room.

/// Buckets of one doubling: a quantile is at most 1/32 above the true one.
const STEPS: u64 = 1 << FINE;
const FINE: u32 = 5;
/// Latencies below 2^10 ns share a bucket, those from 2^40 ns (18 minutes) on another.
const LOWEST: u32 = 10;
const HIGHEST: u32 = 40;
const BUCKETS: usize = ((HIGHEST - LOWEST) << FINE) as usize;

/// Counts latencies in buckets that grow with them; least and most are exact.
#[derive(Clone, Default)]
pub(crate) struct Histogram {
    counts: Vec<u32>,
    total: u64,
    least: u64,
    most: u64,
}

impl Histogram {
    pub(crate) fn add(&mut self, ns: u64) {
        if self.counts.is_empty() {
            self.counts = vec![0; BUCKETS];
            self.least = ns;
        }
        if let Some(count) = self.counts.get_mut(bucket(ns)) {
            *count = count.saturating_add(1);
        }
        self.total += 1;
        self.least = self.least.min(ns);
        self.most = self.most.max(ns);
    }

    pub(crate) fn least(&self) -> Option<u64> {
        (self.total > 0).then_some(self.least)
    }

    pub(crate) fn most(&self) -> Option<u64> {
        (self.total > 0).then_some(self.most)
    }

    /// A latency that this share of all do not exceed; at most 1/32 above the least such.
    pub(crate) fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut below = 0;
        let bucket = self.counts.iter().position(|count| {
            below += u64::from(*count);
            below >= rank
        })?;
        Some(upper_end(bucket).min(self.most))
    }
}

fn bucket(ns: u64) -> usize {
    let octave = ns.max(1).ilog2();
    if octave < LOWEST {
        return 0;
    }
    if octave >= HIGHEST {
        return BUCKETS - 1;
    }
    let step = (ns >> (octave - FINE)) - STEPS;
    let step = usize::try_from(step).unwrap_or_default();
    ((octave - LOWEST) << FINE) as usize + step
}

fn upper_end(bucket: usize) -> u64 {
    if bucket + 1 == BUCKETS {
        return u64::MAX;
    }
    let octave = LOWEST as usize + (bucket >> FINE);
    let step = bucket as u64 % STEPS;
    ((STEPS + step + 1) << (octave - FINE as usize)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_at_most_one_part_in_32_too_high() {
        let mut histogram = Histogram::default();
        let mut all: Vec<u64> = (1..2_000_u64).map(|n| n * n * 997 + 1_024).collect();
        for &ns in &all {
            histogram.add(ns);
        }
        all.sort_unstable();
        for percent in [1_usize, 50, 90, 99, 100] {
            let rank = (all.len() * percent).div_ceil(100) - 1;
            let found = histogram.percentile(percent as u64).unwrap();
            let exact = all[rank];
            assert!(
                (exact..=exact + exact / 32).contains(&found),
                "{percent}: {exact}, {found}"
            );
        }
        assert_eq!(histogram.most(), all.last().copied());
        assert_eq!(histogram.least(), all.first().copied());
    }

    #[test]
    fn the_smallest_and_the_largest_latency_have_a_bucket() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50), None);
        histogram.add(0);
        assert_eq!(histogram.percentile(50), Some(0));
        histogram.add(u64::MAX);
        assert_eq!(histogram.percentile(100), Some(u64::MAX));
    }
}
