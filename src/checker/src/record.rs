//! A request in forty bytes, so that ten million of them fit.

use std::collections::HashMap;

use cutover_history::{Color, Decision, Kind, MAX_PROXIES, Outcome, Request};

/// A request, packed. [`Records::request`] unpacks it for a witness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) intended: u64,
    /// Index into the generations when it was decided, into the failures when it failed. Generations
    /// are in ascending order once [`Records::rank`] has run: indices compare as they do.
    reference: u32,
    client: u32,
    /// Line of the history.
    pub(crate) line: u32,
    /// Flags below [`PROXY`], the index of the proxy from there on.
    packed: u32,
}

const KIND: u32 = 0b111;
const ANSWERED: u32 = 1 << 3;
const FAILED: u32 = 1 << 4;
const SERVED_GREEN: u32 = 1 << 5;
const DECIDED: u32 = 1 << 6;
const DECIDED_GREEN: u32 = 1 << 7;
const OVERRIDDEN: u32 = 1 << 8;
const CONTRARY: u32 = 1 << 9;
const UNORDERED: u32 = 1 << 10;

/// The first bit of the proxy: what is left holds every index that a history can have.
const PROXY: u32 = 12;
const _: () = assert!(MAX_PROXIES <= 1 << (u32::BITS - PROXY));

impl Record {
    fn has(&self, flag: u32) -> bool {
        self.packed & flag != 0
    }

    /// The proxy that was asked, by index.
    pub(crate) fn proxy(&self) -> u32 {
        self.packed >> PROXY
    }

    pub(crate) fn answered(&self) -> bool {
        self.has(ANSWERED)
    }

    pub(crate) fn failed(&self) -> bool {
        self.has(FAILED)
    }

    /// Failed or timed out.
    pub(crate) fn in_error(&self) -> bool {
        !self.answered()
    }

    pub(crate) fn undecided(&self) -> bool {
        self.answered() && !self.has(DECIDED)
    }

    pub(crate) fn overridden(&self) -> bool {
        self.has(OVERRIDDEN)
    }

    pub(crate) fn contrary(&self) -> bool {
        self.has(CONTRARY)
    }

    /// Whether a configuration without a generation decided it.
    pub(crate) fn unordered(&self) -> bool {
        self.has(UNORDERED)
    }

    /// Rank of the generation that it read, if it read the register: answered, decided, no override.
    pub(crate) fn read(&self) -> Option<usize> {
        (self.has(DECIDED) && !self.overridden()).then_some(self.reference as usize)
    }

    pub(crate) fn served(&self) -> Color {
        color(self.has(SERVED_GREEN))
    }

    pub(crate) fn decided(&self) -> Option<Color> {
        self.has(DECIDED).then(|| color(self.has(DECIDED_GREEN)))
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind::ALL
            .get((self.packed & KIND) as usize)
            .copied()
            .unwrap_or(Kind::H1)
    }

    /// Time from when it was wanted to its answer, ns; none when there was no answer, and for an
    /// upload, which takes as long as its client likes.
    pub(crate) fn latency(&self) -> Option<u64> {
        (self.answered() && self.kind() != Kind::Upload)
            .then(|| self.end.saturating_sub(self.intended))
    }
}

fn color(green: bool) -> Color {
    if green { Color::Green } else { Color::Blue }
}

/// All requests of a history, packed, with what they refer to.
#[derive(Default)]
pub(crate) struct Records {
    pub(crate) list: Vec<Record>,
    generations: Generations,
    failures: HashMap<(Option<u16>, String), u32>,
    /// Contrary decisions are rare, so they are kept beside, by line.
    contrary: HashMap<u32, Vec<Decision>>,
}

impl Records {
    pub(crate) fn generations(&mut self) -> &mut Generations {
        &mut self.generations
    }

    /// The request of a line, which [`cutover_history::Operation::validate`] has accepted.
    pub(crate) fn add(&mut self, line: u32, request: Request) {
        let mut flags = match request.kind {
            Kind::H1 => 0,
            Kind::H2 => 1,
            Kind::Upload => 2,
            Kind::Sse => 3,
            Kind::WebSocket => 4,
            Kind::Grpc => 5,
        };
        let mut reference = 0;
        match request.outcome {
            Outcome::Answered { served, decision } => {
                flags |= ANSWERED | flag(served == Color::Green, SERVED_GREEN);
                if let Some(decision) = decision {
                    flags |= DECIDED
                        | flag(decision.color == Color::Green, DECIDED_GREEN)
                        | flag(decision.overridden, OVERRIDDEN)
                        | flag(decision.generation == 0, UNORDERED);
                    reference = self.generations.intern(decision.generation);
                }
            }
            Outcome::Failed { status, error } => {
                flags |= FAILED;
                let next = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
                reference = *self.failures.entry((status, error)).or_insert(next);
            }
            Outcome::TimedOut => {}
        }
        if !request.contrary.is_empty() {
            flags |= CONTRARY;
            self.contrary.insert(line, request.contrary);
        }
        self.list.push(Record {
            start: request.start,
            end: request.end,
            intended: request.intended,
            reference,
            client: request.client,
            line,
            packed: request.proxy << PROXY | flags,
        });
    }

    /// Puts the generations in order and lets every record refer to its rank.
    pub(crate) fn rank(&mut self) -> Ranks {
        let (ranks, by_index) = self.generations.rank();
        for record in &mut self.list {
            if record.has(DECIDED) {
                let rank = by_index.get(record.reference as usize);
                record.reference = rank.copied().unwrap_or_default();
            }
        }
        ranks
    }

    /// Unpacks a record, once [`Records::rank`] has run.
    pub(crate) fn request(&self, record: &Record, ranks: &Ranks) -> Request {
        let outcome = if record.answered() {
            Outcome::Answered {
                served: record.served(),
                decision: record.decided().map(|color| Decision {
                    generation: ranks.generation(record.reference as usize),
                    color,
                    overridden: record.overridden(),
                }),
            }
        } else if record.failed() {
            let failure = self
                .failures
                .iter()
                .find(|(_, index)| **index == record.reference);
            let (status, error) = failure
                .map(|(failure, _)| failure.clone())
                .unwrap_or_default();
            Outcome::Failed { status, error }
        } else {
            Outcome::TimedOut
        };
        Request {
            client: record.client,
            proxy: record.proxy(),
            kind: record.kind(),
            intended: record.intended,
            start: record.start,
            end: record.end,
            outcome,
            contrary: self.contrary.get(&record.line).cloned().unwrap_or_default(),
        }
    }
}

fn flag(set: bool, flag: u32) -> u32 {
    if set { flag } else { 0 }
}

/// Gives every generation that occurs a small number, in order of occurrence.
#[derive(Default)]
pub(crate) struct Generations {
    indices: HashMap<u64, u32>,
    /// Requests come in runs of one generation.
    last: Option<(u64, u32)>,
}

impl Generations {
    pub(crate) fn intern(&mut self, generation: u64) -> u32 {
        if let Some((last, index)) = self.last
            && last == generation
        {
            return index;
        }
        let next = u32::try_from(self.indices.len()).unwrap_or(u32::MAX);
        let index = *self.indices.entry(generation).or_insert(next);
        self.last = Some((generation, index));
        index
    }

    fn rank(&self) -> (Ranks, Vec<u32>) {
        let mut pairs: Vec<(u64, u32)> = self.indices.iter().map(|(&g, &i)| (g, i)).collect();
        pairs.sort_unstable();
        let mut by_index: Vec<(u32, u32)> = (0_u32..).zip(&pairs).map(|(r, p)| (p.1, r)).collect();
        by_index.sort_unstable();
        let ranks = Ranks(
            pairs
                .into_iter()
                .map(|(generation, _)| generation)
                .collect(),
        );
        (ranks, by_index.into_iter().map(|(_, rank)| rank).collect())
    }
}

/// The generations of a history in ascending order.
pub(crate) struct Ranks(Vec<u64>);

impl Ranks {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn generation(&self, rank: usize) -> u64 {
        self.0.get(rank).copied().unwrap_or_default()
    }

    pub(crate) fn of(&self, generation: u64) -> Option<usize> {
        self.0.binary_search(&generation).ok()
    }
}
