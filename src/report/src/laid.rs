//! All flips laid over one another: who answered, and how fast, by the time from the push.

use std::collections::BTreeMap;

use cutover_checker::{Certificate, FlipSummary};
use cutover_history::{Outcome, Request, Scope};
use serde::Serialize;

use crate::Span;
use crate::histogram::Histogram;
use crate::scene::{latency, micros};
use crate::windows::over;

/// The most slots, the fewest, and about how many requests each should have.
const MOST: u64 = 100;
const FEWEST: u64 = 24;
const EACH: u64 = 10;

/// What began in one slot, over all flips.
#[derive(Clone, Default)]
struct Slot {
    old: u64,
    new: u64,
    latency: Histogram,
}

/// Counts requests by the time from each push to their start.
pub(crate) struct Laid {
    fleet: bool,
    /// Push and generation of each flip by unit, ascending.
    flips: BTreeMap<u32, Vec<(u64, u64)>>,
    count: usize,
    /// How far before the push the first slot begins, ns.
    before: u64,
    width: u64,
    slots: Vec<Slot>,
}

/// Slots as the page gets them; latencies in us.
#[derive(Serialize)]
pub(crate) struct Drawn {
    flips: usize,
    /// How far before the push the first slot begins, ns.
    before: u64,
    width: u64,
    old: Vec<u64>,
    new: Vec<u64>,
    p50: Vec<Option<u64>>,
    p99: Vec<Option<u64>>,
    most: Vec<Option<u64>>,
}

impl Laid {
    /// None without flips.
    pub(crate) fn new(certificate: &Certificate, span: Span) -> Option<Self> {
        let list = &certificate.figures.flips;
        let mut flips: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
        for flip in list {
            let unit = flip.proxy.unwrap_or_default();
            flips
                .entry(unit)
                .or_default()
                .push((flip.invoked, flip.generation));
        }
        let reach = reach(list, &flips)?;
        let whole = reach + reach / 2;
        let slots = slots(certificate, span, whole);
        let width = round_up(whole / slots);
        let before = (reach / 2).div_ceil(width) * width;
        let count = usize::try_from((before + reach).div_ceil(width)).ok()?;
        Some(Self {
            fleet: certificate.header.scope == Scope::Fleet,
            flips,
            count: list.len(),
            before,
            width,
            slots: vec![Slot::default(); count],
        })
    }

    pub(crate) fn add(&mut self, request: &Request) {
        let unit = if self.fleet { 0 } else { request.proxy };
        let Some(flips) = self.flips.get(&unit) else {
            return;
        };
        let reach = self.width.saturating_mul(self.slots.len() as u64) - self.before;
        let start = request.start;
        let low = flips.partition_point(|(invoked, _)| invoked.saturating_add(reach) <= start);
        let high = flips.partition_point(|(invoked, _)| *invoked <= start + self.before);
        for (invoked, generation) in flips.get(low..high).unwrap_or_default() {
            let at = (start + self.before - invoked) / self.width;
            let slot = usize::try_from(at)
                .ok()
                .and_then(|at| self.slots.get_mut(at));
            let Some(slot) = slot else { continue };
            if let Outcome::Answered {
                decision: Some(by), ..
            } = &request.outcome
                && !by.overridden
            {
                if by.generation < *generation {
                    slot.old += 1;
                } else {
                    slot.new += 1;
                }
            }
            if let Some(ns) = latency(request) {
                slot.latency.add(ns);
            }
        }
    }

    pub(crate) fn finish(self) -> Drawn {
        let of = |pick: fn(&Slot) -> Option<u64>| self.slots.iter().map(pick).collect();
        Drawn {
            flips: self.count,
            before: self.before,
            width: self.width,
            old: self.slots.iter().map(|slot| slot.old).collect(),
            new: self.slots.iter().map(|slot| slot.new).collect(),
            p50: of(|slot| slot.latency.percentile(50).map(micros)),
            p99: of(|slot| slot.latency.percentile(99).map(micros)),
            most: of(|slot| slot.latency.most().map(micros)),
        }
    }
}

/// How far after the push to look, ns: until nearly all flips were over, and as long again; less when the flips follow each
/// other that fast.
fn reach(flips: &[FlipSummary], by_unit: &BTreeMap<u32, Vec<(u64, u64)>>) -> Option<u64> {
    let mut lasted: Vec<u64> = flips.iter().filter_map(over).collect();
    lasted.sort_unstable();
    let nearly_all = lasted.get(lasted.len().saturating_sub(1) * 19 / 20)?;
    let mut pauses: Vec<u64> = by_unit
        .values()
        .flat_map(|flips| flips.windows(2))
        .filter_map(|pair| Some(pair.last()?.0 - pair.first()?.0))
        .collect();
    pauses.sort_unstable();
    let pause = pauses.get(pauses.len() / 2).copied().unwrap_or(u64::MAX);
    Some(nearly_all.saturating_mul(2).min(pause / 2).max(10_000))
}

/// How many slots there are for so much time around each flip.
fn slots(certificate: &Certificate, span: Span, whole: u64) -> u64 {
    let [requests, flips, around, run] = [
        certificate.history.contents.requests,
        certificate.figures.flips.len() as u64,
        whole,
        span.until.saturating_sub(span.from).max(1),
    ]
    .map(u128::from);
    let units = match certificate.header.scope {
        Scope::Proxy => certificate.header.proxies.len() as u128,
        Scope::Fleet => 1,
    };
    let expected = requests * flips * around / (run * units);
    u64::try_from(expected / u128::from(EACH))
        .unwrap_or(MOST)
        .clamp(FEWEST, MOST)
}

/// The next of 1, 2, 5, 10, 20, … us.
fn round_up(ns: u64) -> u64 {
    let steps = (3..18).flat_map(|power| [1, 2, 5].map(|step| step * 10_u64.pow(power)));
    steps.into_iter().find(|step| *step >= ns).unwrap_or(ns)
}
