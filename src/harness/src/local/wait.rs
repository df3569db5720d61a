//! How long requests waited inside an Envoy, as it measures that itself.

use super::WrongClock;

/// What an Envoy writes down of each request: when its first byte came, by its own clock; from then until the first byte
/// went upstream, in microseconds; what was decided. Between the two lie the filter, a hold if there was one, and the
/// choice of a connection: neither the client's nor the backend's wait for a CPU, but the Envoy's own.
const FORMAT: &str =
    "%START_TIME(%s.%6f)% %COMMON_DURATION(DS_RX_BEG:US_TX_BEG:us)% %REQ(X-CUTOVER-DECISION)%";

/// A bootstrap with such an access log.
pub(super) fn logged(bootstrap: &str) -> String {
    let line = |line: &str| match line.split_once("inline_string:") {
        Some((indent, _)) => format!("{indent}inline_string: \"{FORMAT}\\n\"\n"),
        None => format!("{line}\n"),
    };
    bootstrap.lines().map(line).collect()
}

/// One request as an Envoy saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waited {
    /// When it came, by the clock of its Envoy: microseconds since 1970.
    pub came_us: i64,
    /// How far that clock was ahead of the machine's.
    pub ahead_us: i64,
    /// How long it was in the Envoy before it went upstream, in microseconds.
    pub took_us: i64,
}

/// How long requests were inside an Envoy before they went upstream.
#[derive(Clone, Debug, Default)]
pub struct Waits(Vec<Waited>);

impl Waits {
    /// Takes in an access log. A line that is still being written, and a request that never went upstream, count not.
    pub(super) fn read(&mut self, log: &str, clock: WrongClock) {
        let lines = log.split_inclusive('\n');
        let whole = lines.filter_map(|line| line.strip_suffix('\n'));
        self.0.extend(whole.filter_map(|line| {
            let mut words = line.split(' ');
            let (seconds, micros) = words.next()?.split_once('.')?;
            let seconds: i64 = seconds.parse().ok()?;
            let micros: i64 = micros.parse().ok()?;
            Some(Waited {
                came_us: seconds * 1_000_000 + micros,
                ahead_us: clock.ahead_ns / 1_000,
                took_us: words.next()?.parse().ok()?,
            })
        }));
    }

    /// Those that came at a time which `is_meant` picks.
    #[must_use]
    pub fn of(&self, is_meant: impl Fn(&Waited) -> bool) -> Self {
        let meant = self.0.iter().filter(|waited| is_meant(waited));
        Self(meant.copied().collect())
    }

    /// How many requests.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time, in microseconds, that this share of them took at most; 0 where there are none.
    pub fn quantile_us(&self, permille: usize) -> i64 {
        let mut took: Vec<_> = self.0.iter().map(|waited| waited.took_us).collect();
        took.sort_unstable();
        let rank = (took.len() * permille).div_ceil(1_000).saturating_sub(1);
        took.get(rank).copied().unwrap_or(0)
    }

    /// The longest, in microseconds; 0 where there are none.
    pub fn longest_us(&self) -> i64 {
        self.quantile_us(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_count_and_others_do_not() {
        let mut waits = Waits::default();
        let clock = WrongClock {
            ahead_ns: 3_000_000,
            drift_ppb: 0,
        };
        let log = "1795294800.000250 41000 blue;g=1\n1795294800.500000 - -\n1795294801.000000 90 green;g=2\n1795294";
        waits.read(log, clock);
        assert_eq!(waits.count(), 2);
        assert_eq!((waits.longest_us(), waits.quantile_us(500)), (41_000, 90));
        let late = waits.of(|waited| waited.came_us >= 1_795_294_801_000_000);
        assert_eq!((late.count(), late.longest_us()), (1, 90));
        assert_eq!(late.0[0].ahead_us, 3_000);
        assert_eq!(Waits::default().longest_us(), 0);
    }

    #[test]
    fn the_access_log_of_a_bootstrap_is_replaced() {
        let bootstrap = cutover_control::Bootstrap {
            access_log: cutover_control::AccessLog::File("access.log".into()),
            ..Default::default()
        };
        let yaml = bootstrap.render();
        let logged = logged(&yaml);
        assert_eq!(logged.lines().count(), yaml.lines().count());
        assert!(logged.contains("inline_string: \"%START_TIME"));
        assert!(!logged.contains("upstream=%"));
    }
}
