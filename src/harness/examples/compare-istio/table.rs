//! The table of all measurements, between two marks of a page.

use std::error::Error;
use std::path::Path;

use serde_json::Value;

use crate::way::Way;

const BEGIN: &str = "<!-- comparison -->\n";
const END: &str = "<!-- end of comparison -->";

const HEAD: &str = "\
| what is patched | proxies | flips | patch returns | first new answer | last proxy | both colors at once | stale answers a flip | failed requests | verdict |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
";

/// Writes the table of all results in a folder into a page, or prints it where there is no such page.
pub(crate) fn write(results: &Path, page: &Path) -> Result<(), Box<dyn Error>> {
    let table = table(results)?;
    let Ok(text) = std::fs::read_to_string(page) else {
        print!("{table}");
        return Ok(());
    };
    let marks = || format!("{} lacks the marks {BEGIN}and {END}", page.display());
    let (before, rest) = text.split_once(BEGIN).ok_or_else(marks)?;
    let (_, after) = rest.split_once(END).ok_or_else(marks)?;
    std::fs::write(page, format!("{before}{BEGIN}{table}{END}{after}"))?;
    Ok(())
}

fn table(results: &Path) -> Result<String, Box<dyn Error>> {
    let mut rates: Vec<String> = Vec::new();
    let mut rows: Vec<(usize, u64, String)> = Vec::new();
    for entry in std::fs::read_dir(results)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let result: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
            rows.push(row(&result).ok_or_else(|| format!("{} is no result", path.display()))?);
            rates.extend(
                result
                    .get("per_second")
                    .map(|rate| rate.to_string().trim_end_matches(".0").to_owned()),
            );
        }
    }
    rows.sort();
    let rows: String = rows.into_iter().map(|(_, _, row)| row).collect();
    rates.sort();
    rates.dedup();
    let (rates, cores) = (rates.join(" or "), std::thread::available_parallelism()?);
    Ok(format!(
        "{HEAD}{rows}\nTimes in milliseconds, from the start of `kubectl patch`: median (least to most). Each \
         proxy was asked {rates} times a second\non a kept connection. Beds, load and checker shared {cores} cores.\n"
    ))
}

/// A row, with what it is sorted by.
fn row(result: &Value) -> Option<(usize, u64, String)> {
    let way = Way::named(result.get("way")?.as_str()?)?;
    let proxies = result.get("proxies")?.as_u64()?;
    let runs = result.get("runs")?.as_array()?;
    let flips: Vec<&Value> = runs
        .iter()
        .filter_map(|run| run.get("flips")?.as_array())
        .flatten()
        .collect();
    let all = |key: &str| -> Vec<u64> {
        flips
            .iter()
            .filter_map(|flip| flip.get(key)?.as_u64())
            .collect()
    };
    let patches = runs
        .iter()
        .filter_map(|run| run.get("patch_ns")?.as_array())
        .flatten();
    let patches: Vec<u64> = patches.filter_map(Value::as_u64).collect();
    let sum = |key: &str| -> u64 { runs.iter().filter_map(|run| run.get(key)?.as_u64()).sum() };
    let (last, mixed) = (all("last_proxy_ns"), all("mixed_ns"));
    let moved = last.len() == flips.len();
    // A window that was still open when the load ended is known to that end only.
    let (last, window) = if moved {
        (
            spread(last, milliseconds),
            spread(mixed.clone(), milliseconds),
        )
    } else {
        let open = format!(
            "{}, until the load ended",
            spread(mixed.clone(), milliseconds)
        );
        ("never".to_owned(), open)
    };
    let mut verdicts: Vec<&str> = runs
        .iter()
        .filter_map(|run| run.get("verdict")?.as_str())
        .collect();
    verdicts.sort_unstable();
    verdicts.dedup();
    let verdict = match (verdicts.join(", ").as_str(), moved, mixed.iter().max()) {
        ("violated", true, Some(longest)) => {
            format!("violated, mixed for up to {} ms", milliseconds(*longest))
        }
        ("violated", false, _) => "violated, mixed to the end".to_owned(),
        (verdicts, ..) => verdicts.to_owned(),
    };
    let cells = [
        way.title().to_owned(),
        proxies.to_string(),
        flips.len().to_string(),
        spread(patches, milliseconds),
        spread(all("first_new_ns"), milliseconds),
        last,
        window,
        spread(all("stale"), |count| count.to_string()),
        format!("{} of {}", sum("failed"), sum("requests")),
        verdict,
    ];
    let order = Way::ALL.iter().position(|other| *other == way)?;
    Some((order, proxies, format!("| {} |\n", cells.join(" | "))))
}

/// Median, and the range.
fn spread(mut values: Vec<u64>, in_words: impl Fn(u64) -> String) -> String {
    values.sort_unstable();
    let median = values
        .len()
        .checked_sub(1)
        .and_then(|last| values.get(last / 2));
    match (median, values.first(), values.last()) {
        (Some(median), Some(least), Some(most)) => {
            let [median, least, most] = [*median, *least, *most].map(&in_words);
            format!("{median} ({least} to {most})")
        }
        _ => "-".to_owned(),
    }
}

/// Whole milliseconds, or tenths below ten.
fn milliseconds(nanoseconds: u64) -> String {
    let tenths = nanoseconds.saturating_add(50_000) / 100_000;
    if tenths < 100 {
        format!("{}.{}", tenths / 10, tenths % 10)
    } else {
        ((tenths + 5) / 10).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn flip(mixed: u64, last: Option<u64>) -> Value {
        let mut flip = json!({ "first_new_ns": 90_000_000, "mixed_ns": mixed, "stale": 4 });
        if let Some(last) = last {
            flip["last_proxy_ns"] = last.into();
        }
        flip
    }

    fn result(way: Way, verdict: &str, flips: &[Value]) -> Value {
        json!({
            "way": way.name(), "proxies": 10, "per_second": 100.0,
            "runs": [{
                "verdict": verdict, "requests": 900, "failed": 1, "patch_ns": [80_000_000, 81_000_000],
                "flips": flips,
            }],
        })
    }

    #[test]
    fn a_row_has_medians_ranges_and_the_verdict_with_its_window() {
        let flips = [
            flip(8_040_000, Some(100_000_000)),
            flip(41_000_000, Some(120_000_000)),
        ];
        let (.., row) = row(&result(Way::Plugin, "violated", &flips)).unwrap();
        assert_eq!(
            row,
            "| WasmPlugin `pluginConfig`, a plain flip | 10 | 2 | 80 (80 to 81) | 90 (90 to 90) | \
             100 (100 to 120) | 8.0 (8.0 to 41) | 4 (4 to 4) | 1 of 900 | violated, mixed for up to 41 ms |\n"
        );
    }

    #[test]
    fn clients_that_never_move_have_no_last_one_and_no_end() {
        let flips = [flip(3_000_000_000, None), flip(3_100_000_000, None)];
        let (.., row) = row(&result(Way::Service, "violated", &flips)).unwrap();
        assert!(
            row.contains("| never | 3000 (3000 to 3100), until the load ended |"),
            "{row}"
        );
        assert!(row.ends_with("| violated, mixed to the end |\n"), "{row}");
    }

    #[test]
    fn another_verdict_is_told_as_it_is() {
        let flips = [flip(0, Some(100_000_000))];
        let (.., row) = row(&result(Way::VirtualService, "inconclusive", &flips)).unwrap();
        assert!(row.ends_with("| inconclusive |\n"), "{row}");
    }

    #[test]
    fn the_table_stands_between_the_marks_of_its_page() {
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("out");
        std::fs::create_dir(&results).unwrap();
        let flips = [flip(0, Some(100_000_000))];
        for way in [Way::Plugin, Way::Service] {
            let file = results.join(format!("{}.json", way.name()));
            std::fs::write(file, result(way, "holds", &flips).to_string()).unwrap();
        }
        let page = folder.path().join("page.md");
        std::fs::write(
            &page,
            format!("before\n\n{BEGIN}of yesterday\n{END}\n\nafter\n"),
        )
        .unwrap();
        write(&results, &page).unwrap();
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(
            text.starts_with("before\n\n<!-- comparison -->\n| what is patched |"),
            "{text}"
        );
        assert!(
            text.ends_with("<!-- end of comparison -->\n\nafter\n"),
            "{text}"
        );
        assert!(!text.contains("yesterday"));
        assert!(text.contains("was asked 100 times"));
        // In the order of the ways, whatever the names of the files are.
        assert!(text.find("| Service").unwrap() < text.find("| WasmPlugin").unwrap());

        std::fs::write(&page, "no marks").unwrap();
        let refused = write(&results, &page).unwrap_err().to_string();
        assert!(refused.contains("lacks the marks"), "{refused}");
        std::fs::write(results.join("bad.json"), "{}").unwrap();
        let refused = write(&results, &page).unwrap_err().to_string();
        assert!(refused.contains("bad.json is no result"), "{refused}");
    }
}
