//! A load on proxies that somebody else runs: what they answer and how they are switched goes to a
//! history, over the whole fleet.

mod error;
mod first;
mod member;
mod place;
mod plan;
mod sight;
mod spool;

pub use error::{FleetError, Lagging};
pub use place::{InvalidPlace, Place};
pub use plan::{Answers, FleetPlan, FleetSummary, NotedFlip, Shows};
pub(crate) use sight::Sight;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cutover_history::{
    Color, FORMAT, Header, Inferred, Operation, Push, PushKind, Scope, Versions, Weather,
    WeatherKind,
};
use futures_util::future::join_all;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::Clock;
use crate::recorder::{Recorder, Tally, recording};
use first::First;
use member::Member;
use spool::Alternation;

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// A load that runs in the background until [`Fleet::finish`]; dropped before, it leaves no history.
///
/// Its clients are tasks of the runtime that it was started in: whoever blocks all threads of that
/// stops the load.
#[derive(Debug)]
#[must_use = "a load ends when it is dropped"]
pub struct Fleet {
    plan: FleetPlan,
    clock: Clock,
    started_at: String,
    begun: Instant,
    members: Vec<Member>,
    recorder: Recorder,
    clients: JoinSet<()>,
    stop: CancellationToken,
    writing: JoinHandle<io::Result<File>>,
    tally: Arc<Tally>,
    inferred: Vec<Inferred>,
    alternation: Alternation,
    flips: u32,
    /// The last thing after which the load has to go on for a while.
    last: Instant,
    _stop: DropGuard,
}

impl Fleet {
    /// Asks every proxy once, and starts the load; returns when it has run for long enough that a flip
    /// may come.
    ///
    /// # Errors
    /// A proxy that does not answer, or without telling what has to be known; a history that cannot be
    /// written. No client runs then.
    pub async fn start(plan: FleetPlan) -> Result<Self, FleetError> {
        if plan.places.is_empty() {
            return Err(FleetError::Nobody);
        }
        let kept = tempfile::tempfile_in(folder(&plan.history)).map_err(unwritable(&plan))?;
        let clock = Clock::start();
        let started_at = jiff::Timestamp::now().to_string();
        let tally = Arc::new(Tally::default());
        let (recorder, batches) = recording(Arc::clone(&tally));
        let writing = tokio::task::spawn_blocking(move || spool::keep(kept, batches));
        let stop = CancellationToken::new();
        let mut fleet = Self {
            clock,
            started_at,
            begun: Instant::now(),
            members: Vec::new(),
            recorder,
            clients: JoinSet::new(),
            writing,
            tally,
            inferred: Vec::new(),
            alternation: Alternation::default(),
            flips: 0,
            last: Instant::now(),
            _stop: stop.clone().drop_guard(),
            stop,
            plan,
        };
        fleet.install().await?;
        fleet.last = Instant::now();
        fleet.linger().await;
        Ok(fleet)
    }

    /// Asks all proxies of the plan, records what they run, and starts their clients.
    async fn install(&mut self) -> Result<(), FleetError> {
        let mut members = Vec::new();
        for place in self.plan.places.clone() {
            let member = self.member(place, &members)?;
            members.push(member);
        }
        let (plan, clock) = (&self.plan, self.clock);
        let asked = join_all(members.iter().map(|member| member.first(plan))).await;
        let mut first: Option<(&Member, First)> = None;
        for (member, answer) in members.iter().zip(asked) {
            let (door, answer) = answer?;
            let (one, shown) = *first.get_or_insert((member, answer));
            if self.plan.answers == Answers::Colors && shown.color != answer.color {
                let (name, other) = (member.name().to_owned(), one.name().to_owned());
                return Err(FleetError::Torn(name, other));
            }
            if !answer.tells_served && !self.inferred.contains(&Inferred::Served) {
                self.inferred.push(Inferred::Served);
            }
            let decision = answer.decision;
            let install = Push {
                flip: None,
                kind: PushKind::Install,
                proxy: member.index,
                generation: decision.map_or(1, |decision| decision.generation),
                color: decision.map_or(answer.color, |decision| decision.color),
                invoked: 0,
                acknowledged: Some(clock.now()),
            };
            self.recorder.record(Operation::Push(install)).await;
            member.sight.come(0);
            for client in member.clients(plan, &door, clock, &self.recorder) {
                self.clients.spawn(client.run());
            }
        }
        if let (Answers::Colors, Some((_, first))) = (self.plan.answers, first) {
            self.inferred.push(Inferred::Generation);
            self.alternation.add(0, 1, first.color);
        }
        self.members = members;
        Ok(())
    }

    fn member(&self, place: Place, others: &[Member]) -> Result<Member, FleetError> {
        if others.iter().any(|other| other.name() == place.name()) {
            return Err(FleetError::Twice(place.name().to_owned()));
        }
        let index = u32::try_from(others.len()).unwrap_or(u32::MAX);
        Ok(Member::new(index, place, self.stop.child_token()))
    }

    /// Adds a proxy that comes later, or is only about to come: it is asked again and again, and the
    /// load on it begins when it answers. Until then it counts as away, and nothing that it does is
    /// recorded.
    ///
    /// # Errors
    /// A name that another proxy has.
    pub fn join(&mut self, place: Place) -> Result<(), FleetError> {
        let member = self.member(place, &self.members)?;
        let (plan, clock, recorder) = (self.plan.clone(), self.clock, self.recorder.clone());
        self.clients.spawn(member.come(plan, clock, recorder));
        self.members.push(member);
        Ok(())
    }

    /// Sends nothing more to a proxy that is about to go; a name that is not known is nobody's.
    pub fn leave(&mut self, proxy: &str) {
        let now = self.clock.now();
        if let Some(member) = self
            .members
            .iter_mut()
            .find(|member| member.name() == proxy)
        {
            member.leave(now);
            // What is on its way there is still to be answered.
            self.last = Instant::now();
        }
    }

    /// Notes that a proxy was killed and answers again: its requests may fail in between.
    pub async fn killed(&mut self, proxy: &str, from: Instant, until: Instant) {
        let member = self.members.iter().find(|member| member.name() == proxy);
        if let Some(index) = member.map(|member| member.index) {
            let killed = Weather {
                kind: WeatherKind::Killed,
                proxy: index,
                from: self.clock.at(from),
                until: self.clock.at(until.max(from)),
            };
            self.recorder.record(Operation::Weather(killed)).await;
        }
    }

    /// Notes a flip of the whole fleet, whoever made it: of all proxies that are there.
    pub async fn note(&mut self, flip: NotedFlip) {
        let NotedFlip {
            generation,
            color,
            invoked,
            acknowledged,
        } = flip;
        let acknowledged = acknowledged.map(|at| self.clock.at(at.max(invoked)));
        let invoked = self.clock.at(invoked);
        for member in self.members.iter().filter(|member| member.is_there()) {
            let push = Push {
                flip: Some(self.flips),
                kind: PushKind::Flip,
                proxy: member.index,
                generation,
                color,
                invoked,
                acknowledged,
            };
            self.recorder.record(Operation::Push(push)).await;
        }
        if self.plan.answers == Answers::Colors {
            self.alternation.add(invoked, generation, color);
        }
        self.flips += 1;
        self.last = Instant::now();
    }

    /// What every proxy that is there shows in its answers.
    pub fn shows(&self) -> Vec<Shows> {
        let there = self.members.iter().filter(|member| member.is_there());
        there.map(Member::shows).collect()
    }

    /// Whether a proxy that was to join has answered.
    pub fn has_come(&self, proxy: &str) -> bool {
        let mut members = self.members.iter();
        members.any(|member| member.name() == proxy && member.is_there())
    }

    /// How much was recorded so far, readable at any time.
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Waits until every proxy that is there has answered with this generation or a newer one.
    ///
    /// # Errors
    /// The proxies that have not, when the time is over.
    pub async fn shown_by_all(&self, generation: u64, within: Duration) -> Result<(), Lagging> {
        self.until(within, |member| {
            member
                .sight
                .now()
                .generation
                .is_some_and(|shown| shown >= generation)
        })
        .await
    }

    /// Waits until every proxy that is there has answered with nothing but one color for a while.
    ///
    /// # Errors
    /// The proxies that have not, when the time is over.
    pub async fn settled(
        &self,
        color: Color,
        rest: Duration,
        within: Duration,
    ) -> Result<(), Lagging> {
        let rest = crate::clock::nanos(rest);
        self.until(within, |member| {
            let now = member.sight.now();
            now.color == Some(color) && now.last.saturating_sub(now.since) >= rest
        })
        .await
    }

    async fn until(
        &self,
        within: Duration,
        holds: impl Fn(&Member) -> bool,
    ) -> Result<(), Lagging> {
        let start = Instant::now();
        loop {
            let there = self.members.iter().filter(|member| member.is_there());
            let lagging: Vec<_> = there.filter(|member| !holds(member)).collect();
            if lagging.is_empty() {
                return Ok(());
            }
            if start.elapsed() >= within {
                return Err(Lagging(lagging.into_iter().map(Member::shows).collect()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Lets the load go on until a flip may come, or the end: the margin after what came last, a proxy
    /// that joined or left among it.
    pub async fn linger(&self) {
        let came = self.members.iter().filter_map(Member::came);
        let came = came.max().map(|at| self.clock.instant(at));
        let last = came.map_or(self.last, |came| came.max(self.last));
        tokio::time::sleep_until((last + self.plan.margin()).into()).await;
    }

    /// Lets the load go on for the margin, ends it, and writes the history.
    ///
    /// # Errors
    /// A history that cannot be written.
    pub async fn finish(mut self) -> Result<FleetSummary, FleetError> {
        self.linger().await;
        self.stop.cancel();
        while self.clients.join_next().await.is_some() {}
        let lasted = self.begun.elapsed();
        let end = self.clock.now();
        let away: Vec<_> = self
            .members
            .iter()
            .flat_map(|member| member.away(end))
            .collect();
        for operation in away {
            self.recorder.record(operation).await;
        }
        self.recorder.flush().await;
        let never_came = self.members.iter().filter(|member| !member.has_come());
        let never_came = never_came.map(|member| member.name().to_owned()).collect();
        let header = self.header();
        let Self {
            plan,
            recorder,
            writing,
            alternation,
            flips,
            ..
        } = self;
        // The writer ends when nobody can record any more.
        drop(recorder);
        let failed = unwritable(&plan);
        let history = plan.history.clone();
        let written = async {
            let kept = writing.await.map_err(io::Error::other)??;
            let writing = tokio::task::spawn_blocking(move || {
                spool::write(kept, &history, header, &alternation)
            });
            writing.await.map_err(io::Error::other)?
        };
        let (contents, counts) = written.await.map_err(failed)?;
        Ok(FleetSummary {
            history: plan.history,
            contents,
            counts,
            flips,
            never_came,
            lasted,
        })
    }

    fn header(&self) -> Header {
        let proxy = |member: &Member| cutover_history::Proxy {
            name: member.name().to_owned(),
            // Whoever asks a proxy by its address knows no more of it.
            workers: 0,
            listeners: 1,
        };
        Header {
            cutover_history: FORMAT,
            seed: 0,
            started_at: self.started_at.clone(),
            versions: Versions {
                cutover: env!("CARGO_PKG_VERSION").to_owned(),
                envoy: self.plan.envoy.clone(),
            },
            module_sha256: self.plan.module_sha256.clone(),
            service: self.plan.service.clone(),
            scope: Scope::Fleet,
            window_ns: crate::clock::nanos(self.plan.window),
            flips: self.plan.flips,
            inferred: self.inferred.clone(),
            proxies: self.members.iter().map(proxy).collect(),
            command: self.plan.command.clone(),
        }
    }
}

/// The folder that a file lies in.
fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn unwritable(plan: &FleetPlan) -> impl FnOnce(io::Error) -> FleetError + use<> {
    let path = plan.history.clone();
    move |source| FleetError::History { path, source }
}
