//! The rules of order against an exhaustive search for a linearization.

use std::collections::HashSet;

use crate::common::*;
use cutover_checker::{Judgement, Rule};
use cutover_history::{Operation, PushKind, Scope};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// A read returns its generation, a write raises the register to it if that is higher. A write
/// without an end may take effect at any time from its start on, or never.
#[derive(Clone, Copy, Debug)]
struct Op {
    write: bool,
    generation: u64,
    start: u64,
    end: Option<u64>,
}

/// Tries all orders that respect time; the register starts with no generation.
fn linearizable(ops: &[Op]) -> bool {
    fn search(ops: &[Op], done: u32, register: u64, tried: &mut HashSet<(u32, u64)>) -> bool {
        let open = |index: usize| done & (1 << index) == 0;
        if (0..ops.len()).all(|index| !open(index) || ops[index].end.is_none()) {
            return true;
        }
        if !tried.insert((done, register)) {
            return false;
        }
        (0..ops.len()).filter(|&index| open(index)).any(|index| {
            let op = ops[index];
            let first = (0..ops.len())
                .filter(|&other| open(other))
                .all(|other| ops[other].end.is_none_or(|end| end >= op.start));
            let after = if op.write {
                register.max(op.generation)
            } else {
                register
            };
            first
                && (op.write || register == op.generation)
                && search(ops, done | (1 << index), after, tried)
        })
    }
    search(ops, 0, 0, &mut HashSet::new())
}

fn in_order(judgement: &Judgement) -> bool {
    let order = [Rule::Unpushed, Rule::Early, Rule::Stale];
    order
        .iter()
        .all(|rule| !judgement.figures.violations.contains_key(rule))
}

/// Up to 5 writes and 6 reads of 4 generations within 24 instants.
fn histories() -> impl Strategy<Value = Vec<Op>> {
    let write = (1_u64..=4, 0_u64..16, prop::option::weighted(0.6, 0_u64..8));
    let write = write.prop_map(|(generation, start, length)| Op {
        write: true,
        generation,
        start,
        end: length.map(|length| start + length),
    });
    let read = (1_u64..=4, 0_u64..16, 0_u64..8).prop_map(|(generation, start, length)| Op {
        write: false,
        generation,
        start,
        end: Some(start + length),
    });
    (
        prop::collection::vec(write, 1..=5),
        prop::collection::vec(read, 1..=6),
        any::<bool>(),
    )
        .prop_map(|(writes, mut reads, pushed_only)| {
            // Half of the histories read nothing but what was pushed: the others mostly break the
            // first rule, which says little.
            if pushed_only {
                for read in &mut reads {
                    let index = usize::try_from(read.generation).unwrap() % writes.len();
                    read.generation = writes[index].generation;
                }
            }
            writes.into_iter().chain(reads).collect()
        })
}

fn operations(ops: &[Op]) -> Vec<Operation> {
    let operation = |op: &Op| match op.end {
        Some(end) if !op.write => read(0, op.start, end, op.generation),
        end => flip(0, op.generation, op.start, end),
    };
    ops.iter().map(operation).collect()
}

/// Each write becomes two pushes, one for each proxy, whose hull it is; reads go to either proxy.
/// Only the first write of a generation is kept: a fleet has one write of each.
fn over_a_fleet(ops: &[Op]) -> (Vec<Op>, Vec<Operation>) {
    let (mut kept, mut operations) = (Vec::new(), Vec::new());
    let mut written = HashSet::new();
    for (index, op) in ops.iter().enumerate() {
        let odd = index % 2 == 1;
        let proxy = u32::from(odd);
        if !op.write {
            kept.push(*op);
            operations.push(read(proxy, op.start, op.end.unwrap(), op.generation));
        } else if written.insert(op.generation) {
            kept.push(*op);
            let early = op.end.map_or(op.start + 3, |end| op.start.midpoint(end));
            let late = op.end.map_or(op.start + 1, |end| op.start.midpoint(end));
            operations.extend([
                flip(proxy, op.generation, op.start, Some(early)),
                flip(1 - proxy, op.generation, late, op.end),
                // A replay, never acknowledged, changes nothing.
                Operation::Push(push(PushKind::Stale, proxy, op.generation, early + 2, None)),
            ]);
        }
    }
    (kept, operations)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_rules_agree_with_the_search_on_each_proxy(ops in histories()) {
        prop_assert_eq!(in_order(&judge_each(&operations(&ops))), linearizable(&ops));
    }

    #[test]
    fn the_rules_agree_with_the_search_over_a_fleet(ops in histories()) {
        let (ops, operations) = over_a_fleet(&ops);
        let judgement = judge_under(&header(Scope::Fleet), &operations);
        prop_assert_eq!(in_order(&judgement), linearizable(&ops));
    }
}

/// Whether the rules hold if a read could begin at its start, whatever it returns.
fn plain_rules(ops: &[Op]) -> bool {
    let reads = || ops.iter().filter(|op| !op.write);
    reads().all(|read| {
        let pushed = ops
            .iter()
            .filter(|op| op.write && op.generation == read.generation);
        pushed
            .map(|op| op.start)
            .min()
            .is_some_and(|pushed| read.end.unwrap() >= pushed)
            && ops.iter().all(|op| {
                op.generation <= read.generation || op.end.is_none_or(|end| end >= read.start)
            })
    })
}

#[test]
fn the_generated_histories_are_of_both_kinds_and_tell_the_plain_rule_apart() {
    let mut runner = TestRunner::deterministic();
    let (mut violated, mut stale, mut plain_is_wrong) = (0, 0, 0);
    for _ in 0..4_000 {
        let ops = histories().new_tree(&mut runner).unwrap().current();
        let judgement = judge_each(&operations(&ops));
        violated += u32::from(!in_order(&judgement));
        let first = judgement.figures.violations.keys().next();
        stale += u32::from(first == Some(&Rule::Stale));
        plain_is_wrong += u32::from(plain_rules(&ops) != linearizable(&ops));
    }
    assert!(
        (1_000..3_600).contains(&violated),
        "{violated} of 4000 violated"
    );
    assert!(stale > 400, "{stale} of 4000 violated in order only");
    assert!(
        plain_is_wrong > 5,
        "{plain_is_wrong} of 4000 need the start that a read could have"
    );
}
