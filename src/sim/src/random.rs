//! Random numbers that are the same on every machine.

/// A generator (`SplitMix64`: Steele, Lea and Flood, 2014) that is given by a seed and what it is for.
#[derive(Clone, Debug)]
pub struct Random(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The generator of `index` in a run with this seed: each proxy has its own, so that none depends on how many
    /// others there are, or on which thread simulates it.
    pub fn of(seed: u64, index: u64) -> Self {
        let mut mixed = Self(seed.wrapping_add(index.wrapping_mul(0xd1b5_4a32_d192_ed03)));
        Self(mixed.number() ^ seed.rotate_left(17))
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.number()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or_default()
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let width = high.saturating_sub(low);
        low.saturating_add(self.below(width.saturating_add(1)))
    }

    /// A number from `-most` to `most`.
    pub fn around_zero(&mut self, most: u64) -> i64 {
        let number = self.below(most.saturating_mul(2).saturating_add(1));
        i64::try_from(i128::from(number) - i128::from(most)).unwrap_or_default()
    }

    /// True `n` times in `of`.
    pub fn chance(&mut self, n: u64, of: u64) -> bool {
        self.below(of) < n
    }

    /// A number from 0 up to 1.
    pub fn unit(&mut self) -> f64 {
        let high = u32::try_from(self.number() >> 32).unwrap_or_default();
        f64::from(high) / 4_294_967_296.0
    }

    /// A number of the standard normal distribution: twelve uniform ones, added (Irwin and Hall), so that only
    /// additions are needed, which are the same everywhere.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_on_every_machine() {
        let mut random = Random::of(7, 3);
        let numbers: Vec<_> = (0..3).map(|_| random.below(1000)).collect();
        let mut again = Random::of(7, 3);
        let repeated: Vec<_> = (0..3).map(|_| again.below(1000)).collect();
        assert_eq!(numbers, repeated);
        assert_ne!(Random::of(7, 4).number(), Random::of(7, 3).number());
        assert_ne!(Random::of(8, 3).number(), Random::of(7, 3).number());
    }

    #[test]
    fn numbers_stay_within_what_was_asked_for() {
        let mut random = Random::of(1, 1);
        for _ in 0..1000 {
            assert!((3..=5).contains(&random.between(3, 5)));
            assert!((-2..=2).contains(&random.around_zero(2)));
            assert!(random.below(1) == 0 && random.below(0) == 0);
            assert!((0.0..1.0).contains(&random.unit()));
        }
    }
}
