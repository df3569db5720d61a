//! A part of a terminal that is drawn anew again and again.

use crate::paint;
use std::{
    fmt::Write as _,
    io::{self, Write as _},
};
use terminal_size::{Height, Width};
use unicode_width::UnicodeWidthChar as _;

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
const TO_LINE_END: &str = "\x1b[K";
const TO_SCREEN_END: &str = "\x1b[J";

/// The lines above the cursor that were drawn last. The cursor comes back when it is dropped.
pub(crate) struct Screen {
    colors: bool,
    drawn: usize,
}

impl Screen {
    pub(crate) fn new(colors: bool) -> Self {
        Self { colors, drawn: 0 }
    }

    /// Puts a text in the place of the one before, in one write and without a blank moment between.
    /// What is wider or higher than the terminal is cut.
    pub(crate) fn draw(&mut self, text: &str) -> io::Result<()> {
        let (columns, rows) = terminal_size::terminal_size()
            .map_or((80, 24), |(Width(w), Height(h))| (w.into(), h.into()));
        let frame = self.frame(text, columns, rows);
        let mut out = io::stdout().lock();
        out.write_all(frame.as_bytes())?;
        out.flush()
    }

    fn frame(&mut self, text: &str, columns: usize, rows: usize) -> String {
        let mut frame = HIDE_CURSOR.to_owned();
        if self.drawn > 0 {
            let _ = write!(frame, "\r\x1b[{}A", self.drawn);
        }
        let lines: Vec<_> = text.trim_end().lines().collect();
        let room = rows.saturating_sub(1).max(1);
        let shown = if lines.len() > room {
            room - 1
        } else {
            lines.len()
        };
        let cut = lines.iter().take(shown).map(|line| fitting(line, columns));
        let note = (shown < lines.len()).then_some("…");
        self.drawn = 0;
        for line in cut.chain(note) {
            let line = if self.colors {
                paint::words(line)
            } else {
                line.to_owned()
            };
            let _ = writeln!(frame, "{line}{TO_LINE_END}");
            self.drawn += 1;
        }
        frame + TO_SCREEN_END
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.drawn > 0 {
            // A terminal may have written ^C there.
            let mut out = io::stdout().lock();
            let _ = write!(out, "\r{TO_LINE_END}{SHOW_CURSOR}");
            let _ = out.flush();
        }
    }
}

/// As much of a line as goes into so many columns.
fn fitting(line: &str, columns: usize) -> &str {
    let mut width = 0;
    for (at, c) in line.char_indices() {
        width += c.width().unwrap_or_default();
        if width > columns {
            return line.get(..at).unwrap_or(line);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen() -> Screen {
        Screen {
            colors: false,
            drawn: 0,
        }
    }

    #[test]
    fn a_frame_covers_the_one_before() {
        let mut screen = screen();
        assert_eq!(
            screen.frame("a\nb\n", 80, 24),
            "\x1b[?25la\x1b[K\nb\x1b[K\n\x1b[J"
        );
        assert_eq!(
            screen.frame("c", 80, 24),
            "\x1b[?25l\r\x1b[2Ac\x1b[K\n\x1b[J"
        );
        screen.drawn = 0;
    }

    #[test]
    fn what_does_not_fit_is_cut_before_it_is_painted() {
        let mut screen = screen();
        assert_eq!(screen.frame("abcdef", 4, 24), "\x1b[?25labcd\x1b[K\n\x1b[J");
        screen.drawn = 0;
        assert_eq!(
            screen.frame("a\nb\nc\nd", 4, 4),
            "\x1b[?25la\x1b[K\nb\x1b[K\n…\x1b[K\n\x1b[J"
        );
        screen.drawn = 0;
        screen.colors = true;
        let painted = screen.frame("x blue green", 9, 24);
        assert!(
            painted.contains("\x1b[1;34mblue\x1b[0m gr\x1b[K"),
            "{painted:?}"
        );
        screen.drawn = 0;
    }
}
