//! One order of generations: writes, reads, and who is convicted.

use std::collections::{BTreeMap, BTreeSet};

use cutover_history::{Color, Header, Operation, Push, PushKind};

use crate::record::{Ranks, Record, Records};
use crate::verdict::{Conviction, Rule};
use crate::witness::{Evidence, Witness};

/// The write of one generation in one scope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    /// When it was first pushed.
    pub(crate) invoked: u64,
    /// The first push, by index.
    first: usize,
    /// The color of the first push.
    pub(crate) color: Color,
    /// When it had to be in force, and the push that says so, by index.
    pub(crate) acknowledged: Option<(u64, usize)>,
    /// Whether a flip meant it.
    pub(crate) flip: bool,
    /// The number of that flip.
    pub(crate) number: Option<u32>,
}

/// Gathers the writes of a scope, by rank of their generation.
pub(crate) fn writes(
    indices: &[usize],
    pushes: &[(u32, Push)],
    ranks: &Ranks,
) -> Vec<Option<Write>> {
    let mut groups: BTreeMap<usize, Vec<(usize, &Push)>> = BTreeMap::new();
    for &index in indices {
        if let Some((_, push)) = pushes.get(index)
            && let Some(rank) = ranks.of(push.generation)
        {
            groups.entry(rank).or_default().push((index, push));
        }
    }
    let mut writes = vec![None; ranks.len()];
    for (rank, group) in groups {
        if let Some(write) = writes.get_mut(rank) {
            *write = gather(&group);
        }
    }
    writes
}

fn gather(pushes: &[(usize, &Push)]) -> Option<Write> {
    // At the same instant, what is called a conflict is not the first.
    let (first, push) = pushes
        .iter()
        .min_by_key(|(index, push)| (push.invoked, push.kind == PushKind::Conflict, *index))?;
    let meant = |push: &Push| matches!(push.kind, PushKind::Install | PushKind::Flip);
    // A replay goes to some proxies only, and need not be acknowledged by them.
    let any_meant = pushes.iter().any(|(_, push)| meant(push));
    let wanted: BTreeSet<u32> = pushes
        .iter()
        .filter(|(_, push)| !any_meant || meant(push))
        .map(|(_, push)| push.proxy)
        .collect();
    let mut by_proxy: BTreeMap<u32, (u64, usize)> = BTreeMap::new();
    for (index, push) in pushes {
        if let Some(at) = push.acknowledged {
            let earliest = by_proxy.entry(push.proxy).or_insert((at, *index));
            *earliest = (*earliest).min((at, *index));
        }
    }
    let all = wanted.iter().all(|proxy| by_proxy.contains_key(proxy));
    let latest = by_proxy
        .iter()
        .filter(|(proxy, _)| wanted.contains(proxy))
        .map(|(_, &at)| at);
    let flip = pushes.iter().find(|(_, push)| push.kind == PushKind::Flip);
    Some(Write {
        invoked: push.invoked,
        first: *first,
        color: push.color,
        acknowledged: if all { latest.max() } else { None },
        flip: flip.is_some(),
        number: flip.and_then(|(_, push)| push.flip),
    })
}

/// What the reads of one generation showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reads {
    /// The read that ended first.
    first: Record,
    /// When a read could first begin.
    pub(crate) first_start: u64,
    /// When a read last began.
    pub(crate) last_start: u64,
    /// When a read last ended.
    pub(crate) last_end: u64,
}

impl Reads {
    /// When a read first ended.
    pub(crate) fn first_end(&self) -> u64 {
        self.first.end
    }
}

/// What the reads of a scope showed.
pub(crate) struct Seen {
    /// By rank of the generation.
    pub(crate) reads: Vec<Option<Reads>>,
    /// Stale reads, by rank of the newer generation that convicts them.
    pub(crate) stale: BTreeMap<usize, u64>,
    /// Reads decided by a configuration without a generation.
    pub(crate) unordered: u64,
}

/// From some instant on, the register holds at least this generation.
#[derive(Clone, Copy)]
struct Step {
    after: u64,
    rank: usize,
    proof: Proof,
}

/// An operation besides the convicted request.
#[derive(Clone, Copy)]
pub(crate) enum Proof {
    Read(Record),
    Push(usize),
}

/// Applies the rules of order and of the generations' colors to the requests of one scope.
pub(crate) fn judge(ledger: &mut Ledger<'_>, records: &[Record], writes: &[Option<Write>]) -> Seen {
    let mut seen = Seen {
        reads: vec![None; writes.len()],
        stale: BTreeMap::new(),
        unordered: 0,
    };
    for record in records {
        let Some(rank) = record.read() else { continue };
        let Some(write) = writes.get(rank).copied().flatten() else {
            ledger.convict(Rule::Unpushed, record, &[]);
            continue;
        };
        if record.unordered() {
            // Its color may change with every push: there is nothing to tell them apart by.
            seen.unordered += 1;
            continue;
        }
        if record.decided() != Some(write.color) {
            ledger.convict(Rule::Recolored, record, &[Proof::Push(write.first)]);
        }
        if record.end < write.invoked {
            ledger.convict(Rule::Early, record, &[Proof::Push(write.first)]);
        } else if let Some(reads) = seen.reads.get_mut(rank) {
            let could_begin = record.start.max(write.invoked);
            let reads = reads.get_or_insert(Reads {
                first: *record,
                first_start: could_begin,
                last_start: could_begin,
                last_end: record.end,
            });
            if (record.end, record.line) < (reads.first.end, reads.first.line) {
                reads.first = *record;
            }
            reads.first_start = reads.first_start.min(could_begin);
            reads.last_start = reads.last_start.max(could_begin);
            reads.last_end = reads.last_end.max(record.end);
        }
    }
    let steps = staircase(&seen.reads, writes, ledger.ranks);
    for record in records.iter().filter(|record| !record.unordered()) {
        let Some(rank) = record.read() else { continue };
        let Some(write) = writes.get(rank).copied().flatten() else {
            continue;
        };
        if record.end < write.invoked {
            continue;
        }
        let could_begin = record.start.max(write.invoked);
        let before = steps.partition_point(|step| step.after < could_begin);
        let floor = before.checked_sub(1).and_then(|last| steps.get(last));
        if let Some(step) = floor.filter(|step| step.rank > rank) {
            *seen.stale.entry(step.rank).or_default() += 1;
            let push = Proof::Push(write.first);
            let late_push = step.after >= record.start;
            let proofs: &[Proof] = if late_push {
                &[step.proof, push]
            } else {
                &[step.proof]
            };
            ledger.convict(Rule::Stale, record, proofs);
        }
    }
    seen
}

/// The instants after which the register holds at least a generation, both rising.
fn staircase(reads: &[Option<Reads>], writes: &[Option<Write>], ranks: &Ranks) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (rank, (reads, write)) in reads.iter().zip(writes).enumerate() {
        if ranks.generation(rank) == 0 {
            continue;
        }
        if let Some(reads) = reads {
            let proof = Proof::Read(reads.first);
            steps.push(Step {
                after: reads.first.end,
                rank,
                proof,
            });
        }
        if let Some((after, push)) = write.and_then(|write| write.acknowledged) {
            steps.push(Step {
                after,
                rank,
                proof: Proof::Push(push),
            });
        }
    }
    steps.sort_by_key(|step| (step.after, std::cmp::Reverse(step.rank)));
    let mut highest = None;
    steps.retain(|step| {
        let rises = highest.is_none_or(|highest| step.rank > highest);
        if rises {
            highest = Some(step.rank);
        }
        rises
    });
    steps
}

/// Counts violations and keeps, of every rule, the convicted request that began first.
pub(crate) struct Ledger<'a> {
    header: &'a Header,
    records: &'a Records,
    ranks: &'a Ranks,
    pushes: &'a [(u32, Push)],
    counts: BTreeMap<Rule, u64>,
    first: BTreeMap<Rule, (Record, Vec<Proof>)>,
    tell: &'a mut dyn FnMut(Conviction),
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(
        header: &'a Header,
        records: &'a Records,
        ranks: &'a Ranks,
        pushes: &'a [(u32, Push)],
        tell: &'a mut dyn FnMut(Conviction),
    ) -> Self {
        let (counts, first) = (BTreeMap::new(), BTreeMap::new());
        Self {
            header,
            records,
            ranks,
            pushes,
            counts,
            first,
            tell,
        }
    }

    pub(crate) fn convict(&mut self, rule: Rule, record: &Record, proofs: &[Proof]) {
        (self.tell)(Conviction {
            rule,
            line: u64::from(record.line),
        });
        *self.counts.entry(rule).or_default() += 1;
        let sooner = self
            .first
            .get(&rule)
            .is_none_or(|(first, _)| (record.start, record.line) < (first.start, first.line));
        if sooner {
            self.first.insert(rule, (*record, proofs.to_vec()));
        }
    }

    /// The counts, and the witness of the first rule that was broken.
    pub(crate) fn close(mut self) -> (BTreeMap<Rule, u64>, Option<Witness>) {
        let first = self.first.pop_first();
        let witness = first.map(|(rule, (record, proofs))| {
            let mut evidence: Vec<Evidence> = proofs
                .into_iter()
                .chain([Proof::Read(record)])
                .filter_map(|proof| self.evidence(proof))
                .collect();
            evidence.sort_by_key(|evidence| (evidence.begins(), evidence.line));
            evidence.dedup();
            Witness {
                rule,
                sentence: rule.sentence().to_owned(),
                evidence,
            }
        });
        (self.counts, witness)
    }

    fn evidence(&self, proof: Proof) -> Option<Evidence> {
        let (line, operation) = match proof {
            Proof::Read(record) => {
                let request = self.records.request(&record, self.ranks);
                (record.line, Operation::Request(request))
            }
            Proof::Push(index) => {
                let (line, push) = self.pushes.get(index)?;
                (*line, Operation::Push(*push))
            }
        };
        let index = usize::try_from(operation.proxy()).ok()?;
        let proxy = self.header.proxies.get(index)?.name.clone();
        Some(Evidence {
            line: u64::from(line),
            proxy,
            operation,
        })
    }
}
