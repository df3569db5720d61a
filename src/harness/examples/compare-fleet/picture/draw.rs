//! Drawing: SVG with styles for light and dark, and nothing that is loaded.

use std::fmt::Write as _;

use cutover_history::Color;

use super::scene::{LENGTH, Mark, Scene};
use crate::table::milliseconds;
use crate::way::HOLD;

const WIDTH: i64 = 960;
const LEFT: i64 = 64;
const RIGHT: i64 = 22;
/// From one proxy to the next, in the two wide panels and in the magnified one.
const ROW: i64 = 8;
const TALL: i64 = 12;
/// Half of what is magnified.
const NEAR: i64 = 60_000_000;
const MS: i64 = 1_000_000;
/// Lengths inside a path are tenths.
const TENTHS: i64 = 10;
/// The width of a mark, in tenths.
const WIDE: i64 = 14;

const STYLE: &str = "<style>\
text{fill:#1f2328;font:13px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
.t{font-size:19px;font-weight:650}.h{font-size:15px;font-weight:650}.q{fill:#59636e}.m{font-size:12px}\
.p{fill:#fff;stroke:#d1d9e0}.r{fill:#f6f8fa}.x{stroke:#59636e;fill:none}\
.mixed{fill:#ffb224;opacity:.3}.held{fill:#8250df;opacity:.16}.e{fill:none;stroke-width:1.5}\
.mixed.e{stroke:#bc4c00;opacity:1;fill:none}.held.e{stroke:#8250df;opacity:1;fill:none}\
.mixed.l{fill:#bc4c00;opacity:1;font-weight:600}.held.l{fill:#8250df;opacity:1;font-weight:600}\
.b,.g{fill:none;stroke-width:6}.b{stroke:#0b57d0}.g{stroke:#2da44e}\
.n{stroke-width:2.4;opacity:.45}.d{stroke-width:2.8}\
@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.q{fill:#9198a1}.p{fill:#0d1117;stroke:#3d444d}.r{fill:#151b23}\
.x{stroke:#9198a1}.mixed{opacity:.32}.held{fill:#ab7df8;opacity:.26}.mixed.e{stroke:#ffb224}.held.e{stroke:#ab7df8}\
.mixed.l{fill:#ffb224}.held.l{fill:#c297ff}.b{stroke:#4493f8}.g{stroke:#3fb950}}\
</style>\n";

/// A place to draw: time from left to right, proxies from top to bottom.
struct Panel {
    top: i64,
    row: i64,
    proxies: i64,
    from: i64,
    length: i64,
}

impl Panel {
    /// Where an instant is, in tenths; at the edge where it is not in the picture.
    fn tenths(&self, at: i64) -> i64 {
        let room = (WIDTH - LEFT - RIGHT) * TENTHS;
        let into = i128::from((at - self.from).clamp(0, self.length));
        let right = into * i128::from(room) / i128::from(self.length);
        LEFT * TENTHS + i64::try_from(right).unwrap_or(room)
    }

    fn x(&self, at: i64) -> String {
        decimal(self.tenths(at))
    }

    fn height(&self) -> i64 {
        self.row * self.proxies
    }

    fn bottom(&self) -> i64 {
        self.top + self.height()
    }

    /// Its ground, the first and the last proxy.
    fn ground(&self, svg: &mut String) {
        let (room, height, edge) = (WIDTH - LEFT - RIGHT, self.height(), LEFT - 8);
        let (first, last) = (self.top + self.row, self.bottom());
        let _ = writeln!(
            svg,
            "<rect class=\"r\" x=\"{LEFT}\" y=\"{}\" width=\"{room}\" height=\"{height}\"/>\n\
             <text class=\"q m\" x=\"{edge}\" y=\"{first}\" text-anchor=\"end\">proxy 1</text>\
             <text class=\"q m\" x=\"{edge}\" y=\"{last}\" text-anchor=\"end\">{}</text>",
            self.top, self.proxies
        );
    }

    /// A span of time, behind the requests, with its name above.
    fn span(&self, svg: &mut String, class: &str, (from, until): (i64, i64), name: &str) {
        let (left, right) = (self.tenths(from), self.tenths(until));
        let (top, height) = (self.top - 5, self.height() + 10);
        let middle = decimal(i64::midpoint(left, right));
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{height}\"/>\
             <path class=\"{class} e\" d=\"M{} {}v-5H{}v5\"/>\
             <text class=\"{class} l\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{name}</text>",
            decimal(left),
            decimal(right - left),
            decimal(left),
            self.top - 5,
            decimal(right),
            self.top - 15,
        );
    }

    /// Marks on the axis, with what they are called.
    fn axis(&self, svg: &mut String, marks: &[(i64, String)]) {
        let bottom = self.bottom() + 5;
        for (at, name) in marks {
            let x = self.x(*at);
            let _ = writeln!(
                svg,
                "<path class=\"x\" d=\"M{x} {bottom}v5\"/>\
                 <text class=\"q m\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{name}</text>",
                bottom + 18
            );
        }
    }

    /// Every request as a mark where it was sent, and a thin line to its answer where that took long enough to be seen.
    fn requests(&self, svg: &mut String, marks: &[Mark]) {
        for (class, color) in [("b", Color::Blue), ("g", Color::Green)] {
            let (mut sent, mut taken) = (String::new(), String::new());
            for row in 0..self.proxies {
                let y = decimal((self.top + row * self.row) * TENTHS + self.row * TENTHS / 2);
                let mut pen = None;
                let here = marks
                    .iter()
                    .filter(|mark| i64::from(mark.proxy) == row && mark.color == color);
                for mark in here {
                    let (left, right) = (self.tenths(mark.start), self.tenths(mark.end));
                    let _ = match pen {
                        None => write!(sent, "M{} {y}", decimal(left)),
                        Some(pen) => write!(sent, "m{} 0", decimal(left - pen)),
                    };
                    let _ = write!(sent, "h{}", decimal(WIDE));
                    pen = Some(left + WIDE);
                    if right > left + 2 * WIDE {
                        let _ = write!(taken, "M{} {y}H{}", decimal(left), decimal(right));
                    }
                }
            }
            let _ = writeln!(svg, "<path class=\"{class} n\" d=\"{taken}\"/>");
            let _ = writeln!(svg, "<path class=\"{class}\" d=\"{sent}\"/>");
        }
    }

    /// Every request as a thin line that ends in its answer. Those of a proxy that overlap lie below each other.
    fn waits(&self, svg: &mut String, marks: &[Mark]) {
        for (class, color) in [("b", Color::Blue), ("g", Color::Green)] {
            let (mut lines, mut answers) = (String::new(), String::new());
            for row in 0..self.proxies {
                let mut taken = [i64::MIN; 3];
                let here = marks.iter().filter(|mark| i64::from(mark.proxy) == row);
                let inside = here
                    .filter(|mark| mark.end > self.from && mark.start < self.from + self.length);
                for mark in inside {
                    let free = taken.iter().position(|until| *until < mark.start);
                    let lane = free.unwrap_or(0);
                    if let Some(until) = taken.get_mut(lane) {
                        *until = mark.end + MS / 2;
                    }
                    if mark.color != color {
                        continue;
                    }
                    let down = i64::try_from(lane).unwrap_or(0) * 35 + 25;
                    let y = decimal((self.top + row * self.row) * TENTHS + down);
                    let (left, right) = (self.tenths(mark.start), self.tenths(mark.end));
                    let _ = write!(lines, "M{} {y}H{}", decimal(left), decimal(right));
                    if mark.end < self.from + self.length {
                        let _ = write!(answers, "M{} {y}h3", decimal(right - 15));
                    }
                }
            }
            let _ = writeln!(svg, "<path class=\"{class} n\" d=\"{lines}\"/>");
            let _ = writeln!(svg, "<path class=\"{class} d\" d=\"{answers}\"/>");
        }
    }
}

/// The picture.
pub(super) fn picture(plain: &Scene, held: &Scene) -> String {
    let proxies = i64::from(plain.proxies.max(held.proxies));
    let wide = |top, from| Panel {
        top,
        row: ROW,
        proxies,
        from,
        length: LENGTH,
    };
    let first = wide(142, plain.from);
    let second = wide(first.bottom() + 108, held.from);
    let near = Panel {
        top: second.bottom() + 108,
        row: TALL,
        from: -NEAR,
        length: 2 * NEAR,
        ..second
    };
    let height = near.bottom() + 42;
    let half = i64::try_from(HOLD.as_nanos()).unwrap_or(0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"{proxies} Envoys, one flip: a plain push mixes colors, a held flip does not\">\n{STYLE}\
         <rect class=\"p\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"10\"/>\n",
        WIDTH - 1,
        height - 1
    );
    let title = format!("{proxies} Envoys, one flip from blue to green, every request");
    text(&mut svg, "t", 34, &title);
    let legend = "A row is a proxy. A mark is a request when it was sent, in the color that answered; a thin line is how long that took.";
    text(&mut svg, "q", 57, legend);
    let legend = "Load, scale, delays of pushes (0 to 2 s) and clocks (off by up to ±10 ms) are the same in both.";
    text(&mut svg, "q", 74, legend);

    let stale = plain.stale;
    heading(
        &mut svg,
        &first,
        "A plain push",
        &format!(
            "switches each proxy when it gets there: {stale} requests got the old color after another had got the new one"
        ),
    );
    first.ground(&mut svg);
    let mixed = plain.mixed;
    let window = milliseconds(u64::try_from(mixed.1 - mixed.0).unwrap_or(0));
    first.span(
        &mut svg,
        "mixed",
        mixed,
        &format!("both colors for {window} ms"),
    );
    first.requests(&mut svg, &plain.marks);
    first.axis(&mut svg, &seconds(&first, "push"));

    let (stale, failed) = (held.stale, held.failed);
    heading(
        &mut svg,
        &second,
        "Cutover, held",
        &format!(
            "switches all at one instant T: {stale} requests got the old color after the new one, {failed} failed"
        ),
    );
    second.ground(&mut svg);
    let window = (-half, half);
    let name = format!("hold {} ms", 2 * half / MS);
    second.span(&mut svg, "held", window, &name);
    second.requests(&mut svg, &held.marks);
    second.axis(&mut svg, &seconds(&second, "T"));

    let times = (LENGTH + NEAR) / (2 * NEAR);
    heading(
        &mut svg,
        &near,
        &format!("The hold, {times} times as wide"),
        "who comes within it waits, and is answered when every clock has passed T",
    );
    near.ground(&mut svg);
    near.span(
        &mut svg,
        "held",
        window,
        "hold, each proxy by its own clock",
    );
    near.waits(&mut svg, &held.marks);
    let marks: Vec<_> = [-40, -20, 0, 20, 40]
        .map(|ms| (ms * MS, named(ms, "ms", "T")))
        .into();
    near.axis(&mut svg, &marks);
    svg + "</svg>\n"
}

fn text(svg: &mut String, class: &str, y: i64, words: &str) {
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"22\" y=\"{y}\">{words}</text>"
    );
}

fn heading(svg: &mut String, panel: &Panel, name: &str, words: &str) {
    let y = panel.top - 38;
    let _ = writeln!(
        svg,
        "<text x=\"22\" y=\"{y}\"><tspan class=\"h\">{name}</tspan><tspan class=\"q\" dx=\"8\">{words}</tspan></text>"
    );
}

/// Every half second of a panel.
fn seconds(panel: &Panel, zero: &str) -> Vec<(i64, String)> {
    let half = 500 * MS;
    let first = -(-panel.from / half);
    let marks = (first..).map(|number| number * half);
    marks
        .take_while(|at| *at <= panel.from + panel.length)
        .map(|at| (at, named(at / (100 * MS), "s", zero)))
        .collect()
}

/// A time on the axis: tenths of seconds, or milliseconds.
fn named(number: i64, unit: &str, zero: &str) -> String {
    let sign = if number < 0 { '−' } else { '+' };
    let size = number.unsigned_abs();
    match (number, unit) {
        (0, _) => zero.to_owned(),
        (_, "s") => format!("{sign}{}.{} s", size / 10, size % 10),
        _ => format!("{sign}{size} {unit}"),
    }
}

/// Tenths as a number, as short as can be.
fn decimal(tenths: i64) -> String {
    let sign = if tenths < 0 { "-" } else { "" };
    let (whole, rest) = (tenths.abs() / TENTHS, tenths.abs() % TENTHS);
    match (whole, rest) {
        (_, 0) => format!("{sign}{whole}"),
        (0, _) => format!("{sign}.{rest}"),
        _ => format!("{sign}{whole}.{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(from: i64, stale: u64) -> Scene {
        let mark = |proxy, start: i64, color| Mark {
            proxy,
            start: start * MS,
            end: (start + 2) * MS,
            color,
        };
        Scene {
            proxies: 2,
            from,
            marks: vec![
                mark(0, -30, Color::Blue),
                mark(0, 10, Color::Green),
                mark(1, -1, Color::Blue),
            ],
            mixed: (100 * MS, 1_850 * MS),
            stale,
            failed: 0,
        }
    }

    #[test]
    fn the_picture_says_what_it_shows_and_is_the_same_each_time() {
        let (plain, held) = (scene(-300 * MS, 1_234), scene(-LENGTH / 2, 0));
        let svg = picture(&plain, &held);
        assert_eq!(svg, picture(&plain, &held));
        for part in [
            "2 Envoys, one flip",
            ">both colors for 1750 ms<",
            "1234 requests got the old color",
            ">hold 40 ms<",
            ">T<",
            ">push<",
            "prefers-color-scheme:dark",
        ] {
            assert!(svg.contains(part), "no {part} in {svg}");
        }
        // Nothing is loaded from anywhere.
        assert_eq!(svg.matches("http").count(), 1);
        assert!(!svg.contains("href") && !svg.contains("url("));
        // Three requests: each a mark in its color, in each of the panels that show it.
        let blue = svg
            .lines()
            .filter_map(|line| line.strip_prefix("<path class=\"b\""));
        let marks: usize = blue.map(|line| line.matches('h').count()).sum();
        assert_eq!(marks, 4);
    }

    #[test]
    fn numbers_are_as_short_as_can_be() {
        let short: Vec<_> = [0, 5, -5, 10, 123, -123].map(decimal).into();
        assert_eq!(short, ["0", ".5", "-.5", "1", "12.3", "-12.3"]);
    }
}
