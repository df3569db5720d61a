//! When a switch becomes active, and what is asked of the proxies until then.

use super::duration;
use clap::{Args, ValueEnum};
use cutover_control::{Schedule, Target, When, usual_margin};
use cutover_core::fleet;
use std::time::Duration;

/// The instant of a switch.
#[derive(Debug, Args)]
pub(crate) struct Instant {
    /// When it becomes active, on all proxies at once: +10s, a time such as 2026-11-21T21:30:00Z, or Unix
    /// milliseconds
    #[arg(
        long,
        value_name = "WHEN",
        value_parser = when,
        allow_hyphen_values = true,
        help = "When it becomes active, everywhere at once: +10s, 2026-11-21T21:30:00Z, or Unix milliseconds"
    )]
    pub(crate) at: Option<When>,
    /// How long requests wait before and after that instant, because clocks differ
    #[arg(
        long,
        value_name = "TIME",
        value_parser = hold,
        help = "How long requests wait before and after it, because clocks differ: 20ms, or auto (as measured)"
    )]
    hold: Option<HoldSaid>,
    /// What becomes of it when an Envoy has not staged it in time
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        hide_possible_values = true,
        help = "What becomes of it when an Envoy has not staged it in time: cancel (default) or proceed"
    )]
    on_lag: Option<OnLag>,
    /// How long before it every Envoy must have staged it [default: 500ms, in a cluster 1s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    margin: Option<Duration>,
}

/// A hold, as it is said; none follows the clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HoldSaid(Option<u64>);

/// What becomes of a switch that an Envoy has not staged in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnLag {
    /// It is taken back everywhere
    Cancel,
    /// It goes on without that one
    Proceed,
}

impl Instant {
    /// Whether anything was said that only goes with an instant.
    pub(crate) fn is_said(&self) -> bool {
        self.at.is_some() || self.hold.is_some() || self.on_lag.is_some() || self.margin.is_some()
    }

    /// The schedule, where the instant is this one.
    pub(crate) fn schedule(&self, when: When, target: &Target) -> Schedule {
        Schedule {
            when,
            hold_ms: self.hold.and_then(|HoldSaid(hold)| hold),
            margin: self.margin(target),
            on_lag: self.on_lag(),
        }
    }

    /// The same as it would be typed.
    pub(crate) fn said(&self) -> String {
        let at = self.at.map(|when| match when {
            When::In(lead) => format!(" --at +{lead:?}"),
            When::At(at) => format!(" --at {at}"),
        });
        let hold = self.hold.map(|HoldSaid(hold)| match hold {
            Some(hold) => format!(" --hold {hold}ms"),
            None => " --hold auto".to_owned(),
        });
        let margin = self.margin.map(|margin| format!(" --margin {margin:?}"));
        let on_lag = self.on_lag.map(|on_lag| match on_lag {
            OnLag::Cancel => " --on-lag cancel".to_owned(),
            OnLag::Proceed => " --on-lag proceed".to_owned(),
        });
        let said = [at, hold, margin, on_lag].into_iter().flatten();
        said.collect()
    }

    pub(crate) fn margin(&self, target: &Target) -> Duration {
        self.margin.unwrap_or_else(|| usual_margin(target))
    }

    pub(crate) fn on_lag(&self) -> fleet::OnLag {
        match self.on_lag {
            Some(OnLag::Proceed) => fleet::OnLag::Proceed,
            Some(OnLag::Cancel) | None => fleet::OnLag::Cancel,
        }
    }
}

/// `+10s`, an RFC 3339 time, or Unix milliseconds.
fn when(text: &str) -> Result<When, String> {
    const FORM: &str =
        "an instant is +10s, a time such as 2026-11-21T21:30:00Z, or Unix milliseconds";
    if let Some(lead) = text.strip_prefix('+') {
        return duration(lead).map(When::In).map_err(|_| FORM.to_owned());
    }
    if let Ok(at) = text.parse::<u64>() {
        // Seconds, as `date +%s` prints them, would be a time in 1970.
        return match at {
            1_000_000_000_000..=9_000_000_000_000 => Ok(When::At(at)),
            _ => Err("Unix milliseconds have 13 digits; `date +%s%3N` prints them".to_owned()),
        };
    }
    let time: jiff::Timestamp = text.parse().map_err(|_| FORM.to_owned())?;
    // Never before what was asked for.
    let at = time.as_microsecond().max(0).unsigned_abs().div_ceil(1_000);
    Ok(When::At(at))
}

/// `20ms`, `0ms` or `auto`.
fn hold(text: &str) -> Result<HoldSaid, String> {
    const FORM: &str = "a hold is a time of whole milliseconds up to 1s, such as 20ms, or `auto`";
    if text == "auto" {
        return Ok(HoldSaid(None));
    }
    let time = text.parse::<jiff::SignedDuration>().ok();
    let time = time.and_then(|time| Duration::try_from(time).ok());
    let time = time.ok_or_else(|| FORM.to_owned())?;
    if !time.as_micros().is_multiple_of(1_000) || time > Duration::from_secs(1) {
        return Err(FORM.to_owned());
    }
    Ok(HoldSaid(u64::try_from(time.as_millis()).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_said_in_three_ways() {
        assert_eq!(when("+10s"), Ok(When::In(Duration::from_secs(10))));
        assert_eq!(when("+1m 30s"), Ok(When::In(Duration::from_secs(90))));
        let at = When::At(1_795_296_600_000);
        for text in [
            "1795296600000",
            "2026-11-21T21:30:00Z",
            "2026-11-21T22:30:00+01:00",
        ] {
            assert_eq!(when(text), Ok(at), "{text}");
        }
        let later = When::At(1_795_296_600_001);
        assert_eq!(when("2026-11-21T21:30:00.000001Z"), Ok(later));
        for text in ["", "10s", "+", "-5s", "1795296600", "2026-11-21", "noon"] {
            assert!(when(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_said_again_means_the_same() {
        let instant = Instant {
            at: when("+1m 30.5s").ok(),
            hold: hold("20ms").ok(),
            on_lag: Some(OnLag::Proceed),
            margin: duration("1500ms").ok(),
        };
        let said = " --at +90.5s --hold 20ms --margin 1.5s --on-lag proceed";
        assert_eq!(instant.said(), said);
        assert_eq!(when("+90.5s").ok(), instant.at);
        assert_eq!(duration("1.5s").ok(), instant.margin);
    }

    #[test]
    fn a_hold_is_whole_milliseconds_or_follows_the_clocks() {
        assert_eq!(hold("20ms"), Ok(HoldSaid(Some(20))));
        assert_eq!(hold("0ms"), Ok(HoldSaid(Some(0))));
        assert_eq!(hold("1s"), Ok(HoldSaid(Some(1_000))));
        assert_eq!(hold("auto"), Ok(HoldSaid(None)));
        for text in ["", "20", "1500us", "1001ms", "-20ms", "some"] {
            assert!(hold(text).is_err(), "{text}");
        }
    }
}
