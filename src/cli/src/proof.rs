//! A certificate as people read it.

use crate::{failure::Exit, table::table};
use cutover_checker::{Certificate, FlipSummary, Latency, Verdict};
use cutover_history::{Color, Scope};
use std::cmp::Reverse;
use std::{fmt::Write as _, path::Path};

/// The most rows of a table that somebody reads.
const MOST_ROWS: usize = 40;

/// The exit code of a verdict.
pub(crate) fn exit(verdict: &Verdict) -> Exit {
    match verdict {
        Verdict::Holds => Exit::Good,
        Verdict::Violated(_) => Exit::Failed,
        Verdict::Inconclusive(_) => Exit::Environment,
    }
}

/// What to do after a verdict on what `file` holds, drawn or not.
pub(crate) fn next(verdict: &Verdict, file: &Path, page: Option<&Path>) -> String {
    let file = file.display();
    match (verdict, page) {
        (_, Some(page)) => format!("open {} in a browser", page.display()),
        (Verdict::Holds, None) => {
            format!("`cutover check {file} --report DIR` judges it again, offline, and draws it")
        }
        (Verdict::Violated(_), None) => {
            format!("`cutover check {file} --report DIR` draws the requests that prove it")
        }
        (Verdict::Inconclusive(_), None) => {
            "mend what is named, or make a longer run: `cutover verify --help` has --flips and --rate".to_owned()
        }
    }
}

/// One line a flip, the sums, and the verdict with its witness or its reasons.
pub(crate) fn in_words(certificate: &Certificate) -> String {
    let mut text = String::new();
    if !certificate.figures.flips.is_empty() {
        text += &table(&flips(certificate));
        text += &over_all(&certificate.figures.flips);
        text += match certificate.header.scope {
            Scope::Proxy => {
                "Times in ms. SHOWN, FIRST NEW, LAST OLD count from the push; latency is p50/p99/p99.9,\n\
                 from when a request was wanted.\n\n"
            }
            Scope::Fleet => {
                "Times in ms. SHOWN, FIRST NEW, LAST PROXY, LAST OLD count from the push; MIXED is how long\n\
                 both colors certainly, and at most, were served; latency is p50/p99/p99.9, from when a request\n\
                 was wanted.\n\n"
            }
        };
    }
    let total = certificate.figures.total();
    let excused = match total.excused {
        0 => String::new(),
        excused => format!(", {excused} of these while a proxy was killed"),
    };
    let _ = writeln!(
        text,
        "{} requests answered ({} by override), {} failed, {} timed out{excused}",
        total.answered, total.overridden, total.failed, total.timed_out,
    );
    if let Some(resolution) = certificate.figures.resolution_ns {
        let _ = writeln!(
            text,
            "largest gap between requests around a flip: {} ms, {} ms was claimed",
            milliseconds(resolution),
            milliseconds(certificate.header.window_ns),
        );
    }
    if let Some(rate) = certificate
        .figures
        .rate_at_most_ppb
        .filter(|rate| *rate > 0)
    {
        let _ = writeln!(
            text,
            "0 violations in {} reads: fewer than 1 in {} (95 %)",
            certificate.figures.reads,
            1_000_000_000 / rate,
        );
    }
    let _ = write!(text, "\nverdict: {}", certificate.verdict);
    text
}

fn flips(certificate: &Certificate) -> Vec<Vec<String>> {
    let mut head = vec![
        "FLIP",
        "PROXY",
        "TO",
        "GENERATION",
        "SHOWN",
        "FIRST NEW",
        "LAST OLD",
        "STALE",
        "ERRORS",
        "LATENCY BEFORE",
        "DURING",
        "AFTER",
    ];
    if certificate.header.scope == Scope::Fleet {
        head.splice(6..6, ["LAST PROXY"]);
        head.splice(8..8, ["MIXED"]);
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect()];
    let mut shown: Vec<_> = certificate.figures.flips.iter().collect();
    if shown.len() > MOST_ROWS {
        shown.sort_by_key(|f| Reverse((f.stale, f.errors, f.last_old_ns, f.acknowledged_ns)));
        shown.truncate(MOST_ROWS);
        shown.sort_by_key(|flip| (flip.invoked, flip.proxy));
    }
    rows.extend(shown.into_iter().map(|flip| row(flip, certificate)));
    rows
}

/// What all flips have in common: median and 99th percentile.
fn over_all(flips: &[FlipSummary]) -> String {
    let mut text = String::new();
    if flips.len() < 2 {
        return text;
    }
    if flips.len() > MOST_ROWS {
        let _ = writeln!(
            text,
            "The worst {MOST_ROWS} of {} rows are shown.",
            flips.len()
        );
    }
    let acknowledged = flips
        .iter()
        .filter_map(|f| f.acknowledged_ns?.try_into().ok());
    let shown = quantiles(acknowledged.collect());
    let old = quantiles(flips.iter().filter_map(|flip| flip.last_old_ns).collect());
    if let (Some((shown, shown_99)), Some((old, old_99))) = (shown, old) {
        let [shown, shown_99, old, old_99] =
            [shown, shown_99, old, old_99].map(signed_milliseconds);
        let _ = writeln!(
            text,
            "All rows: last old {old} (median), {old_99} (p99); shown {shown} (median), {shown_99} (p99)."
        );
    }
    text
}

/// Median and 99th percentile, each a value that occurs.
fn quantiles(mut values: Vec<i64>) -> Option<(i64, i64)> {
    values.sort_unstable();
    let at = |percent: usize| {
        let rank = (values.len() * percent).div_ceil(100).saturating_sub(1);
        values.get(rank).copied()
    };
    Some((at(50)?, at(99)?))
}

fn row(flip: &FlipSummary, certificate: &Certificate) -> Vec<String> {
    let dash = || "-".to_owned();
    let proxy = flip
        .proxy
        .and_then(|index| certificate.header.proxies.get(index as usize));
    let mut row = vec![
        flip.flip.map_or_else(dash, |number| number.to_string()),
        proxy.map_or_else(|| "all".to_owned(), |proxy| proxy.name.clone()),
        match flip.color {
            Color::Blue => "blue".to_owned(),
            Color::Green => "green".to_owned(),
        },
        flip.generation.to_string(),
        flip.acknowledged_ns.map_or_else(dash, milliseconds),
        flip.first_new_ns.map_or_else(dash, milliseconds),
        flip.last_old_ns.map_or_else(dash, signed_milliseconds),
        flip.stale.to_string(),
        if flip.excused > 0 {
            format!("{} (+{} killed)", flip.errors, flip.excused)
        } else {
            flip.errors.to_string()
        },
        latency(flip.before),
        latency(flip.during),
        latency(flip.after),
    ];
    if certificate.header.scope == Scope::Fleet {
        row.splice(6..6, [flip.last_proxy_ns.map_or_else(dash, milliseconds)]);
        row.splice(8..8, [mixed(flip)]);
    }
    row
}

/// The mixed window: what is certain of it, and what is possible.
fn mixed(flip: &FlipSummary) -> String {
    match (flip.mixed_ns, flip.mixed_at_most_ns) {
        (Some(certain), Some(possible)) => {
            format!("{}..{}", milliseconds(certain), milliseconds(possible))
        }
        _ => "-".to_owned(),
    }
}

fn latency(latency: Option<Latency>) -> String {
    latency.map_or_else(
        || "-".to_owned(),
        |Latency {
             p50_ns,
             p99_ns,
             p999_ns,
             ..
         }| { [p50_ns, p99_ns, p999_ns].map(milliseconds).join("/") },
    )
}

/// Nanoseconds as milliseconds: one decimal, without passing through a float.
fn milliseconds(ns: u64) -> String {
    let tenths = ns.saturating_add(50_000) / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn signed_milliseconds(ns: i64) -> String {
    let sign = if ns < -50_000 { "-" } else { "" };
    format!("{sign}{}", milliseconds(ns.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_rounded_to_tenths_of_a_millisecond() {
        assert_eq!(milliseconds(0), "0.0");
        assert_eq!(milliseconds(49_999), "0.0");
        assert_eq!(milliseconds(50_000), "0.1");
        assert_eq!(milliseconds(12_340_000), "12.3");
        assert_eq!(signed_milliseconds(-1_500_000), "-1.5");
        assert_eq!(signed_milliseconds(-10), "0.0");
    }

    #[test]
    fn quantiles_are_values_that_occur() {
        assert_eq!(quantiles(vec![]), None);
        assert_eq!(quantiles(vec![7]), Some((7, 7)));
        assert_eq!(quantiles((1..=200).rev().collect()), Some((100, 198)));
    }
}
