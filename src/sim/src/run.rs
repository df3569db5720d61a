//! One flip of a fleet: simulated, recorded, judged.

use std::fs::File;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::Path;

use cutover_checker::{Judge, Judgement};
use cutover_history::{Header, InvalidHistory, Operation, Push, PushKind, Writer};

use crate::answer::{Outcome, Shown};
use crate::configuration::Switch;
use crate::fleet;
use crate::host::Module;
use crate::operator::{Deeds, Flip, INSTALL, Way, pushes};
use crate::plan::ProxyPlan;
use crate::proxy::{Course, Stage, simulate};
use crate::record::{self, Title};

/// What is simulated: a fleet, and who flips it.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// The filter.
    pub module: &'a Module,
    /// How many proxies.
    pub proxies: usize,
    /// What happens to each; it may be asked more than once.
    pub plan: &'a (dyn Fn(usize) -> ProxyPlan + Sync),
    /// The flip.
    pub flip: Flip,
    /// When it ends, ns.
    pub until: u64,
    /// The largest mixed window that the load would show, ns.
    pub window: u64,
    /// Where all randomness is from, for the history.
    pub seed: u64,
    /// Worker threads of each proxy, for the history.
    pub workers: u8,
    /// The command that makes it again, for the history.
    pub command: &'a str,
    /// On how many threads it is simulated: nothing else depends on them.
    pub threads: usize,
    /// Whether the tale of each proxy is told.
    pub tell: bool,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outturn {
    /// What the checker says.
    pub judgement: Judgement,
    /// What the operator did.
    pub deeds: Deeds,
    /// The longest time that a request which was answered had to wait, ns.
    pub longest_wait: u64,
    /// Requests that waited at all and were answered.
    pub waited: u64,
    /// Requests that failed or were given up.
    pub failed: u64,
    /// Proxies that came too late, by their own count.
    pub late: u64,
    /// What each proxy showed, if its tale was told: by its number.
    pub tales: Vec<(usize, u64, String)>,
}

impl Outturn {
    /// The longest mixed window that is certain, ns; none where no request shows one.
    pub fn mixed_ns(&self) -> Option<u64> {
        let flips = self.judgement.figures.flips.iter();
        flips.filter_map(|flip| flip.mixed_ns).max()
    }
}

/// Says why a run came to no end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The history cannot be written.
    #[error("the history cannot be written: {0}")]
    Write(#[from] io::Error),
    /// What was recorded makes no sense.
    #[error("the simulator recorded something impossible: {0}")]
    Impossible(#[from] InvalidHistory),
}

/// How often a run is repeated for the sake of what the operator does: it stages, restages, cancels.
const ROUNDS: usize = 6;

/// Simulates a run, and writes its history where that is asked for.
///
/// # Errors
/// A history that cannot be written.
pub fn run(run: &Run<'_>, history: Option<&Path>) -> Result<Outturn, RunError> {
    let mut assumed = vec![run.flip.first()];
    let mut round = 0;
    loop {
        round += 1;
        let outturn = once(run, &assumed, history)?;
        if outturn.deeds.pushes == assumed || round == ROUNDS {
            return Ok(outturn);
        }
        assumed = outturn.deeds.pushes;
    }
}

/// What is done with operations: they are judged, and written where that is asked for.
struct Sink {
    judge: Judge,
    writer: Option<Writer<File>>,
    failed: Option<RunError>,
}

impl Sink {
    fn new(header: Header, history: Option<&Path>) -> Result<Self, RunError> {
        let file = history.map(File::create).transpose()?;
        Ok(Self {
            judge: Judge::new(header.clone()),
            writer: file.map(|file| Writer::new(file, header)).transpose()?,
            failed: None,
        })
    }

    fn add(&mut self, operation: Operation) {
        if self.failed.is_some() {
            return;
        }
        let written = self.writer.as_mut().map(|writer| writer.write(&operation));
        if let Some(Err(error)) = written {
            self.failed = Some(error.into());
        } else if let Err(error) = self.judge.add(operation) {
            self.failed = Some(error.into());
        }
    }

    fn finish(self) -> Result<Judgement, RunError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if let Some(writer) = self.writer {
            writer.finish()?.1.flush()?;
        }
        Ok(self.judge.finish())
    }
}

fn once(
    run: &Run<'_>,
    assumed: &[(Switch, u64)],
    history: Option<&Path>,
) -> Result<Outturn, RunError> {
    let looks = looks(&run.flip, run.until);
    let pushed = pushes(assumed);
    let stage = Stage {
        module: run.module,
        pushes: &pushed,
        looks: &looks,
        until: run.until,
        environment: &[],
        tell: run.tell,
    };
    let title = Title {
        seed: run.seed,
        module_sha256: run.module.sha256(),
        proxies: run.proxies,
        workers: run.workers,
        window: run.window,
        command: run.command,
    };
    let kept: Vec<u64> = assumed
        .iter()
        .map(|(switch, _)| *switch)
        .filter(keeps)
        .map(|switch| switch.generation)
        .collect();
    let mut sink = Sink::new(record::header(&title), history)?;
    let mut seen: Vec<Option<Shown>> = Vec::with_capacity(run.proxies * looks.len());
    let mut sums = Sums::default();
    let course = |proxy| simulate(&stage, &(run.plan)(proxy));
    fleet::each(
        0..run.proxies,
        run.threads,
        &course,
        &mut |proxy, mut course| {
            seen.append(&mut course.looks);
            sums.add(proxy, &mut course, run.tell);
            for operation in record::operations(proxy, course, &kept) {
                sink.add(operation);
            }
            ControlFlow::Continue(())
        },
    );
    let shown = |look: usize, proxy: usize| {
        let row = seen.get(proxy * looks.len()..)?;
        row.get(look).copied().flatten()
    };
    let deeds = run.flip.deeds(&looks, &shown, run.proxies);
    for proxy in 0..run.proxies {
        let acknowledged = |generation: u64| {
            let mut looks = looks.iter().enumerate();
            let has = |look| shown(look, proxy).is_some_and(|s| s.generation == generation);
            looks.find(|(look, _)| has(*look)).map(|(_, at)| *at)
        };
        sink.add(push(proxy, (INSTALL, 0), 0, Some(0)));
        for (flip, pushed) in (1..).zip(assumed).filter(|(_, (switch, _))| !keeps(switch)) {
            sink.add(push(
                proxy,
                *pushed,
                flip,
                acknowledged(pushed.0.generation),
            ));
        }
    }
    Ok(Outturn {
        judgement: sink.finish()?,
        deeds,
        longest_wait: sums.longest_wait,
        waited: sums.waited,
        failed: sums.failed,
        late: sums.late,
        tales: sums.tales,
    })
}

/// Whether a switch keeps the color that all began with: a cancel. It decides nothing else than what it follows, so that its requests count as
/// those of the install: proxies that have heard of it, and proxies that have not, decide the same.
fn keeps(switch: &Switch) -> bool {
    switch.active == INSTALL.active
}

fn push(
    proxy: usize,
    (switch, at): (Switch, u64),
    flip: u32,
    acknowledged: Option<u64>,
) -> Operation {
    Operation::Push(Push {
        flip: (flip > 0).then_some(flip),
        kind: if flip > 0 {
            PushKind::Flip
        } else {
            PushKind::Install
        },
        proxy: u32::try_from(proxy).unwrap_or(u32::MAX),
        generation: switch.generation,
        color: switch.active,
        invoked: at,
        acknowledged: acknowledged.filter(|seen| *seen >= at),
    })
}

/// What is summed up while proxies come and go.
#[derive(Default)]
struct Sums {
    longest_wait: u64,
    waited: u64,
    failed: u64,
    late: u64,
    tales: Vec<(usize, u64, String)>,
}

impl Sums {
    fn add(&mut self, proxy: usize, course: &mut Course, tell: bool) {
        if tell {
            let told = course.answers.iter();
            self.tales
                .extend(told.map(|answer| (proxy, answer.end, answer.in_words())));
        }
        for answer in &course.answers {
            let wait = answer.end.saturating_sub(answer.start);
            if matches!(answer.outcome, Outcome::Routed { .. }) {
                self.longest_wait = self.longest_wait.max(wait);
                self.waited += u64::from(wait > 0);
            } else {
                self.failed += 1;
            }
        }
        self.late += u64::from(course.last.late > 0);
        let tale = std::mem::take(&mut course.tale);
        let tale = tale.into_iter().map(|(at, line)| (proxy, at, line));
        self.tales.extend(tale);
    }
}

/// When the operator looks: now and then, and often for a while before it decides, for a clock is measured at the instants at
/// which it is seen to move.
fn looks(flip: &Flip, until: u64) -> Vec<u64> {
    const MS: u64 = 1_000_000;
    let mut looks: Vec<u64> = (flip.at..until).step_by(50_000_000).skip(1).collect();
    if flip.way != Way::Plain {
        let gate = flip
            .due
            .saturating_sub((flip.hold_ms + flip.margin_ms) * MS);
        looks.extend((gate.saturating_sub(70 * MS)..gate).step_by(2_000_000));
        looks.extend([gate, flip.due.saturating_sub(flip.hold_ms * MS)]);
    }
    looks.retain(|at| *at > flip.at && *at < until);
    looks.sort_unstable();
    looks.dedup();
    looks
}
