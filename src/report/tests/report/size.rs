//! A page stays small, whatever the history.

use crate::run::{MS, Run, sum};

/// Two megabytes, as people count them.
const MOST: usize = 2_000_000;

/// All that a page keeps a bounded number of is there more often than that: flips, proxies, stale answers, failures,
/// other violations, requests around each flip; names and instants are as long as they get.
#[test]
fn the_largest_page_is_smaller_than_two_megabytes() {
    let run = Run {
        service: "s".repeat(10_000),
        proxies: (0..70)
            .map(|n| format!("{n}{}", "-envoy".repeat(500)))
            .collect(),
        flips: 15,
        // A run of months.
        pause: 400_000_000 * MS,
        requests: 200,
        stale: 60,
        failed: 20,
        misrouted: 10,
        ..Run::default()
    };
    let (page, data, certificate) = run.drawn();
    let total = certificate.figures.total();
    assert!(certificate.figures.flips.len() > 1_000);
    for (kind, most) in [("stale", 10_000), ("failed", 4_000), ("other", 2_000)] {
        let share = &data["marks"][kind];
        assert_eq!(share["drawn"], most, "{kind}");
        assert!(share["all"].as_u64().unwrap() > most, "{kind}: {share}");
    }
    assert_eq!(data["windows"]["list"].as_array().unwrap().len(), 1_000);
    assert_eq!(data["rows"]["rows"].as_array().unwrap().len(), 64);
    let columns = &data["columns"];
    assert_eq!(
        sum(&columns["blue"]) + sum(&columns["green"]),
        total.answered
    );
    assert!(
        page.len() < MOST,
        "{} bytes: {:?}",
        page.len(),
        sizes(&data)
    );
    assert!(
        page.contains("The worst 1000 of 1050 flips"),
        "what is left out is said"
    );
    assert!(page.contains("10,000 of "), "what is left out is said");
}

/// How large each part of the data is.
fn sizes(data: &serde_json::Value) -> Vec<(&String, usize)> {
    let parts = data.as_object().unwrap().iter();
    parts
        .map(|(name, part)| (name, part.to_string().len()))
        .collect()
}

/// Four times the requests over the same time and flips: nothing grows but digits.
#[test]
fn the_size_does_not_follow_the_number_of_requests() {
    let size = |requests| {
        let run = Run {
            requests,
            flips: 12,
            pause: 4_000 * MS,
            ..Run::default()
        };
        run.drawn().0.len()
    };
    let (few, many) = (size(1_500), size(6_000));
    assert!(many < few + few / 10, "{few} bytes, then {many}");
}
