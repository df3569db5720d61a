//! Work on many things that do not influence one another, on some threads, with the results in order.

use std::ops::{ControlFlow, Range};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many results are kept at once, for each thread.
const AT_ONCE: usize = 64;

/// Does some work for each index, and hands the results over in order: the same whatever the number of threads. What takes them
/// may end it.
pub(crate) fn each<T: Send>(
    indices: Range<usize>,
    threads: usize,
    work: &(dyn Fn(usize) -> T + Sync),
    sink: &mut dyn FnMut(usize, T) -> ControlFlow<()>,
) {
    let threads = threads.max(1);
    let batch = if threads == 1 { 1 } else { threads * AT_ONCE };
    let mut first = indices.start;
    while first < indices.end {
        let last = indices.end.min(first + batch);
        let next = AtomicUsize::new(first);
        let results = Mutex::new(Vec::with_capacity(last - first));
        let some_work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= last {
                    break;
                }
                let result = work(index);
                if let Ok(mut results) = results.lock() {
                    results.push((index, result));
                }
            }
        };
        if last - first == 1 {
            some_work();
        } else {
            thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(some_work);
                }
            });
        }
        let mut results = results.into_inner().unwrap_or_default();
        results.sort_unstable_by_key(|(index, _)| *index);
        for (index, result) in results {
            if sink(index, result).is_break() {
                return;
            }
        }
        first = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whatever_the_number_of_threads() {
        for threads in [1, 2, 5] {
            let mut seen = Vec::new();
            each(3..700, threads, &|index| index * 2, &mut |index, result| {
                seen.push((index, result));
                if index == 600 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            let expected: Vec<_> = (3..=600).map(|index| (index, index * 2)).collect();
            assert_eq!(seen, expected, "{threads} threads");
        }
    }
}
