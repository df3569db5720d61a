//! What proxies show, kept up to date by one task a proxy.

use super::Look;
use crate::{
    Admin, AdminError, Names, Proxy, Seen, Stats,
    clock::ClockLine,
    watch::{Unshown, Why, fair_pause},
};
use cutover_core::{
    Generation,
    fleet::{Clock, View},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::JoinSet,
    time::sleep,
};

/// The shortest pause before a proxy is asked again of which news is expected.
const PAUSE: Duration = Duration::from_millis(25);

/// The same of one that is ready: nothing is to come until it is decided, but it may fall.
const REST: Duration = Duration::from_millis(100);

/// How many clocks are measured at once: looks at one disturb those at another.
const MEASURED_AT_ONCE: usize = 8;

/// How often a clock is measured that could only be told within this, in microseconds: its proxy, or this
/// machine, may have been busy.
const TRIES: u32 = 4;
const TOO_WIDE: u64 = 2_000;

/// How long one clock may take.
const LONGEST_MEASUREMENT: Duration = Duration::from_secs(2);

/// A service in a proxy, by name.
pub(super) type Key = (String, String);

/// What is known of all proxies that are there.
pub(super) struct Board {
    services: Arc<[String]>,
    names: Vec<Names>,
    line: ClockLine,
    shared: Arc<Shared>,
    /// What is staged; none when no clock matters any more.
    staged: watch::Sender<Option<Generation>>,
    tasks: BTreeMap<String, (Proxy, JoinSet<()>)>,
}

struct Shared {
    seen: Mutex<BTreeMap<String, Sighting>>,
    changed: Notify,
    permits: Semaphore,
}

/// What one proxy shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Sighting {
    services: Option<BTreeMap<String, Seen>>,
    fault: Option<AdminError>,
    /// Measured under the generation that is staged.
    clocks: BTreeMap<String, Clock>,
    tries: u32,
    /// How often each service had been late before.
    late_before: BTreeMap<String, u64>,
    /// How often it had refused a configuration before, and has by now.
    refusals: Option<(u64, u64)>,
}

impl Board {
    pub(super) fn new(
        services: Vec<String>,
        names: Vec<Names>,
        line: ClockLine,
        generation: Generation,
    ) -> Self {
        Self {
            services: services.into(),
            names,
            line,
            shared: Arc::new(Shared {
                seen: Mutex::default(),
                changed: Notify::new(),
                permits: Semaphore::new(MEASURED_AT_ONCE),
            }),
            staged: watch::channel(Some(generation)).0,
            tasks: BTreeMap::new(),
        }
    }

    /// Follows these proxies and no others. Says who came and who went.
    pub(super) fn follow(&mut self, members: &[Proxy], known: &[Look]) -> (Vec<Proxy>, Vec<Proxy>) {
        let is_there = |name: &String| members.iter().any(|one| one.to_string() == *name);
        let gone: Vec<_> = self
            .tasks
            .keys()
            .filter(|name| !is_there(name))
            .cloned()
            .collect();
        let gone = gone.into_iter().filter_map(|name| {
            self.shared.seen().remove(&name);
            self.tasks.remove(&name).map(|(proxy, _)| proxy)
        });
        let gone = gone.collect();
        let mut came = vec![];
        for proxy in members {
            let name = proxy.to_string();
            if self.tasks.contains_key(&name) {
                continue;
            }
            let known = known.iter().find(|look| look.admin.proxy() == proxy);
            let mut sighting = Sighting::default();
            let admin = known.map(|look| look.admin.clone());
            if let Some(stats) = known.and_then(Look::stats) {
                for (service, seen) in &stats.services {
                    sighting.late_before.insert(service.clone(), seen.late);
                }
                sighting.refusals = Some((stats.refusals(), stats.refusals()));
            }
            self.shared.seen().insert(name.clone(), sighting);
            let follower = Follower {
                admin: admin.unwrap_or_else(|| Admin::with_names(proxy.clone(), &self.names)),
                name: name.clone(),
                services: Arc::clone(&self.services),
                line: self.line,
                shared: Arc::clone(&self.shared),
                staged: self.staged.subscribe(),
            };
            let mut task = JoinSet::new();
            task.spawn(follower.run());
            self.tasks.insert(name, (proxy.clone(), task));
            came.push(proxy.clone());
        }
        (came, gone)
    }

    /// Another generation is staged now: clocks are measured again.
    pub(super) fn restaged(&self, generation: Generation) {
        self.staged.send_replace(Some(generation));
        for sighting in self.shared.seen().values_mut() {
            sighting.clocks.clear();
            sighting.tries = 0;
        }
    }

    /// It is decided: no clock is measured any more, and all eyes are on what proxies show.
    pub(super) fn decided(&self) {
        self.staged
            .send_if_modified(|staged| staged.take().is_some());
    }

    /// Waits until a proxy shows something new.
    pub(super) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// What the protocol has to know; none of one that is silent.
    pub(super) fn views(&self) -> BTreeMap<Key, Option<View>> {
        let seen = self.shared.seen();
        let all = seen.iter().flat_map(|(name, sighting)| {
            let view = |service: &String| {
                let key = (name.clone(), service.clone());
                (key, sighting.view(service))
            };
            self.services.iter().map(view)
        });
        all.collect()
    }

    /// Those that are there, in the order of their names.
    pub(super) fn proxies(&self) -> Vec<Proxy> {
        let proxies = self.tasks.values();
        proxies.map(|(proxy, _)| proxy.clone()).collect()
    }

    pub(super) fn proxy(&self, name: &str) -> Option<Proxy> {
        self.tasks.get(name).map(|(proxy, _)| proxy.clone())
    }

    /// The clock of a proxy that is furthest off, of its services.
    pub(super) fn clock(&self, proxy: &Proxy) -> Option<Clock> {
        let seen = self.shared.seen();
        let clocks = &seen.get(&proxy.to_string())?.clocks;
        clocks.values().copied().max_by_key(|clock| clock.worst())
    }

    /// Why a proxy does not show a generation of a service, as far as it tells.
    pub(super) fn unshown(&self, proxy: &Proxy, service: &str, generation: Generation) -> Unshown {
        let seen = self.shared.seen();
        let sighting = seen.get(&proxy.to_string()).cloned().unwrap_or_default();
        Unshown {
            proxy: proxy.clone(),
            why: sighting.why(service, generation),
        }
    }
}

impl Shared {
    /// How long to leave a proxy alone.
    fn pause(&self, shortest: Duration) -> Duration {
        shortest.max(fair_pause(self.seen().len()))
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Sighting>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sighting {
    /// Whether a clock is not measured yet, or may be told more narrowly.
    fn may_be_narrower(&self, services: &[String]) -> bool {
        let is_wide = |service: &String| match self.clocks.get(service) {
            None => true,
            Some(clock) => clock.error > TOO_WIDE && self.tries < TRIES,
        };
        services.iter().any(is_wide)
    }

    /// Takes in what came of a look, and says what to do next.
    fn took(
        &mut self,
        answer: Result<Stats, AdminError>,
        services: &[String],
        generation: Option<Generation>,
    ) -> Next {
        let stats = match answer {
            Ok(stats) => stats,
            Err(error) => {
                (self.services, self.fault) = (None, Some(error));
                return Next::Look;
            }
        };
        let refusals = stats.refusals();
        let before = self.refusals.map_or(refusals, |(before, _)| before);
        self.refusals = Some((before, refusals));
        for (service, seen) in &stats.services {
            let late = &mut self.late_before;
            late.entry(service.clone()).or_insert(seen.late);
        }
        let is_staged = |service: &String| {
            let staged = stats.services.get(service).and_then(|seen| seen.staged);
            staged.is_some() && staged == generation.map(Generation::get)
        };
        let staged = generation.filter(|_| services.iter().all(is_staged));
        (self.services, self.fault) = (Some(stats.services), None);
        match staged {
            Some(generation) if self.may_be_narrower(services) => Next::Measure(generation),
            Some(_) => Next::Rest,
            None => Next::Look,
        }
    }

    /// Takes in a measurement: the narrower one counts.
    fn measured(&mut self, clocks: BTreeMap<String, Clock>) {
        self.tries += 1;
        for (service, clock) in clocks {
            let known = self.clocks.entry(service).or_insert(clock);
            if clock.error < known.error {
                *known = clock;
            }
        }
    }

    fn view(&self, service: &str) -> Option<View> {
        let seen = self.services.as_ref()?.get(service).cloned();
        let seen = seen.unwrap_or_default();
        let generation = |number: Option<u64>| Generation::new(number?).ok();
        let late_before = self.late_before.get(service).copied();
        Some(View {
            generation: generation(seen.generation),
            staged: generation(seen.staged),
            clock: self.clocks.get(service).copied(),
            late: seen.late > late_before.unwrap_or(seen.late),
        })
    }

    fn why(&self, service: &str, generation: Generation) -> Why {
        if let Some(error) = &self.fault {
            return Why::Silent(error.clone());
        }
        let services = self.services.as_ref();
        let seen = services.and_then(|all| all.get(service)).cloned();
        let Seen {
            generation: shown,
            active,
            staged,
            ..
        } = seen.unwrap_or_default();
        match shown {
            Some(shown) if shown > generation.get() => Why::Superseded {
                generation: shown,
                active,
            },
            Some(shown) if shown == generation.get() => Why::Conflict { active },
            _ if self.refusals.is_some_and(|(before, now)| now > before) => Why::Refused {
                generation: shown,
                active,
            },
            generation if staged.is_some() => Why::Staged {
                staged: staged.unwrap_or_default(),
                generation,
                active,
            },
            generation => Why::Behind { generation, active },
        }
    }
}

/// What a follower does after a look.
enum Next {
    /// Its clock is to be told more narrowly.
    Measure(Generation),
    /// It looks again soon: something is to come.
    Look,
    /// It has staged the switch and its clock is known: nothing is to come until it is decided.
    Rest,
}

/// Asks one proxy again and again.
struct Follower {
    admin: Admin,
    name: String,
    services: Arc<[String]>,
    line: ClockLine,
    shared: Arc<Shared>,
    staged: watch::Receiver<Option<Generation>>,
}

impl Follower {
    async fn run(mut self) {
        loop {
            let answer = self.admin.stats_of_all(&self.services).await;
            let generation = *self.staged.borrow_and_update();
            let next = {
                let mut seen = self.shared.seen();
                let Some(sighting) = seen.get_mut(&self.name) else {
                    return;
                };
                sighting.took(answer, &self.services, generation)
            };
            self.shared.changed.notify_one();
            match next {
                Next::Measure(generation) => {
                    let mut staged = self.staged.clone();
                    tokio::select! {
                        () = self.measure(generation) => {}
                        _ = staged.wait_for(|now| *now != Some(generation)) => {}
                    }
                }
                Next::Look => sleep(self.shared.pause(PAUSE)).await,
                Next::Rest => {
                    tokio::select! {
                        () = sleep(self.shared.pause(REST)) => {}
                        _ = self.staged.changed() => {}
                    }
                }
            }
        }
    }

    async fn measure(&self, generation: Generation) {
        let Ok(_permit) = self.shared.permits.acquire().await else {
            return;
        };
        let until = Instant::now() + LONGEST_MEASUREMENT;
        let clocks = self
            .admin
            .clocks(&self.line, &self.services, generation.get(), until);
        let Ok(clocks) = clocks.await else { return };
        if *self.staged.borrow() == Some(generation)
            && let Some(sighting) = self.shared.seen().get_mut(&self.name)
        {
            sighting.measured(clocks);
        }
        self.shared.changed.notify_one();
    }
}
