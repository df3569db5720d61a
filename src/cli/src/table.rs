//! Plain tables: columns as wide as their widest cell is seen.

use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr as _;

/// Lines up rows; the first is the head.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let gap = width.saturating_sub(cell.width()) + 2;
            let _ = write!(line, "{cell}{:gap$}", "");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = [row(["A", "B"]), row(["日本", "1"]), row(["xyz", "2"])];
        assert_eq!(table(&rows), "A     B\n日本  1\nxyz   2\n");
    }
}
