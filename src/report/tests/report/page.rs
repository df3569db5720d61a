//! The page's words, and what it lets a browser do.

use crate::run::Run;
use cutover_history::Reader;
use cutover_report::{Judged, Undrawable};

#[track_caller]
fn says(run: &Run, sentence: &str) {
    let (page, _, _) = run.drawn();
    let (_, rest) = page.split_once("<strong id=\"verdict\">").unwrap();
    let (heading, _) = rest.split_once("</h1>").unwrap();
    let text = heading
        .replace("</strong>\n<span id=\"sentence\">", " ")
        .replace("</span>", "");
    assert_eq!(text, sentence);
}

#[test]
fn the_verdict_stands_on_top_in_one_sentence() {
    says(
        &Run::default(),
        "Holds: 5,000 requests, 4 flips of 2 proxies, no stale answer, 0 failed.",
    );
    says(
        &Run {
            killed: true,
            ..Run::default()
        },
        "Holds: 5,002 requests, 4 flips of 2 proxies, no stale answer, 0 failed apart from 2 while a \
         proxy was killed.",
    );
    says(
        &Run {
            stale: 1,
            failed: 1,
            misrouted: 3,
            ..Run::default()
        },
        "Violated: 8 stale answers, 10 failed requests, 30 other violations among 5,000 requests, 4 \
         flips of 2 proxies.",
    );
    says(
        &Run {
            requests: 20,
            flips: 1,
            proxies: vec!["envoy-0".to_owned()],
            ..Run::default()
        },
        "Inconclusive: 40 requests, 1 flip, no rule broken, and no proof that none could have been.",
    );
}

#[test]
fn an_inconclusive_page_says_why() {
    let thin = Run {
        requests: 20,
        ..Run::default()
    };
    let (page, _, _) = thin.drawn();
    assert!(
        page.contains("<ul class=\"reasons\"><li>around 8 of 8 flips the traffic was too thin")
    );
}

#[test]
fn a_violated_page_draws_its_witness_and_a_good_one_has_none() {
    let (page, _, certificate) = Run {
        stale: 2,
        ..Run::default()
    }
    .drawn();
    let cutover_checker::Verdict::Violated(witness) = certificate.verdict else {
        unreachable!("it is stale");
    };
    assert!(page.contains("<section id=\"witness\">"));
    for evidence in &witness.evidence {
        assert!(page.contains(&format!("<p>{}</p>", evidence.label())));
    }
    assert!(
        !Run::default()
            .drawn()
            .0
            .contains("<section id=\"witness\">")
    );
}

#[test]
fn no_name_of_a_history_becomes_a_part_of_the_page() {
    let evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>{{data}}\"'";
    let run = Run {
        service: evil.to_owned(),
        proxies: vec![evil.to_owned()],
        stale: 1,
        ..Run::default()
    };
    let (page, data, _) = run.drawn();
    assert!(
        data["proxies"][0]
            .as_str()
            .unwrap()
            .starts_with("</script>")
    );
    // The data and the page's own, and nothing else.
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script").count(), 2);
    assert!(!page.contains("<img"));
}

#[test]
fn the_policy_lets_the_page_ask_for_nothing() {
    let (page, _, _) = Run::default().drawn();
    let (_, rest) = page
        .split_once("http-equiv=\"Content-Security-Policy\" content=\"")
        .unwrap();
    let (policy, _) = rest.split_once('"').unwrap();
    let mut rules = policy.split("; ");
    assert_eq!(rules.next(), Some("default-src 'none'"));
    for rule in rules {
        let (name, source) = rule.split_once(' ').unwrap();
        let good = match name {
            "script-src" | "style-src" => source.starts_with("'sha256-") && !source.contains(' '),
            "img-src" => source == "data:",
            "base-uri" | "form-action" => source == "'none'",
            _ => false,
        };
        assert!(good, "{rule}");
    }
}

#[test]
fn a_history_that_changed_meanwhile_is_not_drawn() {
    let run = Run::default();
    let history = run.history();
    let judged = Judged::of("history.jsonl", Reader::new(history.as_slice()).unwrap()).unwrap();
    let other = Run { flips: 3, ..run }.history();
    let drawn = judged.draw(Reader::new(other.as_slice()).unwrap());
    assert!(
        matches!(drawn, Err(Undrawable::Changed { .. })),
        "{drawn:?}"
    );
    assert!(
        judged
            .draw(Reader::new(history.as_slice()).unwrap())
            .is_ok()
    );
}
