//! When requests are to be sent.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How requests are spread over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrival {
    /// Independent users: exponentially distributed gaps (a Poisson process), drawn from the seed.
    #[default]
    Exponential,
    /// Equal gaps, from a seeded offset on so that clients do not march in step.
    Fixed,
}

/// The intended times of one client, without end, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Schedule {
    arrival: Arrival,
    gap: f64,
    next: f64,
    random: StdRng,
}

impl Schedule {
    /// Plans `per_second` requests from `from` nanoseconds on.
    pub(crate) fn new(arrival: Arrival, per_second: f64, seed: u64, from: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let gap = 1e9 / per_second;
        #[expect(clippy::cast_precision_loss, reason = "2^53 ns are 104 days")]
        let next = from as f64 + random.random::<f64>() * gap;
        Self {
            arrival,
            gap,
            next,
            random,
        }
    }

    /// The next intended time.
    pub(crate) fn advance(&mut self) -> u64 {
        let due = self.next;
        self.next += match self.arrival {
            Arrival::Fixed => self.gap,
            // Inverse of the exponential distribution function; 1 - u is never 0.
            Arrival::Exponential => -(1.0 - self.random.random::<f64>()).ln() * self.gap,
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and saturating: a client without rate is never due"
        )]
        let due = due as u64;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arrival: Arrival, seed: u64, count: usize) -> Vec<u64> {
        let mut schedule = Schedule::new(arrival, 1000.0, seed, 5_000_000);
        (0..count).map(|_| schedule.advance()).collect()
    }

    #[test]
    fn same_seed_plans_the_same_times() {
        for arrival in [Arrival::Exponential, Arrival::Fixed] {
            assert_eq!(plan(arrival, 1, 100), plan(arrival, 1, 100));
            assert_ne!(plan(arrival, 1, 100), plan(arrival, 2, 100));
        }
    }

    #[test]
    fn times_start_at_the_given_one_and_never_go_back() {
        for arrival in [Arrival::Exponential, Arrival::Fixed] {
            let times = plan(arrival, 3, 1000);
            assert!(times[0] >= 5_000_000);
            assert!(times.is_sorted());
        }
    }

    #[test]
    fn rate_is_kept_on_average() {
        // 10,000 gaps of 1 ms on average; the mean of exponential gaps is within 5 %.
        let times = plan(Arrival::Exponential, 4, 10_001);
        let millis = (times[10_000] - times[0]) / 1_000_000;
        assert!((9_500..10_500).contains(&millis), "{millis}");
        let times = plan(Arrival::Fixed, 4, 10_001);
        assert_eq!((times[10_000] - times[0] + 500) / 1_000_000, 10_000);
    }
}
