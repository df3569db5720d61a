//! The figures of each flip.

use cutover_history::Color;
use serde::{Deserialize, Serialize};

use crate::order::{Seen, Write};
use crate::record::{Ranks, Record};
use crate::traffic::Traffic;

/// What was measured of one flip, in nanoseconds.
///
/// The instant of a decision is not seen, only an interval that holds it. Figures say which end of
/// the interval they use; those counted from the push are counted from the first push of the
/// generation in the scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlipSummary {
    /// Its number in the history, when it has one.
    pub flip: Option<u32>,
    /// The proxy, by index, when the order is claimed for each proxy; none for a fleet as a whole.
    pub proxy: Option<u32>,
    /// The generation that it wrote.
    pub generation: u64,
    /// The color that it made active.
    pub color: Color,
    /// When it was first pushed, from the start of the run.
    pub invoked: u64,
    /// From the push to the acknowledgement, the last proxy's for a fleet; none when a proxy's is
    /// missing.
    pub acknowledged_ns: Option<u64>,
    /// From the push to the end of the first read of this very generation: by then it had been
    /// decided by. None when nobody read it.
    pub first_new_ns: Option<u64>,
    /// In a fleet: from the push to when every proxy that was there had given its first read of this
    /// very generation. None when one gave none, or when the order is claimed for each proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_proxy_ns: Option<u64>,
    /// From the push to when the last read of any older generation could begin: until then at least
    /// it was decided by. Negative when none could begin after the push; none when none was read.
    pub last_old_ns: Option<i64>,
    /// The mixed window that is certain: from the first new answer's end to the last older one's
    /// start, 0 when that is the other way round. More than 0 only with stale answers. None when no
    /// read was new or none was old.
    pub mixed_ns: Option<u64>,
    /// The mixed window that is possible: from the first new answer's start (or the push, if later)
    /// to the last older one's end, 0 when that is the other way round. None like
    /// [`FlipSummary::mixed_ns`].
    pub mixed_at_most_ns: Option<u64>,
    /// Stale reads that this generation convicts: they returned an older one, and could only begin
    /// after this was seen or acknowledged.
    pub stale: u64,
    /// Requests that failed or timed out during the flip, those excused by a kill not among them.
    pub errors: u64,
    /// Requests that failed or timed out during the flip while their proxy was being killed.
    pub excused: u64,
    /// The longest time around the flip in which no read began at one of its proxies: a window
    /// shorter than this may have passed unseen. Looked at from two windows (of the header) before
    /// the push to two windows after the flip was settled, both edges counted as if a read had begun
    /// there, without the time in which the proxy was being killed, unless that overlaps the flip itself. A flip is settled when it is
    /// acknowledged, else when it is first seen, else at once.
    pub resolution_ns: u64,
    /// Reads that began in the two windows before the push, at the proxy with the fewest.
    pub reads_before: u64,
    /// Reads that began in the two windows after it was settled, at the proxy with the fewest.
    pub reads_after: u64,
    /// Latency of the answers between the flip before and this one.
    pub before: Option<Latency>,
    /// Latency of the answers during the flip: of all requests that overlap the time from the push to
    /// two windows after it was settled, or to the next flip's push if that is sooner.
    pub during: Option<Latency>,
    /// Latency of the answers between this flip and the next.
    pub after: Option<Latency>,
}

/// Quantiles of latency, ns, from when the request was wanted to its answer. Uploads are left out:
/// they take as long as their clients like.
///
/// Each is a latency that occurred: the smallest with at least that share of all at or below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Answers that were measured.
    pub answers: u64,
    /// Half of them took at most this.
    pub p50_ns: u64,
    /// 99 % of them took at most this.
    pub p99_ns: u64,
    /// 99.9 % of them took at most this.
    pub p999_ns: u64,
}

impl Latency {
    fn of(latencies: &mut [u64]) -> Option<Self> {
        latencies.sort_unstable();
        let count = latencies.len();
        let quantile = |permille: usize| {
            let rank = (count * permille).div_ceil(1_000).saturating_sub(1);
            latencies.get(rank).copied()
        };
        Some(Self {
            answers: u64::try_from(count).ok()?,
            p50_ns: quantile(500)?,
            p99_ns: quantile(990)?,
            p999_ns: quantile(999)?,
        })
    }
}

/// What a flip's figures are made from.
struct Flip {
    rank: usize,
    write: Write,
    settled: u64,
    /// End of the time that counts as during the flip.
    until: u64,
    latencies: Vec<u64>,
    errors: u64,
    excused: u64,
}

/// Measures the flips of a scope, in order of their pushes.
pub(crate) fn summarize(
    seen: &Seen,
    writes: &[Option<Write>],
    traffic: &Traffic<'_>,
    ranks: &Ranks,
) -> Vec<FlipSummary> {
    let mut flips = flips(seen, writes, traffic.margin, ranks);
    let mut between: Vec<Vec<u64>> = vec![Vec::new(); flips.len() + 1];
    for record in traffic.records {
        assign(record, &mut flips, &mut between, traffic);
    }
    let between: Vec<Option<Latency>> = between
        .iter_mut()
        .map(|latencies| Latency::of(latencies))
        .collect();
    let older = older(seen);
    // What is measured of a proxy alone says it already.
    let first = traffic.proxy.is_none().then(|| traffic.first_reads());
    let mut summaries = Vec::with_capacity(flips.len());
    for (index, flip) in flips.iter_mut().enumerate() {
        let during = Latency::of(&mut flip.latencies);
        let of = |index: usize| between.get(index).copied().flatten();
        let older = older.get(flip.rank).copied().flatten();
        let summary = summary(flip, seen, older, traffic, ranks);
        let invoked = flip.write.invoked;
        let last_proxy = first
            .as_ref()
            .and_then(|first| traffic.last_proxy(first, flip.rank, (invoked, flip.settled)));
        summaries.push(FlipSummary {
            before: of(index),
            during,
            after: of(index + 1),
            last_proxy_ns: last_proxy.map(|at| at.saturating_sub(invoked)),
            ..summary
        });
    }
    summaries
}

fn flips(seen: &Seen, writes: &[Option<Write>], margin: u64, ranks: &Ranks) -> Vec<Flip> {
    let mut flips: Vec<Flip> = Vec::new();
    for (rank, write) in writes.iter().enumerate() {
        let Some(write) = write.filter(|write| write.flip && ranks.generation(rank) != 0) else {
            continue;
        };
        let first_end = seen
            .reads
            .get(rank)
            .copied()
            .flatten()
            .map(|reads| reads.first_end());
        let acknowledged = write.acknowledged.map(|(at, _)| at);
        let settled = acknowledged.or(first_end).unwrap_or(write.invoked);
        flips.push(Flip {
            rank,
            write,
            settled,
            until: settled.saturating_add(margin),
            latencies: Vec::new(),
            errors: 0,
            excused: 0,
        });
    }
    flips.sort_by_key(|flip| flip.write.invoked);
    let pushes: Vec<u64> = flips.iter().map(|flip| flip.write.invoked).collect();
    for (flip, next) in flips.iter_mut().zip(pushes.iter().skip(1)) {
        flip.until = flip
            .until
            .min(next.saturating_sub(1))
            .max(flip.write.invoked);
    }
    flips
}

/// Counts a request to the flips that it overlaps, or else to the time between two.
fn assign(record: &Record, flips: &mut [Flip], between: &mut [Vec<u64>], traffic: &Traffic<'_>) {
    let low = flips.partition_point(|flip| flip.until < record.start);
    let high = flips.partition_point(|flip| flip.write.invoked <= record.end);
    let during = flips.get_mut(low..high).unwrap_or_default();
    if during.is_empty()
        && let Some(latencies) = between.get_mut(low)
    {
        latencies.extend(record.latency());
    }
    for flip in during {
        if record.answered() {
            flip.latencies.extend(record.latency());
        } else if traffic.absences.killed.overlap(record) {
            flip.excused += 1;
        } else {
            flip.errors += 1;
        }
    }
}

/// Latest start and end of the reads of older generations, by rank.
fn older(seen: &Seen) -> Vec<Option<(u64, u64)>> {
    let mut latest: Option<(u64, u64)> = None;
    let mut older = Vec::with_capacity(seen.reads.len());
    for reads in &seen.reads {
        older.push(latest);
        if let Some(reads) = reads {
            let (start, end) = latest.unwrap_or_default();
            latest = Some((start.max(reads.last_start), end.max(reads.last_end)));
        }
    }
    older
}

fn summary(
    flip: &Flip,
    seen: &Seen,
    older: Option<(u64, u64)>,
    traffic: &Traffic<'_>,
    ranks: &Ranks,
) -> FlipSummary {
    let (invoked, margin) = (flip.write.invoked, traffic.margin);
    let from = invoked.saturating_sub(margin);
    let until = flip.settled.saturating_add(margin);
    let new = seen.reads.get(flip.rank).copied().flatten();
    let both = new.zip(older);
    FlipSummary {
        flip: flip.write.number,
        proxy: traffic.proxy,
        generation: ranks.generation(flip.rank),
        color: flip.write.color,
        invoked,
        acknowledged_ns: flip
            .write
            .acknowledged
            .map(|(at, _)| at.saturating_sub(invoked)),
        first_new_ns: new.map(|new| new.first_end().saturating_sub(invoked)),
        last_proxy_ns: None,
        last_old_ns: older.map(|(start, _)| signed_difference(start, invoked)),
        mixed_ns: both.map(|(new, old)| old.0.saturating_sub(new.first_end())),
        mixed_at_most_ns: both.map(|(new, old)| old.1.saturating_sub(new.first_start)),
        stale: seen.stale.get(&flip.rank).copied().unwrap_or_default(),
        errors: flip.errors,
        excused: flip.excused,
        resolution_ns: traffic.largest_gap((from, until), (invoked, flip.settled)),
        reads_before: traffic.fewest_reads(from, invoked),
        reads_after: traffic.fewest_reads(flip.settled, until),
        before: None,
        during: None,
        after: None,
    }
}

fn signed_difference(later: u64, earlier: u64) -> i64 {
    let difference = i128::from(later) - i128::from(earlier);
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
}
