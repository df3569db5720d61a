//! A small schedule that fails like a large one.

use super::{Schedule, is_violated};
use crate::host::Module;
use crate::plan::ProxyPlan;
use crate::run::RunError;

/// The most schedules that are tried.
const MOST: u64 = 600;

/// Leaves out whatever can be left out while it still fails; also says how many schedules that took.
pub(super) fn shrink(module: &Module, schedule: Schedule) -> Result<(Schedule, u64), RunError> {
    let mut smallest = schedule;
    let mut tried = 0;
    loop {
        let before = tried;
        let mut smaller = false;
        let mut skip = 0;
        // Every candidate is smaller than the schedule that it was made from, so that this ends.
        loop {
            let candidate = candidates(&smallest).nth(skip);
            let Some(candidate) = candidate else { break };
            if tried == MOST {
                return Ok((smallest, tried));
            }
            tried += 1;
            if is_violated(&candidate.run(module, false)?) {
                smallest = candidate;
                smaller = true;
            } else {
                skip += 1;
            }
        }
        if !smaller || tried == before {
            return Ok((smallest, tried));
        }
    }
}

/// Schedules with a little less in them, those with the most left out first.
fn candidates(schedule: &Schedule) -> impl Iterator<Item = Schedule> + '_ {
    let proxies = 0..schedule.plans.len();
    let fewer = proxies
        .clone()
        .filter(move |_| schedule.plans.len() > 1)
        .map(move |proxy| {
            let mut schedule = schedule.clone();
            schedule.plans.remove(proxy);
            schedule
        });
    let chunks = proxies.clone().flat_map(move |proxy| {
        let asks = schedule.plans.get(proxy).map_or(0, |plan| plan.asks.len());
        let sizes =
            std::iter::successors(Some(asks), |size| Some(size / 2)).take_while(|size| *size > 0);
        sizes.flat_map(move |size| {
            (0..asks).step_by(size).map(move |from| {
                edited(schedule, proxy, |plan| {
                    plan.asks.drain(from..asks.min(from + size));
                })
            })
        })
    });
    let simpler = proxies.flat_map(move |proxy| {
        let plan = schedule.plans.get(proxy);
        let faults = plan.map_or(0, |plan| plan.faults.len());
        let steps = plan.map_or(0, |plan| plan.clock.steps.len());
        let without_fault = (0..faults).map(move |at| {
            edited(schedule, proxy, |plan| {
                plan.faults.remove(at);
            })
        });
        let without_step = (0..steps).map(move |at| {
            edited(schedule, proxy, |plan| {
                plan.clock.steps.remove(at);
            })
        });
        let edits: [fn(&mut ProxyPlan); 4] = [
            |plan| {
                plan.deliveries
                    .iter_mut()
                    .for_each(|delays| delays.truncate(1));
            },
            |plan| plan.clock.drift = 0,
            |plan| plan.clock.offset = 0,
            |plan| {
                plan.workers = 1;
                plan.asks.iter_mut().for_each(|ask| ask.worker = 0);
            },
        ];
        let plainer = edits
            .into_iter()
            .map(move |edit| edited(schedule, proxy, edit));
        without_fault.chain(without_step).chain(plainer)
    });
    let all = fewer.chain(chunks).chain(simpler);
    all.filter(move |candidate| candidate != schedule)
}

fn edited(schedule: &Schedule, proxy: usize, edit: impl FnOnce(&mut ProxyPlan)) -> Schedule {
    let mut schedule = schedule.clone();
    if let Some(plan) = schedule.plans.get_mut(proxy) {
        edit(plan);
    }
    schedule
}
