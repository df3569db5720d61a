//! Figures as tables, for everybody and for those who cannot see the pictures.

use cutover_checker::{Certificate, Counts, FlipSummary, Latency};
use cutover_history::{Color, Kind};

use crate::page::escape;
use crate::windows::worst_first;
use crate::words::{cut, grouped, milliseconds};

/// The most flips in the table that is on the page from the start.
const FLIPS: usize = 40;

/// What was measured of the whole run.
pub(crate) fn figures(certificate: &Certificate) -> String {
    let figures = &certificate.figures;
    let window = signed(certificate.header.window_ns);
    let mut rows = vec![(
        "Reads of the register",
        grouped(figures.reads),
        "answered by the active color of a generation",
    )];
    if let Some(ppb) = figures.rate_at_most_ppb.filter(|ppb| *ppb > 0) {
        rows.push((
            "Violations, at most",
            format!("1 in {}", grouped(1_000_000_000 / ppb)),
            "none was seen; 95 % confidence, rule of three",
        ));
    }
    if let Some(ns) = figures.resolution_ns {
        rows.push((
            "Largest gap between reads around a flip",
            format!("{} ms", milliseconds(signed(ns))),
            "a window shorter than this may have passed unseen",
        ));
        rows.push((
            "Window that the run claims to have seen",
            format!("{} ms", milliseconds(window)),
            "",
        ));
    }
    let phases = [
        (
            "Latency between flips",
            median(&figures.flips, |f| f.before),
        ),
        (
            "Latency during a flip",
            median(&figures.flips, |f| f.during),
        ),
        ("Latency after a flip", median(&figures.flips, |f| f.after)),
    ];
    for (name, latency) in phases {
        if let Some([p50, p99, p999]) = latency {
            let ms = [p50, p99, p999].map(|ns| milliseconds(signed(ns)));
            rows.push((
                name,
                format!("{} ms", ms.join(" / ")),
                "p50 / p99 / p99.9, median over the flips",
            ));
        }
    }
    let rows = rows.into_iter().map(|(name, value, note)| {
        format!(
            "<tr><th scope=\"row\">{name}</th><td>{value}</td><td class=\"note\">{note}</td></tr>"
        )
    });
    let rows: Vec<String> = rows.collect();
    format!(
        "<table class=\"figures\"><tbody>\n{}\n</tbody></table>",
        rows.join("\n")
    )
}

/// Requests by kind.
pub(crate) fn requests(certificate: &Certificate) -> String {
    let row = |name: &str, counts: &Counts| {
        let cells = [
            counts.answered,
            counts.overridden,
            counts.failed,
            counts.timed_out,
            counts.excused,
        ];
        let cells: String = cells
            .map(|count| format!("<td>{}</td>", grouped(count)))
            .concat();
        format!("<tr><th scope=\"row\">{name}</th>{cells}</tr>\n")
    };
    let kinds: String = certificate
        .figures
        .requests
        .iter()
        .map(|(kind, counts)| row(name(*kind), counts))
        .collect();
    let total = row("all", &certificate.figures.total());
    format!(
        "<table><caption>Requests by kind</caption><thead><tr><th scope=\"col\">kind</th>\
         <th scope=\"col\">answered</th><th scope=\"col\">of these by override</th><th scope=\"col\">failed</th>\
         <th scope=\"col\">timed out</th><th scope=\"col\">of both, while killed</th></tr></thead>\n\
         <tbody>\n{kinds}</tbody><tfoot>{total}</tfoot></table>"
    )
}

/// The worst flips.
pub(crate) fn flips(certificate: &Certificate) -> String {
    let all = &certificate.figures.flips;
    if all.is_empty() {
        return "<p>Nothing was flipped.</p>".to_owned();
    }
    let mut worst = worst_first(all);
    worst.truncate(FLIPS);
    let which = if worst.len() < all.len() {
        format!("The worst {} of {} rows", worst.len(), grouped(many(all)))
    } else {
        "Every flip, worst first".to_owned()
    };
    let rows: String = worst
        .into_iter()
        .filter_map(|index| all.get(index))
        .map(|flip| row(certificate, flip))
        .collect();
    format!(
        "<table><caption>{which}. Times in ms; shown, first new and last old count from the push; latency is \
         p50 / p99 / p99.9.</caption>\n<thead><tr><th scope=\"col\">flip</th><th scope=\"col\">proxy</th>\
         <th scope=\"col\">to</th><th scope=\"col\">generation</th><th scope=\"col\">shown</th>\
         <th scope=\"col\">first new</th><th scope=\"col\">last old</th><th scope=\"col\">stale</th>\
         <th scope=\"col\">errors</th><th scope=\"col\">before</th><th scope=\"col\">during</th>\
         <th scope=\"col\">after</th></tr></thead>\n<tbody>\n{rows}</tbody></table>"
    )
}

fn row(certificate: &Certificate, flip: &FlipSummary) -> String {
    let ms = |ns: Option<i64>| ns.map_or_else(|| "–".to_owned(), milliseconds);
    let proxy = flip
        .proxy
        .and_then(|index| certificate.header.proxies.get(usize::try_from(index).ok()?));
    let proxy = proxy.map_or_else(|| "all".to_owned(), |proxy| escape(&cut(&proxy.name, 64)));
    let errors = match flip.excused {
        0 => grouped(flip.errors),
        some => format!("{} (+{} killed)", grouped(flip.errors), grouped(some)),
    };
    let cells = [
        proxy,
        match flip.color {
            Color::Blue => "blue".to_owned(),
            Color::Green => "green".to_owned(),
        },
        flip.generation.to_string(),
        ms(flip.acknowledged_ns.map(signed)),
        ms(flip.first_new_ns.map(signed)),
        ms(flip.last_old_ns),
        grouped(flip.stale),
        errors,
        latency(flip.before),
        latency(flip.during),
        latency(flip.after),
    ];
    let cells: String = cells.map(|cell| format!("<td>{cell}</td>")).concat();
    let number = flip.flip.map_or_else(|| "–".to_owned(), |n| n.to_string());
    let class = if flip.stale > 0 { " class=\"bad\"" } else { "" };
    format!("<tr{class}><th scope=\"row\">{number}</th>{cells}</tr>\n")
}

fn latency(latency: Option<Latency>) -> String {
    latency.map_or_else(
        || "–".to_owned(),
        |latency| {
            [latency.p50_ns, latency.p99_ns, latency.p999_ns]
                .map(|ns| milliseconds(signed(ns)))
                .join(" / ")
        },
    )
}

/// Of each quantile the median over the flips.
fn median(flips: &[FlipSummary], of: impl Fn(&FlipSummary) -> Option<Latency>) -> Option<[u64; 3]> {
    let measured: Vec<Latency> = flips.iter().filter_map(of).collect();
    let median = |pick: fn(&Latency) -> u64| {
        let mut values: Vec<u64> = measured.iter().map(pick).collect();
        values.sort_unstable();
        values.get(values.len().saturating_sub(1) / 2).copied()
    };
    Some([
        median(|latency| latency.p50_ns)?,
        median(|latency| latency.p99_ns)?,
        median(|latency| latency.p999_ns)?,
    ])
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::H1 => "HTTP/1.1",
        Kind::H2 => "HTTP/2",
        Kind::Upload => "upload",
        Kind::Sse => "server-sent events",
        Kind::WebSocket => "WebSocket",
        Kind::Grpc => "gRPC stream",
    }
}

fn many<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

fn signed(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}
