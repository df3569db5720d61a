//! The example in the documentation of the format.

use cutover_checker::{Verdict, judge};
use cutover_history::Reader;

/// The blocks of `docs/history.md` that are whole histories.
fn examples() -> Vec<String> {
    let page = include_str!("../../../../docs/history.md");
    let blocks = page.split("```jsonl\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split("```").next());
    blocks
        .filter(|block| block.starts_with("{\"cutover_history\""))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_documented_example_is_read_and_judged_as_it_says() {
    let verdicts: Vec<String> = examples()
        .iter()
        .map(|text| {
            let mut reader = Reader::new(text.as_bytes()).unwrap();
            let header = reader.header().clone();
            judge(&header, &mut reader).unwrap().verdict
        })
        .map(|verdict| match verdict {
            Verdict::Violated(_) => verdict.to_string(),
            Verdict::Inconclusive(_) => "inconclusive".to_owned(),
            Verdict::Holds => "holds".to_owned(),
        })
        .collect();
    insta::assert_snapshot!(verdicts.join("\n\n"), @r#"
inconclusive

violated
a request was decided by an older generation than one already seen or acknowledged
  line 4  envoy-0  request: generation 2 green  |-----------|
  line 5  envoy-0  request: generation 1 blue                           |-----------|
                                                +0 ns       +899.9 us   +1 ms       +1.699 ms
                                                (from 8 ms of the run; not to scale)
"#);
    let page = include_str!("../../../../docs/history.md");
    let drawn = verdicts.last().unwrap();
    assert!(page.contains(drawn), "the page does not show\n{drawn}");
}
