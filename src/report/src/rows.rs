//! One row for each proxy.

use std::collections::BTreeMap;

use cutover_checker::Certificate;
use cutover_history::{Color, Outcome, Request, Weather};
use serde::Serialize;

use crate::Span;
use crate::columns::Grid;
use crate::convictions::Rules;
use crate::scene::micros;

/// The most rows.
pub(crate) const MOST: usize = 64;
/// The most cells of all rows together, and the most cells of one.
const CELLS: u64 = 24_000;
const CELLS_OF_ONE: u64 = 400;
/// The most spells of weather.
const WEATHER: usize = 2_000;

/// What began at one proxy in one column of time.
#[derive(Clone, Copy, Default)]
struct Cell {
    blue: u64,
    green: u64,
    trouble: u64,
}

/// Counts requests by proxy and column.
pub(crate) struct Rows {
    grid: Grid,
    by_proxy: BTreeMap<u32, Vec<Cell>>,
    weather: Vec<(u32, &'static str, u64, u64)>,
    weather_seen: u64,
}

/// Rows as the page gets them.
#[derive(Serialize)]
pub(crate) struct Drawn {
    grid: Grid,
    rows: Vec<Row>,
    weather: Vec<(u32, &'static str, u64, u64)>,
    weather_seen: u64,
}

#[derive(Serialize)]
struct Row {
    proxy: u32,
    blue: Vec<u64>,
    green: Vec<u64>,
    trouble: Vec<u64>,
}

impl Rows {
    pub(crate) fn new(certificate: &Certificate, span: Span) -> Self {
        let shown = shown(certificate);
        let rows = u64::try_from(shown.len()).unwrap_or(1).max(1);
        let grid = Grid::over(span, (CELLS / rows).min(CELLS_OF_ONE));
        let row = || vec![Cell::default(); grid.count];
        Self {
            grid,
            by_proxy: shown.into_iter().map(|proxy| (proxy, row())).collect(),
            weather: Vec::new(),
            weather_seen: 0,
        }
    }

    pub(crate) fn add(&mut self, rules: Rules, request: &Request) {
        let column = self.grid.column(request.start);
        let row = self.by_proxy.get_mut(&request.proxy);
        let Some(cell) = row.and_then(|row| row.get_mut(column)) else {
            return;
        };
        match &request.outcome {
            Outcome::Answered { served, .. } => match served {
                Color::Blue => cell.blue += 1,
                Color::Green => cell.green += 1,
            },
            Outcome::Failed { .. } | Outcome::TimedOut => {}
        }
        cell.trouble += u64::from(rules != Rules::default());
    }

    pub(crate) fn add_weather(&mut self, weather: &Weather) {
        self.weather_seen += 1;
        if self.weather.len() < WEATHER && self.by_proxy.contains_key(&weather.proxy) {
            let kind = crate::words::weather(weather.kind);
            let (from, until) = (micros(weather.from), micros(weather.until));
            self.weather.push((weather.proxy, kind, from, until));
        }
    }

    pub(crate) fn finish(self) -> Drawn {
        let row = |(proxy, cells): (u32, Vec<Cell>)| Row {
            proxy,
            blue: cells.iter().map(|cell| cell.blue).collect(),
            green: cells.iter().map(|cell| cell.green).collect(),
            trouble: cells.iter().map(|cell| cell.trouble).collect(),
        };
        Drawn {
            grid: self.grid,
            rows: self.by_proxy.into_iter().map(row).collect(),
            weather: self.weather,
            weather_seen: self.weather_seen,
        }
    }
}

/// The proxies that get a row: those with stale answers and errors first, then in order.
fn shown(certificate: &Certificate) -> Vec<u32> {
    let mut trouble: BTreeMap<u32, u64> = BTreeMap::new();
    for flip in &certificate.figures.flips {
        if let Some(proxy) = flip.proxy {
            *trouble.entry(proxy).or_default() += flip.stale + flip.errors;
        }
    }
    let count = u32::try_from(certificate.header.proxies.len()).unwrap_or(u32::MAX);
    let mut proxies: Vec<u32> = (0..count).collect();
    let of = |proxy: &u32| trouble.get(proxy).copied().unwrap_or_default();
    proxies.sort_by_key(|proxy| (std::cmp::Reverse(of(proxy)), *proxy));
    proxies.truncate(MOST);
    proxies
}
