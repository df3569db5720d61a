//! Whether a screen shows what a page says: but for numbers, digests and widths of columns.

/// True when the screen shows these lines and no others. `…` stands for anything within a line, and alone on
/// a line for any lines.
pub(crate) fn shows(screen: &[String], page: &[String]) -> bool {
    match (page.split_first(), screen.split_first()) {
        (None, None) => true,
        (Some((line, page)), _) if line.trim() == "…" => {
            (0..=screen.len()).any(|skipped| shows(screen.get(skipped..).unwrap_or_default(), page))
        }
        (Some((said, page)), Some((seen, screen))) => same(said, seen) && shows(screen, page),
        _ => false,
    }
}

/// True when the screen begins with these lines, whatever comes later.
pub(crate) fn begins(screen: &[String], page: &[String]) -> bool {
    let any = ["…".to_owned()];
    shows(screen, &[page, &any].concat())
}

/// One line of a page, one of a screen.
pub(crate) fn same(said: &str, seen: &str) -> bool {
    let (said, seen) = (plain(said), plain(seen));
    let mut parts = said.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = seen.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    true
}

/// A line in which numbers, digests and gaps are all alike: `12.5`, `1,024`, `127.0.0.1` and `1a2b3c4d5e6f` are `0`, and so are
/// `+0.5` and `-0.5` behind a gap.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line.trim_end();
    while let Some(first) = rest.chars().next() {
        let word = rest
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default();
        let behind_sign = rest.strip_prefix(['+', '-']).map_or(0, number);
        let taken = if is_digest(word) {
            plain.push('0');
            word.len()
        } else if first.is_ascii_digit() {
            plain.push('0');
            number(rest)
        } else if plain.ends_with(' ') && behind_sign > 0 {
            plain.push('0');
            1 + behind_sign
        } else if first == ' ' {
            plain.push(' ');
            rest.len() - rest.trim_start_matches(' ').len()
        } else if word.is_empty() {
            plain.push(first);
            first.len_utf8()
        } else {
            // Letters, up to the next digit: `v1` is `v0`.
            let letters = word
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(word.len());
            plain.push_str(word.get(..letters).unwrap_or_default());
            letters
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    plain
}

fn is_digest(word: &str) -> bool {
    let hexadecimal = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    word.len() >= 8 && word.chars().all(hexadecimal) && word.contains(|c: char| c.is_ascii_digit())
}

/// How long the number is that a text begins with: digits, and points and commas between digits.
fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end = 0;
    while digit(end) || (matches!(bytes.get(end), Some(b'.' | b',')) && digit(end + 1)) {
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn numbers_digests_and_widths_may_differ() {
        for (said, seen) in [
            ("done after 7 ms", "done after 12 ms"),
            ("127.0.0.1:9901  green  12.5%", "127.0.0.1:10001 green   9%"),
            ("module 0.1.0 (1a2b3c4d5e6f)", "module 0.1.0 (ffeeddccbb00)"),
            ("off by +1.2 ms", "off by -0.35 ms"),
            ("2026-11-21T14:00:00Z", "2027-01-02T03:04:05Z"),
            ("reaches … until …", "reaches green until noon"),
            ("…", ""),
        ] {
            assert!(same(said, seen), "{said} / {seen}");
        }
    }

    #[test]
    fn words_and_the_presence_of_numbers_may_not_differ() {
        for (said, seen) in [
            ("done: green", "done: blue"),
            ("after 7 ms", "after ms"),
            ("one + two", "one - two"),
            ("after 7 ms", "after 7 ms or so"),
            ("one … three", "one two"),
            ("deadbeef", "abadcafe"),
        ] {
            assert!(!same(said, seen), "{said} / {seen}");
        }
    }

    #[test]
    fn an_ellipsis_on_its_own_line_stands_for_lines() {
        let screen = lines("a\nb\nc\nd");
        assert!(shows(&screen, &lines("a\n…\nd")));
        assert!(shows(&screen, &lines("…\nb\n…")));
        assert!(shows(&screen, &lines("a\nb\n…\nc\nd")));
        assert!(!shows(&screen, &lines("a\n…\nc")));
        assert!(!shows(&screen, &lines("a\nb\nc")));
        assert!(begins(&screen, &lines("a\nb\nc")));
        assert!(!begins(&screen, &lines("b\nc")));
    }
}
