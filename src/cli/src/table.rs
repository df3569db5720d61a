//! Plain tables: columns as wide as their widest cell is seen.

use std::{borrow::Cow, fmt::Write as _};
use unicode_width::UnicodeWidthStr as _;

/// Lines up rows; the first is the head.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let cells = cells.map(|cell| on_one_line(cell).width());
        cells.max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let cell = on_one_line(cell);
            let gap = width.saturating_sub(cell.width()) + 2;
            let _ = write!(line, "{cell}{:gap$}", "");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Without what would end the line or tell the terminal to do something: a cell may hold what another
/// user has written, such as the reason of a switch.
fn on_one_line(cell: &str) -> Cow<'_, str> {
    if !cell.contains(char::is_control) {
        return cell.into();
    }
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    cell.chars().map(shown).collect()
}

/// The same within so many columns of a terminal: what is least is left out first, by its head, and
/// told.
pub(crate) fn table_within(
    columns: Option<usize>,
    mut rows: Vec<Vec<String>>,
    least: &[&str],
) -> String {
    let mut text = table(&rows);
    let Some(columns) = columns else {
        return text;
    };
    let mut left_out = vec![];
    for head in least {
        if text.lines().all(|line| line.width() <= columns) {
            break;
        }
        let heads = rows.first().into_iter().flatten();
        let Some(at) = heads.into_iter().position(|one| one == head) else {
            continue;
        };
        for row in rows.iter_mut().filter(|row| row.len() > at) {
            row.remove(at);
        }
        left_out.push(*head);
        text = table(&rows);
    }
    if left_out.is_empty() {
        return text;
    }
    let note = format!("left out here: {}; -o json has all", left_out.join(", "));
    let mut used = 0;
    for word in note.split(' ') {
        match used {
            0 => {}
            _ if used + 1 + word.width() > columns => {
                text.push('\n');
                used = 0;
            }
            _ => {
                text.push(' ');
                used += 1;
            }
        }
        text += word;
        used += word.width();
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_least_gives_way_where_there_is_no_room() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = vec![
            row(["NAME", "SIZE", "NOTE"]),
            row(["one", "12", "a long note"]),
            vec!["silent".to_owned()],
        ];
        let within = |columns| table_within(columns, rows.clone(), &["SIZE", "NOTE"]);
        let all = "NAME    SIZE  NOTE\none     12    a long note\nsilent\n";
        assert_eq!(within(None), all);
        assert_eq!(within(Some(25)), all);
        assert_eq!(
            within(Some(24)),
            "NAME    NOTE\none     a long note\nsilent\nleft out here: SIZE; -o\njson has all\n"
        );
        assert_eq!(
            within(Some(10)),
            "NAME\none\nsilent\nleft out\nhere:\nSIZE,\nNOTE; -o\njson has\nall\n"
        );
    }

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = [row(["A", "B"]), row(["日本", "1"]), row(["xyz", "2"])];
        assert_eq!(table(&rows), "A     B\n日本  1\nxyz   2\n");
    }

    #[test]
    fn a_cell_stays_on_its_line_and_tells_the_terminal_nothing() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = [row(["A", "B"]), row(["two\nlines", "\u{1b}[31mred"])];
        let shown = table(&rows);
        assert_eq!(shown, "A          B\ntwo lines  \u{fffd}[31mred\n");
    }
}
