//! What `/proc` tells of an Envoy, and how one of its threads is kept from running.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Threads that the starved one has to share its CPU with.
const RIVALS: u32 = 8;

/// Keeps one worker from running much, for a time: it shares one CPU with busy threads.
pub(super) fn starve(pid: u32, worker: u32, time: Duration) -> io::Result<()> {
    let thread = worker_thread(pid, worker)?;
    let before = sched_getaffinity(Some(thread))?;
    let cpu = (0..CpuSet::MAX_CPU)
        .find(|cpu| before.is_set(*cpu))
        .ok_or_else(|| io::Error::other("the worker may run on no CPU"))?;
    let mut one = CpuSet::new();
    one.set(cpu);
    sched_setaffinity(Some(thread), &one)?;
    let until = Instant::now() + time;
    std::thread::scope(|scope| {
        for _ in 0..RIVALS {
            scope.spawn(|| {
                // A rival that cannot be pinned would take the time of others.
                if sched_setaffinity(None, &one).is_ok() {
                    while Instant::now() < until {
                        std::hint::spin_loop();
                    }
                }
            });
        }
    });
    Ok(sched_setaffinity(Some(thread), &before)?)
}

/// The thread of a worker, by the name that Envoy gives it.
fn worker_thread(pid: u32, worker: u32) -> io::Result<Pid> {
    let name = format!("wrk:worker_{worker}");
    for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let entry = entry?;
        // A thread that has just ended has no name any more.
        let comm = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if comm.trim_end() == name
            && let Some(thread) = entry
                .file_name()
                .to_str()
                .and_then(|id| id.parse().ok())
                .and_then(Pid::from_raw)
        {
            return Ok(thread);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("no thread {name} in process {pid}"),
    ))
}

/// Resident memory of a process in bytes: `VmRSS` of `/proc/PID/status`, which is in kB.
pub(super) fn resident_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_memory_is_read() {
        let bytes = resident_memory(std::process::id()).unwrap();
        assert!(bytes > 100_000, "{bytes}");
        assert_eq!(resident_memory(u32::MAX), None);
    }

    #[test]
    fn worker_that_does_not_exist_is_named() {
        let error = worker_thread(std::process::id(), 7).unwrap_err();
        assert!(error.to_string().contains("wrk:worker_7"), "{error}");
    }
}
