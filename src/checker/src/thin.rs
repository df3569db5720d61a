//! When no violation is no proof.

use std::collections::{BTreeSet, HashSet};

use cutover_history::{Header, Scope};

use crate::FlipSummary;
use crate::span::Span;
use crate::verdict::Figures;

/// Says why a history without violations shows nothing, and what would; empty when it does.
pub(crate) fn reasons(header: &Header, figures: &Figures, unordered: u64) -> Vec<String> {
    let mut reasons = Vec::new();
    if unordered > 0 {
        reasons.push(format!(
            "{unordered} requests were decided by a configuration without a generation, so nothing \
             can be said of their order; give the configuration a generation"
        ));
    }
    if figures.reads == 0 {
        reasons.push(
            "no request was answered by the active color of a generation, so no order was seen; \
             send requests while flipping"
                .to_owned(),
        );
    }
    reasons.extend(cut_short(header, figures));
    if figures.flips.is_empty() {
        reasons.push("nothing was flipped, so no switch was seen; flip at least once".to_owned());
        return reasons;
    }
    reasons.extend(unflipped(header, figures));
    reasons.extend(unsettled(header, figures));
    reasons.extend(thin(header, figures));
    reasons
}

/// Fewer flips than the run was to make.
fn cut_short(header: &Header, figures: &Figures) -> Option<String> {
    let wanted = header.flips?;
    let numbers: BTreeSet<_> = figures.flips.iter().filter_map(|flip| flip.flip).collect();
    let made = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    (made < wanted).then(|| {
        format!("the run was cut short after {made} of {wanted} flips; let it come to its end")
    })
}

/// Proxies that an order is claimed for, and that were never flipped.
fn unflipped(header: &Header, figures: &Figures) -> Option<String> {
    if header.scope == Scope::Fleet {
        return None;
    }
    let flipped: HashSet<_> = figures.flips.iter().filter_map(|flip| flip.proxy).collect();
    let missing = (0_u32..)
        .zip(&header.proxies)
        .find(|(index, _)| !flipped.contains(index));
    missing.map(|(_, proxy)| {
        format!(
            "{} was never flipped; flip every proxy that the header names",
            proxy.name
        )
    })
}

/// Flips that nobody acknowledged and nobody saw.
fn unsettled(header: &Header, figures: &Figures) -> Option<String> {
    let unsettled =
        |flip: &&FlipSummary| flip.acknowledged_ns.is_none() && flip.first_new_ns.is_none();
    let first = figures.flips.iter().find(unsettled)?;
    Some(format!(
        "{} of {} flips were neither acknowledged nor seen, the first of them {}, so they may never \
         have taken effect; wait until every proxy shows the generation",
        figures.flips.iter().filter(unsettled).count(),
        figures.flips.len(),
        name(header, first),
    ))
}

/// Flips around which too few reads began to see a window as small as claimed.
fn thin(header: &Header, figures: &Figures) -> Option<String> {
    let window = header.window_ns;
    let thin = |flip: &&FlipSummary| {
        flip.resolution_ns > window || flip.reads_before == 0 || flip.reads_after == 0
    };
    let worst = figures
        .flips
        .iter()
        .filter(thin)
        .max_by_key(|flip| flip.resolution_ns)?;
    Some(format!(
        "around {} of {} flips the traffic was too thin to see a window of {}: around {}, {} passed \
         without a read, with {} reads before and {} after it; a read at least every {} on each \
         proxy, from {} before a push until {} after its acknowledgement, would tell",
        figures.flips.iter().filter(thin).count(),
        figures.flips.len(),
        Span(window),
        name(header, worst),
        Span(worst.resolution_ns),
        worst.reads_before,
        worst.reads_after,
        Span(window),
        Span(window.saturating_mul(2)),
        Span(window.saturating_mul(2)),
    ))
}

fn name(header: &Header, flip: &FlipSummary) -> String {
    let proxy = flip
        .proxy
        .and_then(|index| header.proxies.get(usize::try_from(index).ok()?));
    let on = proxy
        .map(|proxy| format!(" on {}", proxy.name))
        .unwrap_or_default();
    match flip.flip {
        Some(number) => format!("flip {number} (generation {}){on}", flip.generation),
        None => format!("the flip to generation {}{on}", flip.generation),
    }
}
