//! Who was convicted of what, by line.

use cutover_checker::{Conviction, Rule};

/// Rules as bits, so that what a request broke is one byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules(pub(crate) u8);

impl Rules {
    fn of(rule: Rule) -> Self {
        let bit = Rule::ALL.iter().take_while(|other| **other != rule).count();
        Self(1 << bit)
    }

    pub(crate) fn has(self, rule: Rule) -> bool {
        self.0 & Self::of(rule).0 != 0
    }

    /// Whether it broke a rule besides having failed and being stale, which are counted by themselves.
    pub(crate) fn has_other(self) -> bool {
        self.0 & !(Self::of(Rule::Stale).0 | Self::of(Rule::Failed).0) != 0
    }
}

/// The convicted requests of a history: eight bytes each.
#[derive(Default)]
pub(crate) struct Convictions(Vec<(u32, Rules)>);

impl Convictions {
    pub(crate) fn add(&mut self, conviction: Conviction) {
        // The checker counts lines in 32 bits.
        let line = u32::try_from(conviction.line).unwrap_or(u32::MAX);
        self.0.push((line, Rules::of(conviction.rule)));
    }

    /// Puts them in the order of the lines, one entry a line.
    pub(crate) fn sort(&mut self) {
        self.0.sort_unstable_by_key(|(line, _)| *line);
        self.0.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1.0 |= later.1.0;
            }
            same
        });
    }

    /// Looks them up by ascending lines.
    pub(crate) fn in_order(&self) -> InOrder<'_> {
        InOrder(&self.0)
    }
}

/// What is left of the convictions after the lines that were asked for.
pub(crate) struct InOrder<'a>(&'a [(u32, Rules)]);

impl InOrder<'_> {
    /// What the request of a line broke.
    pub(crate) fn of(&mut self, line: u32) -> Rules {
        while let Some(((next, rules), rest)) = self.0.split_first() {
            if *next > line {
                break;
            }
            self.0 = rest;
            if *next == line {
                return *rules;
            }
        }
        Rules::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_broke_is_found_once_and_in_order() {
        let mut convictions = Convictions::default();
        for (line, rule) in [
            (9, Rule::Stale),
            (4, Rule::Failed),
            (9, Rule::Misrouted),
            (7, Rule::Unpushed),
        ] {
            convictions.add(Conviction { line, rule });
        }
        convictions.sort();
        let mut in_order = convictions.in_order();
        let found: Vec<u8> = (2..11).map(|line| in_order.of(line).0).collect();
        assert_eq!(found, [0, 0, 128, 0, 0, 1, 0, 4 + 16, 0]);
    }
}
