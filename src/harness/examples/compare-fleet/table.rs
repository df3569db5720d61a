//! The tables of all measurements, between marks of pages.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use serde_json::Value;

use crate::way::Way;

const BEGIN: &str = "<!-- fleet measured -->\n";
const END: &str = "<!-- end of fleet measured -->";

const HEAD: &str = "\
| a flip | proxies | both colors at once | stale answers a flip | failed requests | p99.9 otherwise, and around a flip | verdict |
| --- | --- | --- | --- | --- | --- | --- |
";

/// Reads all results in a folder, and writes their table into pages; prints it where there is no such page.
pub(crate) fn write(results: &Path, pages: &[&Path]) -> Result<(), Box<dyn Error>> {
    let table = table(&read(results)?)?;
    for page in pages {
        let Ok(text) = std::fs::read_to_string(page) else {
            print!("{table}");
            continue;
        };
        let marks = || format!("{} lacks the marks {BEGIN}and {END}", page.display());
        let (before, rest) = text.split_once(BEGIN).ok_or_else(marks)?;
        let (_, after) = rest.split_once(END).ok_or_else(marks)?;
        std::fs::write(page, format!("{before}{BEGIN}{table}{END}{after}"))?;
    }
    Ok(())
}

/// All results of a folder, by the names of their files.
fn read(results: &Path) -> Result<Vec<(String, Value)>, Box<dyn Error>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(results)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let result = serde_json::from_slice(&std::fs::read(&path)?)?;
            all.push((path.display().to_string(), result));
        }
    }
    Ok(all)
}

fn table(results: &[(String, Value)]) -> Result<String, Box<dyn Error>> {
    let mut rows = Vec::new();
    for (file, result) in results {
        rows.push(row(result).ok_or_else(|| format!("{file} is no result"))?);
    }
    rows.sort();
    let rows: String = rows.into_iter().map(|(_, _, row)| row).collect();
    let rates = each(results, |result| {
        let rate = result.get("per_second")?.to_string();
        Some(rate.trim_end_matches(".0").to_owned())
    });
    let flips = each(results, |result| {
        let flips = result.get("flips")?.as_array()?.len();
        Some(flips.to_string())
    });
    let waits: String = results
        .iter()
        .filter_map(|(_, result)| waits(result))
        .collect();
    let doubts = doubts(results);
    let cores = std::thread::available_parallelism()?;
    Ok(format!(
        "{HEAD}{rows}\nMilliseconds: median (least to most) of {flips} flips each. Each proxy was asked {rates} times a \
         second, by HTTP/2, whether it answered or not;\nclocks were off by up to ±10 ms, and one drifted. \
         Proxies, load and checker shared {cores} cores.{doubts}{waits}\n"
    ))
}

/// What the results say of something, each once.
fn each(results: &[(String, Value)], of: impl Fn(&Value) -> Option<String>) -> String {
    let mut all: Vec<_> = results
        .iter()
        .filter_map(|(_, result)| of(result))
        .collect();
    all.sort();
    all.dedup();
    all.join(" or ")
}

/// A row, with what it is sorted by: the fleet, then the way.
fn row(result: &Value) -> Option<(String, usize, String)> {
    let way = Way::named(result.get("way")?.as_str()?)?;
    let on = result.get("on")?.as_str()?;
    let flips = result.get("flips")?.as_array()?;
    let all = |pointer: &str| -> Vec<u64> {
        let flips = flips.iter();
        flips
            .filter_map(|flip| flip.pointer(pointer)?.as_u64())
            .collect()
    };
    let latency = |when: &str| median(all(&format!("/{when}/p999_ns")));
    let number = |key: &str| result.get(key)?.as_u64();
    let cells = [
        way.title().to_owned(),
        format!("{} {on}", number("proxies")?),
        spread(all("/mixed_ns"), milliseconds),
        spread(all("/stale"), |count| count.to_string()),
        format!("{} of {}", number("failed")?, number("requests")?),
        format!("{}, {}", latency("before")?, latency("during")?),
        result.get("verdict")?.as_str()?.to_owned(),
    ];
    let order = Way::ALL.iter().position(|other| *other == way)?;
    Some((on.to_owned(), order, format!("| {} |\n", cells.join(" | "))))
}

/// Why a verdict is neither yes nor no: each reason once, with the ways and the fleets that it is of.
fn doubts(results: &[(String, Value)]) -> String {
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (_, result) in results {
        let texts = ["why", "way", "on"].map(|key| result.get(key).and_then(Value::as_str));
        if let [Some(why), Some(way), Some(on)] = texts {
            let way = match Way::named(way) {
                Some(way) => way.title(),
                None => way,
            };
            all.entry(why).or_default().push(format!("{way}, {on}"));
        }
    }
    let sentence =
        |(why, of): (&str, Vec<String>)| format!("\nInconclusive ({}): {why}.", of.join("; "));
    all.into_iter().map(sentence).collect()
}

/// What the access logs say of held requests.
fn waits(result: &Value) -> Option<String> {
    (result.get("way")?.as_str()? == Way::Held.name()).then_some(())?;
    let waits = result.get("waits")?;
    let of = |key: &str| waits.get(key)?.as_u64();
    let time = |key: &str| Some(milliseconds(of(key)?.saturating_mul(1_000)));
    Some(format!(
        "\nInside an Envoy, from a request's first byte to the first byte upstream (its access log), the {} requests that were held waited {} ms at \
         most,\nhalf of them {} ms or less; the {} others of the same run {} ms at most, half of them {} ms or less.",
        of("held")?,
        time("held_longest_us")?,
        time("held_p50_us")?,
        of("others")?,
        time("others_longest_us")?,
        time("others_p50_us")?,
    ))
}

fn median(mut values: Vec<u64>) -> Option<String> {
    values.sort_unstable();
    let last = values.len().checked_sub(1)?;
    values.get(last / 2).copied().map(milliseconds)
}

/// Median, and the range.
fn spread(mut values: Vec<u64>, in_words: impl Fn(u64) -> String) -> String {
    values.sort_unstable();
    let middle = values.get(values.len().saturating_sub(1) / 2);
    match (middle, values.first(), values.last()) {
        (Some(_), Some(from), Some(to)) if from == to => in_words(*from),
        (Some(middle), Some(from), Some(to)) => {
            let [middle, from, to] = [*middle, *from, *to].map(&in_words);
            format!("{middle} ({from} to {to})")
        }
        _ => "-".to_owned(),
    }
}

/// Whole milliseconds, or tenths below ten; nothing is 0.
pub(crate) fn milliseconds(nanoseconds: u64) -> String {
    let tenths = nanoseconds.saturating_add(50_000) / 100_000;
    match (nanoseconds, tenths) {
        (0, _) => "0".to_owned(),
        (_, ..100) => format!("{}.{}", tenths / 10, tenths % 10),
        _ => ((tenths + 5) / 10).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result(way: Way, on: &str, verdict: &str, mixed: &[u64]) -> Value {
        let flips: Vec<_> = mixed
            .iter()
            .map(|mixed| {
                json!({
                    "mixed_ns": mixed, "stale": mixed / 1_000_000,
                    "before": { "p999_ns": 2_500_000 }, "during": { "p999_ns": 31_000_000 },
                })
            })
            .collect();
        json!({
            "way": way.name(), "on": on, "proxies": 20, "per_second": 50.0, "verdict": verdict,
            "requests": 900, "failed": 0, "flips": flips,
            "waits": {
                "held": 80, "held_longest_us": 41_200, "held_p50_us": 20_100,
                "others": 820, "others_longest_us": 3_100, "others_p50_us": 90,
            },
        })
    }

    #[test]
    fn a_row_has_the_window_the_stale_answers_and_the_verdict() {
        let mixed = [1_800_000_000, 1_900_000_000, 1_850_000_000];
        let (.., row) = row(&result(Way::Plain, "files", "violated", &mixed)).unwrap();
        assert_eq!(
            row,
            "| plain push, `cutover flip --now` | 20 files | 1850 (1800 to 1900) | 1850 (1800 to 1900) | 0 of 900 | \
             2.5, 31 | violated |\n"
        );
        let (.., row) = super::row(&result(Way::Held, "files", "holds", &[0, 0])).unwrap();
        assert!(row.contains("| 20 files | 0 | 0 | 0 of 900 |"), "{row}");
    }

    #[test]
    fn why_a_verdict_is_inconclusive_stands_once_below_the_table() {
        let mut one = result(Way::Plain, "files", "inconclusive", &[0]);
        one["why"] = "the load was too thin".into();
        let mut two = result(Way::Held, "files", "inconclusive", &[0]);
        two["why"] = "the load was too thin".into();
        let good = result(Way::Held, "istiod", "holds", &[0]);
        let results = [one, two, good].map(|result| ("a.json".to_owned(), result));
        let table = table(&results).unwrap();
        assert_eq!(table.matches("| inconclusive |").count(), 2, "{table}");
        assert_eq!(table.matches("the load was too thin").count(), 1, "{table}");
        assert!(table.contains("\nInconclusive (plain push"), "{table}");
    }

    #[test]
    fn the_table_stands_between_the_marks_of_each_page() {
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("out");
        std::fs::create_dir(&results).unwrap();
        for (on, way) in [
            ("istiod", Way::Plain),
            ("files", Way::Held),
            ("files", Way::Plain),
        ] {
            let file = results.join(format!("{on}-{}.json", way.name()));
            let result = result(way, on, "holds", &[0]);
            std::fs::write(file, result.to_string()).unwrap();
        }
        let pages = [folder.path().join("a.md"), folder.path().join("b.md")];
        for page in &pages {
            let text = format!("before\n\n{BEGIN}of yesterday\n{END}\n\nafter\n");
            std::fs::write(page, text).unwrap();
        }
        let both = [pages[0].as_path(), pages[1].as_path()];
        write(&results, &both).unwrap();
        for page in both {
            let text = std::fs::read_to_string(page).unwrap();
            assert!(
                text.starts_with(&format!("before\n\n{BEGIN}| a flip |")),
                "{text}"
            );
            assert!(text.ends_with(&format!("{END}\n\nafter\n")), "{text}");
            let place = |part: &str| text.find(part).unwrap();
            assert!(place("| held") < place("20 istiod"), "{text}");
            assert!(text.contains("the 80 requests that were held waited 41 ms at most"));
        }
        std::fs::write(&pages[0], "no marks").unwrap();
        let refused = write(&results, &both).unwrap_err().to_string();
        assert!(refused.contains("lacks the marks"), "{refused}");
        std::fs::write(results.join("bad.json"), "{}").unwrap();
        let refused = write(&results, &both).unwrap_err().to_string();
        assert!(refused.contains("bad.json is no result"), "{refused}");
    }
}
