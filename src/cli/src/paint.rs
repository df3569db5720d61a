//! Colors in a terminal: the words blue and green, and what a line begins with.

use std::{env, io::IsTerminal};

const RESET: &str = "\x1b[0m";
const BLUE: &str = "\x1b[1;34m";
const GREEN: &str = "\x1b[1;32m";
const ERROR: &str = "\x1b[1;31m";
const STEP: &str = "\x1b[1m";

/// When to use colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    /// In a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Also into a pipe
    Always,
    /// Nowhere
    Never,
}

impl ColorChoice {
    /// Whether this stream gets colors.
    pub(crate) fn is_wanted(self, stream: &impl IsTerminal) -> bool {
        let forbidden = || env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => can_be_drawn_on(stream) && !forbidden(),
        }
    }
}

/// Whether this stream is a terminal that can do more than print one line after the other.
pub(crate) fn can_be_drawn_on(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// Colors the words `blue` and `green` wherever they stand by themselves, and `error:`, `hint:` and
/// `next:` where a line begins with them. A part of a path or of a name is left alone.
pub(crate) fn words(text: &str) -> String {
    let mut painted = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        let line = match ["error:", "hint:", "next:"]
            .iter()
            .find_map(|mark| Some((*mark, line.strip_prefix(mark)?)))
        {
            Some((mark, rest)) => {
                let style = if mark == "error:" { ERROR } else { STEP };
                painted += &[style, mark, RESET].concat();
                rest
            }
            None => line,
        };
        for piece in line.split_inclusive([' ', '\n']) {
            let word = piece.trim_end_matches([' ', '\n', ',', '.', ':', ';', ')']);
            let inner = word.trim_start_matches('(');
            let style = match inner {
                "blue" => BLUE,
                "green" => GREEN,
                _ => {
                    painted += piece;
                    continue;
                }
            };
            let (before, after) = (word.len() - inner.len(), piece.strip_prefix(word));
            painted += &"(".repeat(before);
            painted += &[style, inner, RESET, after.unwrap_or_default()].concat();
        }
    }
    painted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let marked = words(text)
            .replace(BLUE, "<b>")
            .replace(GREEN, "<g>")
            .replace(ERROR, "<e>")
            .replace(STEP, "<s>")
            .replace(RESET, "</>");
        assert_eq!(marked, expect);
    }

    #[test]
    fn a_color_that_stands_by_itself_is_painted() {
        check(
            "done: app is green, was blue.",
            "done: app is <g>green</>, was <b>blue</>.",
        );
        check("green\nblue  x", "<g>green</>\n<b>blue</>  x");
        check("(blue) a", "(<b>blue</>) a");
    }

    #[test]
    fn a_color_inside_a_word_is_not() {
        let plain = "/tmp/blue/x greenish app-blue --blue blue=1 BLUE";
        check(plain, plain);
    }

    #[test]
    fn what_a_line_begins_with_is_painted() {
        check(
            "error: no\nhint: do\nnext: go",
            "<e>error:</> no\n<s>hint:</> do\n<s>next:</> go",
        );
        check("an error: no", "an error: no");
    }

    #[test]
    fn a_choice_rules_over_what_the_stream_is() {
        let pipe = std::fs::File::open("/dev/null").unwrap();
        assert!(ColorChoice::Always.is_wanted(&pipe));
        assert!(!ColorChoice::Auto.is_wanted(&pipe));
        assert!(!ColorChoice::Never.is_wanted(&pipe));
    }
}
