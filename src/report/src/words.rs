//! The verdict in one sentence, and numbers for people.

use std::collections::BTreeSet;

use cutover_checker::{Certificate, Rule, Verdict};
use cutover_history::{Scope, WeatherKind};

pub(crate) fn weather(kind: WeatherKind) -> &'static str {
    match kind {
        WeatherKind::Bad => "bad push",
        WeatherKind::Torn => "torn push",
        WeatherKind::Killed => "killed",
        WeatherKind::Paused => "paused",
        WeatherKind::Starved => "starved",
        WeatherKind::Away => "away",
    }
}

/// The verdict in one sentence, with the word that it begins with by itself.
pub(crate) fn sentence(certificate: &Certificate) -> (&'static str, String) {
    let figures = &certificate.figures;
    let total = figures.total();
    let requests = total.answered + total.failed + total.timed_out;
    let flips = flips(certificate);
    let of = |rule| figures.violations.get(&rule).copied().unwrap_or_default();
    match &certificate.verdict {
        Verdict::Holds => {
            let excused = match total.excused {
                0 => String::new(),
                some => format!(" apart from {} while a proxy was killed", grouped(some)),
            };
            let lost = total.failed + total.timed_out - total.excused;
            let text = format!(
                "{}, {flips}, no stale answer, {} failed{excused}.",
                many(requests, "request"),
                grouped(lost),
            );
            ("Holds", text)
        }
        Verdict::Violated(_) => {
            let broken: Vec<String> = [
                (of(Rule::Stale), "stale answer", "stale answers"),
                (of(Rule::Failed), "failed request", "failed requests"),
                (others(certificate), "other violation", "other violations"),
            ]
            .into_iter()
            .filter(|(count, _, _)| *count > 0)
            .map(|(count, one, more)| {
                format!("{} {}", grouped(count), if count == 1 { one } else { more })
            })
            .collect();
            let broken = broken.join(", ");
            let text = format!("{broken} among {}, {flips}.", many(requests, "request"));
            ("Violated", text)
        }
        Verdict::Inconclusive(_) => {
            let text = format!(
                "{}, {flips}, no rule broken, and no proof that none could have been.",
                many(requests, "request")
            );
            ("Inconclusive", text)
        }
    }
}

fn others(certificate: &Certificate) -> u64 {
    let violations = certificate.figures.violations.iter();
    violations
        .filter(|(rule, _)| !matches!(rule, Rule::Stale | Rule::Failed))
        .map(|(_, count)| count)
        .sum()
}

/// How many flips, and of how many proxies.
fn flips(certificate: &Certificate) -> String {
    let flips = &certificate.figures.flips;
    let generations: BTreeSet<u64> = flips.iter().map(|flip| flip.generation).collect();
    let count = many(u64::try_from(generations.len()).unwrap_or(u64::MAX), "flip");
    match (certificate.header.proxies.len(), certificate.header.scope) {
        (1, _) => count,
        (proxies, Scope::Proxy) => format!("{count} of {proxies} proxies"),
        (proxies, Scope::Fleet) => format!("{count} of {proxies} proxies together"),
    }
}

/// A number and its noun.
pub(crate) fn many(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", grouped(count))
}

/// A number with its digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Nanoseconds as milliseconds, in three digits or so.
pub(crate) fn milliseconds(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let us = ns.unsigned_abs().saturating_add(500) / 1_000;
    match us {
        0 => "0".to_owned(),
        1..10_000 => format!("{sign}{}.{:02}", us / 1_000, us % 1_000 / 10),
        10_000..100_000 => format!("{sign}{}.{}", us / 1_000, us % 1_000 / 100),
        _ => format!("{sign}{}", grouped(us / 1_000)),
    }
}

/// The beginning of a text that may be of any length.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars()
        .take(most.saturating_sub(1))
        .chain(['…'])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_in_groups_of_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (10_457_487, "10,457,487"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn milliseconds_have_about_three_digits() {
        for (ns, text) in [
            (0, "0"),
            (-499, "0"),
            (12_345, "0.01"),
            (5_678_901, "5.67"),
            (-45_678_901, "-45.6"),
            (1_234_567_890, "1,234"),
        ] {
            assert_eq!(milliseconds(ns), text);
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("grün", 4), "grün");
        assert_eq!(cut("grüner", 4), "grü…");
    }
}
