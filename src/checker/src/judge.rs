//! From operations to a judgement.

use std::collections::BTreeMap;

use cutover_history::{
    Fault, Header, Impossible, InvalidHistory, Operation, Push, Scope, WeatherKind,
};

use crate::flips::{self, FlipSummary};
use crate::order::{self, Ledger, Write};
use crate::record::{Record, Records};
use crate::traffic::{Absences, Times, Traffic};
use crate::verdict::{Conviction, Counts, Figures, Judgement, Rule, Verdict};
use crate::{Witness, thin};

/// Judges a history.
///
/// # Errors
/// The first error of `operations`, or the first operation that `header` makes impossible.
pub fn judge<I>(header: &Header, operations: I) -> Result<Judgement, InvalidHistory>
where
    I: IntoIterator<Item = Result<Operation, InvalidHistory>>,
{
    let mut judge = Judge::new(header.clone());
    for operation in operations {
        judge.add(operation?)?;
    }
    Ok(judge.finish())
}

/// Takes in operations one by one, in any order, and judges them together.
///
/// It keeps 40 bytes a request, and somewhat more while it judges.
pub struct Judge {
    header: Header,
    records: Records,
    pushes: Vec<(u32, Push)>,
    absences: Absences,
    line: u32,
}

impl Judge {
    /// Starts with the header.
    pub fn new(header: Header) -> Self {
        Self {
            header,
            records: Records::default(),
            pushes: Vec::new(),
            absences: Absences::default(),
            line: 1,
        }
    }

    /// Takes in the operation of the next line.
    ///
    /// # Errors
    /// An operation that the header makes impossible.
    pub fn add(&mut self, operation: Operation) -> Result<(), InvalidHistory> {
        self.line = self.line.saturating_add(1);
        self.sort_in(operation)
            .map_err(|impossible| InvalidHistory {
                line: u64::from(self.line),
                fault: Fault::Impossible(impossible),
            })
    }

    fn sort_in(&mut self, operation: Operation) -> Result<(), Impossible> {
        operation.validate(&self.header)?;
        let proxy = operation.proxy();
        match operation {
            Operation::Request(request) => self.records.add(self.line, request),
            Operation::Push(push) => {
                self.records.generations().intern(push.generation);
                self.pushes.push((self.line, push));
            }
            Operation::Weather(weather) => match weather.kind {
                WeatherKind::Killed => self.absences.killed.add(proxy, weather.from, weather.until),
                WeatherKind::Away => self.absences.away.add(proxy, weather.from, weather.until),
                _ => {}
            },
        }
        Ok(())
    }

    /// Judges what was taken in.
    pub fn finish(self) -> Judgement {
        self.finish_telling(&mut |_| {})
    }

    /// Judges what was taken in, and tells of every request that broke a rule, in no order.
    ///
    /// It is told as often as the figures count violations.
    pub fn finish_telling(mut self, tell: &mut dyn FnMut(Conviction)) -> Judgement {
        self.absences.merge();
        let ranks = self.records.rank();
        let scope = self.header.scope;
        let unit = |proxy: u32| if scope == Scope::Proxy { proxy } else { 0 };
        self.records
            .list
            .sort_unstable_by_key(|record| (unit(record.proxy()), record.start, record.line));

        let mut ledger = Ledger::new(&self.header, &self.records, &ranks, &self.pushes, tell);
        let requests = count(&self.records.list, &self.absences.killed);
        for record in &self.records.list {
            judge_alone(&mut ledger, record, &self.absences.killed);
        }

        let mut pushes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, (_, push)) in self.pushes.iter().enumerate() {
            pushes.entry(unit(push.proxy)).or_default().push(index);
        }
        let mut flips: Vec<FlipSummary> = Vec::new();
        let mut unordered = 0;
        let mut judged = |unit: u32, records: &[Record]| {
            let pushes = pushes.remove(&unit).unwrap_or_default();
            let writes: Vec<Option<Write>> = order::writes(&pushes, &self.pushes, &ranks);
            let seen = order::judge(&mut ledger, records, &writes);
            unordered += seen.unordered;
            let traffic = Traffic::new(&self.header, unit, records, &self.absences);
            flips.extend(flips::summarize(&seen, &writes, &traffic, &ranks));
        };
        let units = if scope == Scope::Proxy {
            self.header.proxies.len()
        } else {
            1
        };
        let mut rest = self.records.list.as_slice();
        for index in 0..units {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let length = rest.partition_point(|record| unit(record.proxy()) <= index);
            let (records, others) = rest.split_at(length);
            rest = others;
            judged(index, records);
        }
        flips.sort_by_key(|flip| (flip.invoked, flip.proxy, flip.generation));

        let reads = count_reads(&self.records.list);
        let (violations, witness) = ledger.close();
        let figures = figures(reads, violations, requests, flips);
        let verdict = verdict(&self.header, &figures, witness, unordered);
        Judgement { verdict, figures }
    }
}

fn verdict(
    header: &Header,
    figures: &Figures,
    witness: Option<Witness>,
    unordered: u64,
) -> Verdict {
    if let Some(witness) = witness {
        return Verdict::Violated(witness);
    }
    let reasons = thin::reasons(header, figures, unordered);
    if reasons.is_empty() {
        Verdict::Holds
    } else {
        Verdict::Inconclusive(reasons)
    }
}

fn figures(
    reads: u64,
    violations: BTreeMap<Rule, u64>,
    requests: BTreeMap<cutover_history::Kind, Counts>,
    flips: Vec<FlipSummary>,
) -> Figures {
    const BILLION: u64 = 1_000_000_000;
    let bounded = violations.is_empty() && reads > 0;
    Figures {
        reads,
        violations,
        rate_at_most_ppb: bounded.then(|| (3 * BILLION).div_ceil(reads.max(1)).min(BILLION)),
        resolution_ns: flips.iter().map(|flip| flip.resolution_ns).max(),
        requests,
        flips,
    }
}

/// Applies the rules that need no other request.
fn judge_alone(ledger: &mut Ledger<'_>, record: &Record, killed: &Times) {
    if record.undecided() {
        ledger.convict(Rule::Undecided, record, &[]);
    }
    if record
        .decided()
        .is_some_and(|decided| decided != record.served())
    {
        ledger.convict(Rule::Misrouted, record, &[]);
    }
    if record.contrary() {
        ledger.convict(Rule::Redecided, record, &[]);
    }
    if record.in_error() && !killed.overlap(record) {
        ledger.convict(Rule::Failed, record, &[]);
    }
}

fn count_reads(records: &[Record]) -> u64 {
    let reads = records
        .iter()
        .filter(|record| record.read().is_some() && !record.unordered());
    u64::try_from(reads.count()).unwrap_or(u64::MAX)
}

fn count(records: &[Record], killed: &Times) -> BTreeMap<cutover_history::Kind, Counts> {
    let mut by_kind: BTreeMap<_, Counts> = BTreeMap::new();
    for record in records {
        let counts = by_kind.entry(record.kind()).or_default();
        counts.answered += u64::from(record.answered());
        counts.overridden += u64::from(record.overridden());
        counts.failed += u64::from(record.failed());
        counts.timed_out += u64::from(record.in_error() && !record.failed());
        counts.excused += u64::from(record.in_error() && killed.overlap(record));
    }
    by_kind
}
