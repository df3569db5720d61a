//! The window of each flip, magnified: single requests around its push.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use cutover_checker::{Certificate, FlipSummary, Latency};
use cutover_history::{Color, Outcome, Request, Scope};
use serde::Serialize;

use crate::convictions::Rules;
use crate::sample::Sample;
use crate::scene::{code, micros};

/// The most flips that can be looked at one by one: the worst.
pub(crate) const MOST: usize = 1_000;
/// The most flips that are shown in detail, and how many requests of each color of these.
const DETAILED: usize = 30;
const EACH_IN_DETAIL: usize = 250;
/// How many requests of all others together.
const OF_THE_OTHERS: usize = 50_000;

/// How finely a window is divided, at the least.
const STEPS: u64 = 10_000;

/// Start, duration (us), proxy, code.
type Seen = (u64, u64, u32, u32);

/// Where a flip's window lies.
#[derive(Clone, Copy)]
struct View {
    /// Index of the flip in the figures.
    flip: usize,
    from: u64,
    until: u64,
    invoked: u64,
    generation: u64,
    first_new: Option<u64>,
    last_old: Option<u64>,
}

struct Window {
    view: View,
    blue: Sample<Seen>,
    green: Sample<Seen>,
}

/// Gathers requests around flips.
pub(crate) struct Windows {
    fleet: bool,
    flips: usize,
    /// By proxy, or all under 0; ascending in time.
    units: BTreeMap<u32, Vec<Window>>,
    /// Order of the flips, worst first.
    worst: Vec<usize>,
}

/// Windows as the page gets them, worst first.
#[derive(Serialize)]
pub(crate) struct Drawn {
    /// How many flips there are, each proxy's by itself where the order is claimed for each proxy.
    pub(crate) flips: usize,
    list: Vec<DrawnWindow>,
}

impl Drawn {
    /// How many flips can be looked at.
    pub(crate) fn kept(&self) -> usize {
        self.list.len()
    }
}

#[derive(Serialize)]
struct DrawnWindow {
    number: Option<u32>,
    proxy: Option<u32>,
    green: u8,
    generation: u64,
    invoked: u64,
    acknowledged: Option<u64>,
    first_new: Option<u64>,
    last_old: Option<i64>,
    mixed: Option<u64>,
    mixed_at_most: Option<u64>,
    stale: u64,
    errors: u64,
    excused: u64,
    resolution: u64,
    before: Option<[u64; 3]>,
    during: Option<[u64; 3]>,
    after: Option<[u64; 3]>,
    from: u64,
    until: u64,
    /// Answers by blue and by green that overlap the window: how many there were.
    answers: [u64; 2],
    /// How many us a step of the requests' instants is: finer than a screen can show.
    unit: u64,
    /// Those that are drawn, four numbers each: start in steps (counted from the one before, the first from `from`; a
    /// request that began before that counts as begun then), duration in steps, proxy, code.
    requests: Vec<u64>,
}

impl Windows {
    pub(crate) fn new(certificate: &Certificate) -> Self {
        let flips = &certificate.figures.flips;
        let worst = worst_first(flips);
        let others = worst.len().saturating_sub(DETAILED).max(1);
        let few = (OF_THE_OTHERS / others / 2).min(EACH_IN_DETAIL);
        let mut units: BTreeMap<u32, Vec<Window>> = BTreeMap::new();
        for (unit, view) in views(certificate) {
            if let Some(place) = worst.iter().position(|flip| *flip == view.flip) {
                let most = if place < DETAILED {
                    EACH_IN_DETAIL
                } else {
                    few
                };
                units.entry(unit).or_default().push(Window {
                    view,
                    blue: Sample::new(most),
                    green: Sample::new(most),
                });
            }
        }
        Self {
            fleet: certificate.header.scope == Scope::Fleet,
            flips: flips.len(),
            units,
            worst,
        }
    }

    pub(crate) fn add(&mut self, line: u32, rules: Rules, request: &Request) {
        let unit = if self.fleet { 0 } else { request.proxy };
        let Some(windows) = self.units.get_mut(&unit) else {
            return;
        };
        let Outcome::Answered { served, decision } = &request.outcome else {
            return;
        };
        let low = windows.partition_point(|window| window.view.until < request.start);
        let high = windows.partition_point(|window| window.view.from <= request.end);
        for window in windows.get_mut(low..high).unwrap_or_default() {
            let view = &window.view;
            // The ends of the figures stand on these two; they are shown in any case.
            let must = decision.is_some_and(|by| {
                let first = by.generation == view.generation && Some(request.end) == view.first_new;
                let began = request.start.max(view.invoked);
                let last = by.generation < view.generation && Some(began) == view.last_old;
                !by.overridden && (first || last)
            });
            let seen = (
                micros(request.start),
                micros(request.end - request.start),
                request.proxy,
                code(rules, request),
            );
            match served {
                Color::Blue => window.blue.add(line, must, seen),
                Color::Green => window.green.add(line, must, seen),
            }
        }
    }

    pub(crate) fn finish(self, certificate: &Certificate) -> Drawn {
        let mut by_flip: BTreeMap<usize, Window> = BTreeMap::new();
        for window in self.units.into_values().flatten() {
            by_flip.insert(window.view.flip, window);
        }
        let flips = &certificate.figures.flips;
        let list = self.worst.iter().filter_map(|index| {
            let window = by_flip.remove(index)?;
            Some(drawn(window, flips.get(*index)?))
        });
        Drawn {
            flips: self.flips,
            list: list.collect(),
        }
    }
}

fn drawn(window: Window, flip: &FlipSummary) -> DrawnWindow {
    let answers = [window.blue.seen, window.green.seen];
    let mut seen = window.blue.into_items();
    seen.extend(window.green.into_items());
    seen.sort_unstable();
    let (from, until) = (micros(window.view.from), micros(window.view.until));
    let unit = (until - from).div_ceil(STEPS).max(1);
    let step = |at: u64| at.saturating_sub(from) / unit;
    let mut last = 0;
    let mut requests = Vec::with_capacity(4 * seen.len());
    for (start, duration, proxy, code) in seen {
        let end = step((start + duration).min(until + unit));
        let start = step(start);
        requests.extend([start - last, end - start, u64::from(proxy), u64::from(code)]);
        last = start;
    }
    DrawnWindow {
        number: flip.flip,
        proxy: flip.proxy,
        green: u8::from(flip.color == Color::Green),
        generation: flip.generation,
        invoked: micros(flip.invoked),
        acknowledged: flip.acknowledged_ns.map(micros),
        first_new: flip.first_new_ns.map(micros),
        last_old: flip.last_old_ns.map(|ns| ns / 1_000),
        mixed: flip.mixed_ns.map(micros),
        mixed_at_most: flip.mixed_at_most_ns.map(micros),
        stale: flip.stale,
        errors: flip.errors,
        excused: flip.excused,
        resolution: micros(flip.resolution_ns),
        before: flip.before.map(quantiles),
        during: flip.during.map(quantiles),
        after: flip.after.map(quantiles),
        from,
        until,
        answers,
        unit,
        requests,
    }
}

fn quantiles(latency: Latency) -> [u64; 3] {
    [latency.p50_ns, latency.p99_ns, latency.p999_ns].map(micros)
}

/// Indices of the flips, worst first, no more than can be looked at.
pub(crate) fn worst_first(flips: &[FlipSummary]) -> Vec<usize> {
    let mut worst: Vec<(usize, &FlipSummary)> = flips.iter().enumerate().collect();
    worst.sort_by_key(|(_, f)| Reverse((f.stale, f.errors, f.last_old_ns, f.acknowledged_ns)));
    worst.truncate(MOST);
    worst.into_iter().map(|(index, _)| index).collect()
}

/// When a flip was over: acknowledged, seen, and no longer contradicted by an older answer.
pub(crate) fn over(flip: &FlipSummary) -> Option<u64> {
    let last_old = flip.last_old_ns.and_then(|ns| u64::try_from(ns).ok());
    [flip.acknowledged_ns, flip.first_new_ns, last_old]
        .into_iter()
        .flatten()
        .max()
}

/// The windows of all flips by unit, ascending: from somewhat before the push until somewhat after all was over, and not
/// beyond the pushes before and after it.
fn views(certificate: &Certificate) -> Vec<(u32, View)> {
    let mut by_unit: BTreeMap<u32, Vec<(usize, &FlipSummary)>> = BTreeMap::new();
    for (index, flip) in certificate.figures.flips.iter().enumerate() {
        let unit = flip.proxy.unwrap_or_default();
        by_unit.entry(unit).or_default().push((index, flip));
    }
    let mut views = Vec::new();
    for (unit, flips) in by_unit {
        for (place, (index, flip)) in flips.iter().enumerate() {
            let before = place.checked_sub(1).and_then(|place| flips.get(place));
            let after = flips.get(place + 1).map_or(u64::MAX, |(_, f)| f.invoked);
            let lasted = over(flip)
                .unwrap_or(certificate.header.window_ns)
                .max(1_000);
            let until = flip.invoked.saturating_add(lasted);
            let margin = lasted / 2;
            // The last old answer may have begun before the push; it is shown unless it was long before.
            let sooner = flip.last_old_ns.map_or(0, |ns| ns.min(0).unsigned_abs());
            let ahead = margin.max((sooner + sooner / 8).min(4 * lasted));
            let view = View {
                flip: *index,
                from: (flip.invoked.saturating_sub(ahead))
                    .max(before.map_or(0, |(_, flip)| flip.invoked)),
                until: until.saturating_add(margin).min(after).max(flip.invoked),
                invoked: flip.invoked,
                generation: flip.generation,
                first_new: flip.first_new_ns.map(|ns| flip.invoked + ns),
                last_old: flip
                    .last_old_ns
                    .and_then(|ns| flip.invoked.checked_add_signed(ns)),
            };
            views.push((unit, view));
        }
    }
    views
}
