//! All requests, counted into columns of time.

use cutover_checker::Rule;
use cutover_history::{Color, Outcome, Request};
use serde::Serialize;

use crate::Span;
use crate::convictions::Rules;
use crate::histogram::Histogram;
use crate::scene::{latency, micros};

/// The most columns, about what a screen can show, and how many requests each should have.
const MOST: u64 = 800;
const EACH: u64 = 15;

/// Where the columns are: from when on, how wide, how many.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Grid {
    /// Start of the first column, ns.
    pub(crate) from: u64,
    /// Width of each, ns: 1, 2 or 5 times a power of ten.
    pub(crate) width: u64,
    pub(crate) count: usize,
}

impl Grid {
    /// The finest grid over a span that has no more columns than that.
    pub(crate) fn over(span: Span, most: u64) -> Self {
        let Span { from, until } = span;
        if from > until {
            return Self {
                from: 0,
                width: 1_000,
                count: 0,
            };
        }
        let widths = (3..=18).flat_map(|power| [1, 2, 5].map(|step| step * 10_u64.pow(power)));
        let columns = |width: u64| until / width - from / width + 1;
        let width = widths
            .clone()
            .find(|width| columns(*width) <= most)
            .unwrap_or(u64::MAX);
        Self {
            from: from / width * width,
            width,
            count: usize::try_from(columns(width)).unwrap_or_default(),
        }
    }

    /// The grid for so many requests: not so fine that a column shows nothing but chance.
    pub(crate) fn for_requests(span: Span, requests: u64) -> Self {
        Self::over(span, (requests / EACH).clamp(MOST / 8, MOST))
    }

    /// The column of an instant.
    pub(crate) fn column(&self, at: u64) -> usize {
        usize::try_from(at.saturating_sub(self.from) / self.width).unwrap_or(usize::MAX)
    }
}

/// What began in one column of time.
#[derive(Clone, Default)]
struct Column {
    blue: u64,
    green: u64,
    overridden: u64,
    failed: u64,
    timed_out: u64,
    excused: u64,
    stale: u64,
    other: u64,
    latency: Histogram,
}

/// Counts requests by the column in which they began.
pub(crate) struct Columns {
    grid: Grid,
    list: Vec<Column>,
}

/// Columns as the page gets them: one list a count; latencies in us, none where nothing was answered.
#[derive(Default, Serialize)]
pub(crate) struct Drawn {
    grid: Option<Grid>,
    blue: Vec<u64>,
    green: Vec<u64>,
    overridden: Vec<u64>,
    failed: Vec<u64>,
    timed_out: Vec<u64>,
    excused: Vec<u64>,
    stale: Vec<u64>,
    other: Vec<u64>,
    least: Vec<Option<u64>>,
    p50: Vec<Option<u64>>,
    p99: Vec<Option<u64>>,
    most: Vec<Option<u64>>,
}

impl Columns {
    pub(crate) fn new(grid: Grid) -> Self {
        Self {
            grid,
            list: vec![Column::default(); grid.count],
        }
    }

    pub(crate) fn add(&mut self, rules: Rules, request: &Request) {
        let Some(column) = self.list.get_mut(self.grid.column(request.start)) else {
            return;
        };
        match &request.outcome {
            Outcome::Answered { served, decision } => {
                match served {
                    Color::Blue => column.blue += 1,
                    Color::Green => column.green += 1,
                }
                column.overridden += u64::from(decision.is_some_and(|by| by.overridden));
            }
            Outcome::Failed { .. } => column.failed += 1,
            Outcome::TimedOut => column.timed_out += 1,
        }
        let in_error = !matches!(request.outcome, Outcome::Answered { .. });
        column.excused += u64::from(in_error && !rules.has(Rule::Failed));
        column.stale += u64::from(rules.has(Rule::Stale));
        column.other += u64::from(rules.has_other());
        if let Some(ns) = latency(request) {
            column.latency.add(ns);
        }
    }

    pub(crate) fn finish(self) -> Drawn {
        let mut drawn = Drawn {
            grid: Some(self.grid),
            ..Drawn::default()
        };
        for column in self.list {
            drawn.blue.push(column.blue);
            drawn.green.push(column.green);
            drawn.overridden.push(column.overridden);
            drawn.failed.push(column.failed);
            drawn.timed_out.push(column.timed_out);
            drawn.excused.push(column.excused);
            drawn.stale.push(column.stale);
            drawn.other.push(column.other);
            drawn.least.push(column.latency.least().map(micros));
            drawn.p50.push(column.latency.percentile(50).map(micros));
            drawn.p99.push(column.latency.percentile(99).map(micros));
            drawn.most.push(column.latency.most().map(micros));
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_round_columns_and_not_too_many() {
        for (from, until, expected) in [
            (0, 0, (0, 1_000, 1)),
            (0, 799_999, (0, 1_000, 800)),
            (0, 800_000, (0, 2_000, 401)),
            (
                1_499_999_999,
                61_000_000_000,
                (1_400_000_000, 100_000_000, 597),
            ),
        ] {
            let grid = Grid::over(Span { from, until }, MOST);
            assert_eq!(
                (grid.from, grid.width, grid.count),
                expected,
                "{from}..{until}"
            );
            assert_eq!(grid.column(from), 0);
            assert_eq!(grid.column(until), grid.count - 1);
        }
        let all = Span {
            from: 0,
            until: u64::MAX,
        };
        assert!(Grid::over(all, MOST).count <= 800);
        assert_eq!(Grid::over(Span::NOTHING, MOST).count, 0);
    }
}
