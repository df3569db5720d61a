//! How long a push takes from the control plane to a proxy.

use std::str::FromStr;

use crate::random::Random;

/// A distribution of delays; all times in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// Always the same.
    Constant(u64),
    /// Anything from the one to the other.
    Uniform(u64, u64),
    /// Half of them above the median; the second number is the spread: by how many percent of it one standard deviation is more.
    LogNormal(u64, u64),
    /// As measured through istiod with 30 proxies and a WasmPlugin: the first proxy 246 to 324 ms after the write, the
    /// last one 170 to 235 ms after that.
    Istiod,
}

/// Says why a word is no distribution of delays.
#[derive(Debug, thiserror::Error)]
#[error(
    "delays are istiod, constant:TIME, uniform:TIME..TIME or lognormal:MEDIAN,SPREAD%, such as uniform:0ms..2s or \
     lognormal:50ms,80%"
)]
pub struct InvalidDelay;

/// Delays of one push to all of its proxies.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    delay: Delay,
    first: u64,
    spread: u64,
}

const MS: u64 = 1_000_000;

impl Delay {
    /// The delays of one push.
    pub fn of_push(self, random: &mut Random) -> Delays {
        Delays {
            delay: self,
            first: random.between(246 * MS, 324 * MS),
            spread: random.between(170 * MS, 235 * MS),
        }
    }
}

impl Delays {
    /// How long it takes to one more proxy.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a delay that is drawn: what is beyond a float's precision is of no interest"
    )]
    pub fn draw(&self, random: &mut Random) -> u64 {
        match self.delay {
            Delay::Constant(delay) => delay,
            Delay::Uniform(low, high) => random.between(low, high),
            Delay::LogNormal(median, spread) => {
                let sigma = (1.0 + spread as f64 / 100.0).ln();
                (median as f64 * (sigma * random.normal()).exp()) as u64
            }
            Delay::Istiod => self.first + random.below(self.spread),
        }
    }
}

impl FromStr for Delay {
    type Err = InvalidDelay;

    fn from_str(text: &str) -> Result<Self, InvalidDelay> {
        if text == "istiod" {
            return Ok(Self::Istiod);
        }
        let (kind, rest) = text.split_once(':').ok_or(InvalidDelay)?;
        match kind {
            "constant" => Ok(Self::Constant(time(rest)?)),
            "uniform" => {
                let (low, high) = rest.split_once("..").ok_or(InvalidDelay)?;
                let (low, high) = (time(low)?, time(high)?);
                (low <= high)
                    .then_some(Self::Uniform(low, high))
                    .ok_or(InvalidDelay)
            }
            "lognormal" => {
                let (median, spread) = rest.split_once(',').ok_or(InvalidDelay)?;
                let spread = spread.strip_suffix('%').ok_or(InvalidDelay)?;
                let spread = spread.parse().ok().filter(|spread| *spread <= 1_000);
                Ok(Self::LogNormal(time(median)?, spread.ok_or(InvalidDelay)?))
            }
            _ => Err(InvalidDelay),
        }
    }
}

/// A time such as `50ms` or `2s`, at most an hour, in ns.
fn time(text: &str) -> Result<u64, InvalidDelay> {
    let units = [("ms", MS), ("us", 1_000), ("s", 1_000 * MS)];
    let (number, unit) = units
        .iter()
        .find_map(|(unit, ns)| Some((text.strip_suffix(unit)?, *ns)))
        .ok_or(InvalidDelay)?;
    let number: u64 = number.parse().map_err(|_| InvalidDelay)?;
    let time = number
        .checked_mul(unit)
        .filter(|time| *time <= 3_600_000 * MS);
    time.ok_or(InvalidDelay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_read_as_they_are_written() {
        let read = |text: &str| text.parse::<Delay>().ok();
        assert_eq!(read("istiod"), Some(Delay::Istiod));
        assert_eq!(read("constant:50ms"), Some(Delay::Constant(50 * MS)));
        assert_eq!(read("uniform:0ms..2s"), Some(Delay::Uniform(0, 2_000 * MS)));
        assert_eq!(
            read("lognormal:50ms,80%"),
            Some(Delay::LogNormal(50 * MS, 80))
        );
        for wrong in [
            "",
            "uniform:2s..1s",
            "constant:5",
            "lognormal:5ms",
            "gamma:1ms",
            "constant:9999999s",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn delays_through_istiod_lie_where_they_were_measured() {
        let mut random = Random::of(7, 0);
        for _ in 0..100 {
            let delays = Delay::Istiod.of_push(&mut random);
            let drawn: Vec<_> = (0..30).map(|_| delays.draw(&mut random)).collect();
            assert!(
                drawn
                    .iter()
                    .all(|delay| (246 * MS..559 * MS).contains(delay)),
                "{drawn:?}"
            );
        }
    }

    #[test]
    fn half_of_the_lognormal_delays_are_above_their_median() {
        let mut random = Random::of(7, 0);
        let delays = Delay::LogNormal(50 * MS, 80).of_push(&mut random);
        let above = (0..10_000)
            .filter(|_| delays.draw(&mut random) > 50 * MS)
            .count();
        assert!((4_800..5_200).contains(&above), "{above}");
    }
}
