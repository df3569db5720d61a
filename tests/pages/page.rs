//! What stands on a page: the blocks of commands, who types them, and what they are to show.

use std::fmt::Write as _;

/// Marks, in comments directly before a block. Readers of the page do not see them.
const MARKS: &str = "not run: REASON, terminal NAME, keeps running, exits with CODE, ends, recorded, needs docker, needs cluster";

/// A page whose blocks follow the rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) blocks: Vec<Block>,
    /// Blocks that are not run.
    pub(crate) not_run: usize,
    /// What each command shows stands on the page, and is written there by `CUTOVER_UPDATE`.
    pub(crate) recorded: bool,
    /// What the page needs besides a checkout; it is run in that network.
    pub(crate) needs: Option<Need>,
}

/// What the page's commands speak to, and who runs it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A Docker Engine; `scripts/docker-test`.
    Docker,
    /// A Kubernetes cluster with Istio; the lane `node` of `scripts/test`.
    Cluster,
}

impl Need {
    /// As `CUTOVER_STAGE` names it, and the mark after `needs`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "docker" => Some(Self::Docker),
            "cluster" => Some(Self::Cluster),
            _ => None,
        }
    }

    /// The variables by which it is found.
    pub(crate) fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["DOCKER_HOST", "DOCKER_CONFIG"],
            Self::Cluster => &[
                "KUBECONFIG",
                "CUTOVER_REGISTRY",
                // `scripts/package-oci` asks cargo what the module is made of.
                "CARGO_HOME",
                "RUSTUP_HOME",
            ],
        }
    }
}

/// Commands that are typed into one terminal, one after the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// Lines are counted from 1.
    pub(crate) line: usize,
    pub(crate) terminal: String,
    /// The last command is not waited for, only what it is to show.
    pub(crate) keeps_running: bool,
    /// What the last command exits with, when the page says so.
    pub(crate) exits_with: Option<i32>,
    pub(crate) steps: Vec<Step>,
}

/// A command, or a key, and the lines below it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) act: Act,
    pub(crate) shown: Vec<String>,
}

/// What is done at a terminal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Act {
    /// A command, which may have several lines.
    Type(String),
    /// Ctrl-C to what runs, `^C` on the page.
    #[default]
    Interrupt,
    /// Nothing, until what runs has ended.
    Wait,
}

impl Act {
    /// How many lines of the page it takes.
    fn lines(&self) -> usize {
        match self {
            Self::Type(command) => command.lines().count(),
            Self::Interrupt => 1,
            Self::Wait => 0,
        }
    }
}

/// Reads a page; all that breaks the rules is said, with its line.
pub(crate) fn parse(text: &str) -> Result<Page, String> {
    let lines: Vec<_> = text.lines().collect();
    let mut page = Page::default();
    let mut problems = String::new();
    let mut marks: Vec<(usize, &str)> = vec![];
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let number = at + 1;
        at += 1;
        if let Some(mark) = mark(line) {
            match mark {
                "recorded" => page.recorded = true,
                mark => match mark.strip_prefix("needs ").map(Need::named) {
                    Some(Some(need)) => page.needs = Some(need),
                    Some(None) => {
                        let _ = writeln!(problems, "line {number}: `{mark}`: {MARKS}");
                    }
                    None => marks.push((number, mark)),
                },
            }
            continue;
        }
        let Some(language) = line.trim_start().strip_prefix("```") else {
            for (number, mark) in marks.drain(..) {
                let _ = writeln!(problems, "line {number}: no block follows `{mark}`");
            }
            if line.starts_with("    cutover ") || line.starts_with("    $ ") {
                let _ = writeln!(
                    problems,
                    "line {number}: commands stand in a ```console block"
                );
            }
            continue;
        };
        // A block may stand in a list.
        let indent = line.get(..line.len() - line.trim_start().len());
        let body = lines.iter().skip(at);
        let body = body.take_while(|line| line.trim() != "```");
        let body = body.map(|line| {
            line.strip_prefix(indent.unwrap_or_default())
                .unwrap_or(line)
        });
        let body: Vec<_> = body.collect();
        at += body.len() + 1;
        let marks = std::mem::take(&mut marks);
        if matches!(language, "sh" | "bash" | "shell" | "zsh" | "shell-session") {
            let _ = writeln!(
                problems,
                "line {number}: commands stand in a ```console block"
            );
        } else if marks.iter().any(|(_, mark)| mark.starts_with("not run: ")) {
            page.not_run += 1;
        } else if language == "console" {
            match block(number, &body, &marks) {
                Ok(block) => page.blocks.push(block),
                Err(problem) => problems += &problem,
            }
        } else if let [(number, mark), ..] = marks.as_slice() {
            let _ = writeln!(
                problems,
                "line {number}: `{mark}` is for a ```console block"
            );
        }
    }
    if problems.is_empty() {
        Ok(page)
    } else {
        Err(problems)
    }
}

/// What a comment of one line says, when it looks like a mark.
fn mark(line: &str) -> Option<&str> {
    let mark = line
        .trim()
        .strip_prefix("<!--")?
        .strip_suffix("-->")?
        .trim();
    let words = [
        "not run",
        "terminal ",
        "keeps running",
        "exits with ",
        "ends",
        "recorded",
        "needs ",
    ];
    words
        .iter()
        .any(|word| mark.starts_with(word))
        .then_some(mark)
}

fn block(line: usize, body: &[&str], marks: &[(usize, &str)]) -> Result<Block, String> {
    let mut block = Block {
        line,
        terminal: "1".to_owned(),
        ..Block::default()
    };
    for (number, mark) in marks {
        if let Some(name) = mark.strip_prefix("terminal ") {
            name.clone_into(&mut block.terminal);
        } else if let Some(code) = mark.strip_prefix("exits with ") {
            let bad = |_| format!("line {number}: `{code}` is no exit code\n");
            block.exits_with = Some(code.parse().map_err(bad)?);
        } else if *mark == "ends" {
            let act = Act::Wait;
            let step = Step {
                line: line + 1,
                act,
                shown: vec![],
            };
            block.steps.push(step);
        } else if *mark == "keeps running" {
            block.keeps_running = true;
        } else {
            return Err(format!("line {number}: `{mark}` is none of: {MARKS}\n"));
        }
    }
    let mut goes_on = false;
    for (text, number) in body.iter().zip(line + 1..) {
        let last = block.steps.last_mut();
        let act = last.map(|step| (&mut step.act, &mut step.shown));
        match (text.strip_prefix("$ "), text.strip_prefix("> "), act) {
            (_, _, Some((Act::Type(command), _))) if goes_on => {
                *command = format!("{command}\n{text}");
                goes_on = text.ends_with('\\');
            }
            (Some(command), _, _) => {
                goes_on = command.ends_with('\\');
                let act = Act::Type(command.to_owned());
                block.steps.push(Step {
                    line: number,
                    act,
                    shown: vec![],
                });
            }
            (_, Some(more), Some((Act::Type(command), shown))) if shown.is_empty() => {
                *command = format!("{command}\n{more}");
            }
            _ if *text == "^C" => block.steps.push(Step {
                line: number,
                ..Step::default()
            }),
            (_, _, Some((_, shown))) => shown.push((*text).to_owned()),
            (_, _, None) => {
                let problem = "a block begins with `$ ` and a command";
                return Err(format!("line {number}: {problem}\n"));
            }
        }
    }
    let last = block.steps.last();
    if block.keeps_running && last.is_none_or(|step| step.shown.is_empty()) {
        return Err(format!(
            "line {line}: a command that keeps running shows how one sees that it is there\n"
        ));
    }
    Ok(block)
}

/// The page with what was shown below its commands; below what keeps running, as many lines as stood there.
pub(crate) fn record(text: &str, page: &Page, screens: &[Vec<Vec<String>>]) -> String {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    for (block, screens) in page.blocks.iter().zip(screens).rev() {
        let steps = block.steps.iter().zip(screens).rev();
        for (back, (step, screen)) in steps.enumerate() {
            let goes_on = block.keeps_running && back == 0;
            let length = if goes_on {
                step.shown.len()
            } else {
                screen.len()
            };
            if goes_on && step.shown.iter().any(|line| line.contains('…')) {
                continue;
            }
            let from = step.line - 1 + step.act.lines();
            let shown = screen.iter().take(length).cloned();
            lines.splice(from..from + step.shown.len(), shown);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expect: &str) {
        let problem = parse(text).unwrap_err();
        assert!(problem.contains(expect), "{problem}");
    }

    #[test]
    fn a_block_that_is_neither_run_nor_marked_is_refused() {
        refused(
            "```sh\nls\n```\n",
            "line 1: commands stand in a ```console block",
        );
        refused(
            "    cutover verify\n",
            "line 1: commands stand in a ```console block",
        );
        refused("```console\nls\n```\n", "line 2: a block begins with `$ `");
        refused(
            "<!-- not run: -->\n```console\nls\n```\n",
            "`not run:` is none of",
        );
        refused(
            "<!-- not run: no network -->\n\n```console\nls\n```\n",
            "line 1: no block follows",
        );
        refused(
            "<!-- terminal 2 -->\n```json\n{}\n```\n",
            "line 1: `terminal 2` is for a ```console",
        );
        refused(
            "<!-- keeps running -->\n```console\n$ ls\n```\n",
            "shows how one sees",
        );
        let page = parse("<!-- not run: no network -->\n```console\nls\n```\n").unwrap();
        assert_eq!((page.not_run, page.blocks.len()), (1, 0));
    }

    #[test]
    fn a_page_says_what_it_needs() {
        let text = "```console\n$ ls\n```\n";
        assert_eq!(parse(text).unwrap().needs, None);
        for (mark, need) in [("docker", Need::Docker), ("cluster", Need::Cluster)] {
            let page = parse(&format!("<!-- needs {mark} -->\n{text}")).unwrap();
            assert_eq!((page.needs, page.blocks.len()), (Some(need), 1));
        }
        refused(
            &format!("<!-- needs luck -->\n{text}"),
            "line 1: `needs luck`",
        );
    }

    #[test]
    fn what_is_shown_replaces_what_stands_on_a_recorded_page() {
        let text = "<!-- recorded -->\n```console\n$ a \\\n  b\nold\n$ c\n```\nend\n";
        let page = parse(text).unwrap();
        assert!(page.recorded);
        let screens = vec![vec![
            vec!["new".to_owned(), "lines".to_owned()],
            vec!["more".to_owned()],
        ]];
        assert_eq!(
            record(text, &page, &screens),
            "<!-- recorded -->\n```console\n$ a \\\n  b\nnew\nlines\n$ c\nmore\n```\nend\n"
        );
    }

    #[test]
    fn what_keeps_running_is_recorded_as_far_as_it_stood_there() {
        let recorded = |shown: &str| {
            let text = format!("<!-- keeps running -->\n```console\n$ a\n{shown}\n```\n");
            let screens = vec![vec![vec!["up 2".to_owned(), "later".to_owned()]]];
            record(&text, &parse(&text).unwrap(), &screens)
        };
        let head = "<!-- keeps running -->\n```console\n$ a\n";
        assert_eq!(recorded("up 1"), format!("{head}up 2\n```\n"));
        assert_eq!(recorded("up …"), format!("{head}up …\n```\n"));
    }
}
