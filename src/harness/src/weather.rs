//! What happens to proxies between flips, planned from the seed.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// One thing that happens to one proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// What.
    pub(crate) trouble: Trouble,
    /// To which proxy, by index.
    pub(crate) proxy: u32,
    /// To which of its workers, where one is meant.
    pub(crate) worker: u32,
    /// How long it lasts, where it lasts; how long a bad file lies there.
    pub(crate) time: Duration,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Trouble {
    /// The configuration before the present one is pushed once more, byte for byte.
    Replayed,
    /// An older generation that the proxy has never seen.
    Older,
    /// The committed generation with the other color.
    Conflict,
    /// A newer generation and at once the older one; then the newer again.
    OutOfOrder,
    /// The first half of the file.
    Torn,
    /// A configuration with a field that does not exist.
    UnknownField,
    /// A configuration with a color that does not exist.
    Purple,
    /// The proxy is killed and started again.
    Killed,
    /// The proxy is stopped and resumed.
    Paused,
    /// One worker gets next to no CPU while the next flip happens.
    Starved,
}

const DECK: [Trouble; 10] = [
    Trouble::Replayed,
    Trouble::Older,
    Trouble::Conflict,
    Trouble::OutOfOrder,
    Trouble::Torn,
    Trouble::UnknownField,
    Trouble::Purple,
    Trouble::Killed,
    Trouble::Paused,
    Trouble::Starved,
];

/// The gap before one flip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// From the flip before to this one.
    pub(crate) pause: Duration,
    /// What happens in between, in order.
    pub(crate) events: Vec<Event>,
}

/// Plans the gaps of a run, one at a time and without end: its memory does not grow with the run.
#[derive(Debug)]
pub(crate) struct Forecast {
    random: StdRng,
    pause: Duration,
    proxies: u32,
    workers: u32,
    /// Events in each gap.
    each: usize,
    deck: Vec<Trouble>,
}

impl Forecast {
    /// Plans so that in `flips` gaps every kind of trouble comes at least once, when there is any.
    pub(crate) fn new(
        seed: u64,
        pause: Duration,
        flips: u32,
        (proxies, workers): (u32, u32),
        weather: bool,
    ) -> Self {
        let each = if weather {
            DECK.len().div_ceil(flips.max(1) as usize)
        } else {
            0
        };
        // Not the numbers that the clients' schedules start from.
        let random = StdRng::seed_from_u64(seed ^ 0x7765_6174_6865_7221);
        Self {
            random,
            pause,
            proxies: proxies.max(1),
            workers: workers.max(1),
            each,
            deck: vec![],
        }
    }

    /// The next gap.
    pub(crate) fn gap(&mut self) -> Gap {
        let pause = self.pause.mul_f64(self.random.random_range(0.5..1.5));
        let events = (0..self.each).filter_map(|_| self.event()).collect();
        Gap { pause, events }
    }

    fn event(&mut self) -> Option<Event> {
        if self.deck.is_empty() {
            self.deck.extend(DECK);
            self.deck.shuffle(&mut self.random);
        }
        Some(Event {
            trouble: self.deck.pop()?,
            proxy: self.random.random_range(0..self.proxies),
            worker: self.random.random_range(0..self.workers),
            time: Duration::from_millis(self.random.random_range(100..300)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn gaps(seed: u64, flips: u32, weather: bool) -> Vec<Gap> {
        let pause = Duration::from_secs(1);
        let mut forecast = Forecast::new(seed, pause, flips, (3, 4), weather);
        (0..flips).map(|_| forecast.gap()).collect()
    }

    #[test]
    fn same_seed_plans_the_same_weather() {
        assert_eq!(gaps(1, 50, true), gaps(1, 50, true));
        assert_ne!(gaps(1, 50, true), gaps(2, 50, true));
    }

    #[test]
    fn every_kind_comes_in_a_run_of_any_length() {
        for flips in [1, 3, 10, 40] {
            let seen: HashSet<_> = gaps(5, flips, true)
                .into_iter()
                .flat_map(|gap| gap.events)
                .inspect(|event| assert!(event.proxy < 3 && event.worker < 4))
                .map(|event| event.trouble)
                .collect();
            assert_eq!(seen.len(), DECK.len(), "{flips} flips");
        }
    }

    #[test]
    fn without_weather_nothing_happens_between_flips() {
        let gaps = gaps(5, 20, false);
        assert!(gaps.iter().all(|gap| gap.events.is_empty()));
        assert!(
            gaps.iter()
                .all(|gap| (500..1500).contains(&gap.pause.as_millis()))
        );
    }
}
