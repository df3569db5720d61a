//! Runs the commands on the pages (README.md, docs/ and the others) as a person would type them, and compares what is
//! shown. CONTRIBUTING.md says how blocks are written. `CUTOVER_PAGES=docs/a.md,README.md` runs only those;
//! with `CUTOVER_UPDATE=1` pages that are `recorded` get what is shown. Pages that need Docker or a
//! cluster are run by whoever has one, with `CUTOVER_STAGE=docker` or `=cluster`.

#![expect(clippy::unwrap_used, reason = "a test that cannot be made has to stop")]

mod compare;
mod page;
mod run;
mod stage;
mod terminal;

use page::Page;
use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

/// All pages of the checkout, by name.
fn pages() -> BTreeMap<String, String> {
    let root = cutover_tests::root();
    let names = cutover_tests::checked_out(&["*.md"]).unwrap();
    let page = |name: String| Some((name.clone(), fs::read_to_string(root.join(name)).ok()?));
    names.into_iter().filter_map(page).collect()
}

#[test]
fn commands_on_pages_are_run_or_say_why_not() {
    let pages = pages();
    assert!(pages.contains_key("README.md"), "{:?}", pages.keys());
    for (name, text) in pages {
        if let Err(problems) = page::parse(&text) {
            panic!("{name}:\n{problems}");
        }
    }
}

#[test]
fn commands_on_pages_do_what_the_pages_say() {
    let only = std::env::var("CUTOVER_PAGES").unwrap_or_default();
    let update = std::env::var_os("CUTOVER_UPDATE").is_some();
    let pages = pages().into_iter();
    let pages = pages.filter(|(name, _)| only.is_empty() || only.split(',').any(|one| one == name));
    let pages = pages.filter_map(|(name, text)| Some((name, page::parse(&text).ok()?, text)));
    let stage = std::env::var("CUTOVER_STAGE").ok();
    let stage = stage.map(|name| page::Need::named(&name).expect("CUTOVER_STAGE"));
    let pages: Vec<_> = pages
        .filter(|(_, page, _)| !page.blocks.is_empty() && page.needs == stage)
        .collect();
    assert!(!pages.is_empty(), "there is no page like {only:?}");
    // One after the other: what a page proves under load is thin on a machine that is busy besides.
    let mut failures = vec![];
    for (name, page, text) in pages {
        let began = Instant::now();
        let outcome = run::run(&page, !(update && page.recorded));
        let seconds = began.elapsed().as_secs();
        eprintln!("{name}: {} blocks, {seconds} s", page.blocks.len());
        match outcome {
            Err(problem) => failures.push(format!("{name}, {problem}")),
            Ok(screens) if update && page.recorded => {
                let path = cutover_tests::root().join(name);
                fs::write(path, page::record(&text, &page, &screens)).unwrap();
            }
            Ok(_) => {}
        }
    }
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n\n"));
}

/// A page with these lines in one block.
fn page(block: &str) -> Page {
    page::parse(&format!("```console\n{block}\n```\n")).unwrap()
}

#[track_caller]
fn fails(text: &str, expect: &str) {
    let problem = run::run(&page::parse(text).unwrap(), true).unwrap_err();
    assert!(problem.contains(expect), "{problem}");
}

#[test]
fn a_page_with_a_wrong_command_fails() {
    fails(
        "```console\n$ true\n$ cutover fly\n```\n",
        "line 3: exits with 2",
    );
    fails(
        "```console\n$ echo green\nblue\n```\n",
        "line 2: the page says otherwise",
    );
    fails(
        "<!-- exits with 2 -->\n```console\n$ true\n```\n",
        "line 3: exits with 0",
    );
    fails(
        "<!-- keeps running -->\n```console\n$ echo down\nup\n```\n",
        "it has ended, with 0",
    );
    let typed_into_another = "<!-- keeps running -->\n```console\n$ echo up; exec cat\nup\n```\n\
                              ```console\n$ true\n```\n";
    fails(typed_into_another, "something runs still in terminal 1");
}

#[test]
fn a_page_is_typed_into_terminals_that_share_a_network_of_their_own() {
    let text = r#"
<!-- terminal 2 -->
<!-- keeps running -->
```console
$ python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 8081)); print("up", flush=True)
> while True: s.accept()'
up
```

```console
$ cd docs && folder=$(pwd)
$ test -t 0 && cat <<END
> two
> lines of $(basename "$folder")
> END
two
lines of docs
$ read -p "Go on? [y/N] " answer; echo "$answer"
Go on? [y/N] y
y
$ exec 3<>/dev/tcp/127.0.0.1/8081
$ echo "the process is $$"; cutover --version
the process is 1
cutover …
```

<!-- terminal 3 -->
<!-- keeps running -->
```console
$ mkfifo gate; echo waiting; cat gate
waiting
```

```console
$ echo over > ../gate
```

<!-- terminal 3 -->
<!-- ends -->
```console
waiting
over
```

<!-- exits with 130 -->
```console
$ cat <(echo waiting) -
waiting
^C
```
"#;
    let page = page::parse(text).unwrap();
    run::run(&page, true).unwrap();
    // Nothing of another page is there.
    run::run(
        &self::page("$ exec 3<>/dev/tcp/127.0.0.1/8081 || echo free\n…\nfree"),
        true,
    )
    .unwrap();
}
