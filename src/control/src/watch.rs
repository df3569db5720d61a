//! Watching proxies until they show what was written.

use crate::{Admin, AdminError, Fleet, Interrupt, Names, Proxy, Stats};
use cutover_core::{Color, fleet::Due};
use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc::UnboundedSender,
    task::{AbortHandle, JoinSet},
    time::sleep,
};

/// The pause before an Envoy is asked again: short at first, for most show a flip in milliseconds.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The pause that keeps all looks at so many proxies to some 250 a second, a quarter of a second at most: they may share a machine
/// with each other and with this, and each look at a pod goes through the API server.
pub(crate) fn fair_pause(proxies: usize) -> Duration {
    let count = u32::try_from(proxies).unwrap_or(u32::MAX);
    let pause = Duration::from_millis(4).saturating_mul(count);
    pause.min(Duration::from_millis(250))
}

/// How long a refusal may be that of an earlier push which Envoy has only just come to.
const GRACE: Duration = Duration::from_millis(500);

/// How long an Envoy may take for its last answer, after the deadline or when the watch is told to
/// stop.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// The same of a pod, to which a tunnel may have to be made.
const LAST_LOOK_AT_PODS: Duration = Duration::from_secs(2);

/// What proxies shall show.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub(crate) service: String,
    pub(crate) generation: u64,
    /// None when any color will do.
    pub(crate) active: Option<Color>,
}

/// Something that happened on the way, for whoever follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The file was replaced.
    Written {
        /// The service.
        service: String,
        /// What was written.
        generation: u64,
        /// Its active color.
        active: Color,
        /// When it activates; at once, where it has no instant.
        due: Option<Due>,
    },
    /// An Envoy has staged it.
    Staged(Proxy),
    /// Every Envoy has staged it, and its clock is good.
    Ready {
        /// How many.
        proxies: usize,
        /// The most that a clock may be off, in microseconds; none where none was measured.
        worst: Option<u64>,
        /// The time to the instant, in microseconds.
        left: u64,
    },
    /// The clocks ask for a longer hold, and it is staged again.
    Restaged {
        /// The hold, in milliseconds.
        hold_ms: u64,
    },
    /// It is about to be taken back.
    Cancelling {
        /// For whose sake; nobody's, where somebody asked for it.
        why: Vec<String>,
        /// Whether it was told to stop.
        is_stopped: bool,
    },
    /// An Envoy shows it.
    Shown(Proxy),
    /// An Envoy is new in the fleet.
    Came(Proxy),
    /// An Envoy left the fleet.
    Gone(Proxy),
}

/// Where steps go; nobody has to listen.
pub type Steps = Option<UnboundedSender<Step>>;

/// An Envoy that shows what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Which.
    pub proxy: Proxy,
    /// When its answer was in.
    pub at: Instant,
}

/// An Envoy that does not show what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unshown {
    /// Which.
    pub proxy: Proxy,
    /// Why not, as far as it tells.
    pub why: Why,
}

/// Why an Envoy does not show what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It cannot be asked.
    Silent(AdminError),
    /// It shows something older, or the service not at all.
    Behind {
        /// What it shows; 0 when its configuration has no generation.
        generation: Option<u64>,
        /// Its active color.
        active: Option<Color>,
    },
    /// It has the switch staged, and shows an older one until its instant.
    Staged {
        /// What is staged.
        staged: u64,
        /// What it shows.
        generation: Option<u64>,
        /// Its active color.
        active: Option<Color>,
    },
    /// It shows the same generation with the other color.
    Conflict {
        /// Its active color.
        active: Option<Color>,
    },
    /// It refused the configuration, and keeps what it had.
    Refused {
        /// What it shows.
        generation: Option<u64>,
        /// Its active color.
        active: Option<Color>,
    },
    /// Another writer came after: it shows a newer generation.
    Superseded {
        /// What it shows.
        generation: u64,
        /// Its active color.
        active: Option<Color>,
    },
}

impl fmt::Display for Unshown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let admin = &self.proxy;
        match &self.why {
            Why::Silent(error) => write!(f, "{error}"),
            Why::Behind {
                generation: None, ..
            } => {
                write!(f, "{admin} does not show the service at all")
            }
            Why::Behind { generation, active } => {
                write!(f, "{admin} shows {}", Of(*generation, *active))
            }
            Why::Staged {
                staged,
                generation,
                active,
            } => write!(
                f,
                "{admin} has generation {staged} staged, and shows {}",
                Of(*generation, *active)
            ),
            Why::Conflict { active } => {
                write!(
                    f,
                    "{admin} shows the same generation with {}",
                    Name(*active)
                )
            }
            Why::Refused { generation, active } => write!(
                f,
                "{admin} refused the configuration and stays at {}",
                Of(*generation, *active)
            ),
            Why::Superseded { generation, active } => write!(
                f,
                "superseded: {admin} shows the newer {}",
                Of(Some(*generation), *active)
            ),
        }
    }
}

struct Name(Option<Color>);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.map_or("no color", Color::as_str))
    }
}

struct Of(Option<u64>, Option<Color>);

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("nothing"),
            Some(0) => write!(f, "{} per worker, without a generation", Name(self.1)),
            Some(generation) => write!(f, "generation {generation} ({})", Name(self.1)),
        }
    }
}

impl Stats {
    /// How often this Envoy has refused a configuration of the filter.
    pub(crate) fn refusals(&self) -> u64 {
        self.update_rejected + self.config_fail
    }
}

/// What a watch has come to, in the order of the fleet as it is then.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) shown: Vec<Shown>,
    pub(crate) missing: Vec<Unshown>,
    /// Those that left the fleet before they showed it.
    pub(crate) gone: Vec<Proxy>,
}

/// Whom a watch asks, and what it knows of them from before the write.
#[derive(Debug)]
pub(crate) struct Watched {
    /// Changes while they are watched: who leaves is not waited for, who comes has to show it, too.
    pub(crate) fleet: Fleet,
    pub(crate) names: Vec<Names>,
    /// Clients that have a connection already, each with the number of refusals before the write.
    pub(crate) known: Vec<(Admin, Option<u64>)>,
}

impl Watched {
    fn client(&self, proxy: &Proxy) -> (Admin, Option<u64>) {
        let mut known = self.known.iter();
        let known = known.find(|(admin, _)| admin.proxy() == proxy).cloned();
        known.unwrap_or_else(|| (Admin::with_names(proxy.clone(), &self.names), None))
    }
}

/// Watches all proxies at once. Once one of them shows a newer generation there is nothing to wait
/// for at the others.
#[expect(
    clippy::mutable_key_type,
    reason = "what changes in a proxy, why its tunnel failed last, is no part of its order"
)]
pub(crate) async fn all(
    mut watched: Watched,
    goal: &Goal,
    until: Instant,
    interrupt: &Interrupt,
    steps: &Steps,
) -> Outcome {
    let over = Interrupt::default();
    let mut tasks = JoinSet::new();
    let mut running: BTreeMap<Proxy, AbortHandle> = BTreeMap::new();
    let mut outcomes: BTreeMap<Proxy, Result<Shown, Unshown>> = BTreeMap::new();
    let mut gone: Vec<Proxy> = vec![];
    let mut members = watched.fleet.seen();
    let fair = fair_pause(members.len());
    let pauses = (SHORTEST_PAUSE.max(fair / 8), LONGEST_PAUSE.max(fair));
    let tell = |step: Step| {
        steps.as_ref().map(|steps| steps.send(step));
    };
    loop {
        for proxy in &members {
            if running.contains_key(proxy) {
                continue;
            }
            let (admin, refusals) = watched.client(proxy);
            let (goal, interrupt, over) = (goal.clone(), interrupt.clone(), over.clone());
            let task = tasks.spawn(async move {
                let outcome = tokio::select! {
                    biased;
                    outcome = one(&admin, &goal, refusals, until, pauses) => outcome,
                    () = interrupt.raised() => last_look(&admin, &goal, refusals).await,
                    () = over.raised() => last_look(&admin, &goal, refusals).await,
                };
                (admin.proxy().clone(), outcome)
            });
            running.insert(proxy.clone(), task);
        }
        let has_ended = Instant::now() >= until || interrupt.is_raised() || over.is_raised();
        tokio::select! {
            biased;
            now = watched.fleet.next(), if !has_ended => {
                for proxy in now.iter().filter(|proxy| !members.contains(proxy)) {
                    tell(Step::Came(proxy.clone()));
                }
                for proxy in members.iter().filter(|proxy| !now.contains(proxy)) {
                    running.remove(proxy).inspect(AbortHandle::abort);
                    tell(Step::Gone(proxy.clone()));
                    if !matches!(outcomes.remove(proxy), Some(Ok(_))) {
                        gone.push(proxy.clone());
                    }
                }
                members = now;
            }
            done = tasks.join_next() => match done {
                None => break,
                Some(Ok((proxy, outcome))) if members.contains(&proxy) => {
                    match &outcome {
                        Ok(_) => tell(Step::Shown(proxy.clone())),
                        Err(unshown) if matches!(unshown.why, Why::Superseded { .. }) => over.raise(),
                        Err(_) => {}
                    }
                    outcomes.insert(proxy, outcome);
                }
                // It left the fleet.
                Some(_) => {}
            },
        }
    }
    let mut outcome = Outcome::default();
    for proxy in &members {
        match outcomes.remove(proxy) {
            Some(Ok(shown)) => outcome.shown.push(shown),
            Some(Err(unshown)) => outcome.missing.push(unshown),
            None => {}
        }
    }
    // One of the same name has come back: a pod of a StatefulSet.
    gone.retain(|proxy| members.iter().all(|member| member.name() != proxy.name()));
    outcome.gone = gone;
    outcome
}

/// What is true when the watch is told to stop.
async fn last_look(
    admin: &Admin,
    goal: &Goal,
    refusals_before: Option<u64>,
) -> Result<Shown, Unshown> {
    let pauses = (SHORTEST_PAUSE, LONGEST_PAUSE);
    one(admin, goal, refusals_before, Instant::now(), pauses).await
}

async fn one(
    admin: &Admin,
    goal: &Goal,
    refusals_before: Option<u64>,
    until: Instant,
    (mut pause, longest): (Duration, Duration),
) -> Result<Shown, Unshown> {
    let unshown = |why| Unshown {
        proxy: admin.proxy().clone(),
        why,
    };
    let mut refused_since = None;
    loop {
        // A silent Envoy must not hold up the deadline by much.
        let left = until.saturating_duration_since(Instant::now());
        let last_look = match admin.proxy().pod() {
            None => LAST_LOOK,
            Some(_) => LAST_LOOK_AT_PODS,
        };
        let asked = admin.with_patience(admin.patience().min(left.max(last_look)));
        let why = match asked.stats(Some(&goal.service)).await {
            Err(error) => Why::Silent(error),
            Ok(stats) => {
                let at = Instant::now();
                let before = refusals_before.unwrap_or(stats.refusals());
                let refused = stats.refusals() > before;
                match judge(&stats, goal, refused) {
                    None => {
                        return Ok(Shown {
                            proxy: admin.proxy().clone(),
                            at,
                        });
                    }
                    Some(why @ Why::Superseded { .. }) => return Err(unshown(why)),
                    Some(why @ Why::Refused { .. }) => {
                        if at > *refused_since.get_or_insert(at) + GRACE {
                            return Err(unshown(why));
                        }
                        why
                    }
                    Some(why) => why,
                }
            }
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(unshown(why));
        }
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(longest);
    }
}

/// Why the proxy does not show what was written; none when it does.
fn judge(stats: &Stats, goal: &Goal, refused: bool) -> Option<Why> {
    let seen = stats
        .services
        .get(&goal.service)
        .cloned()
        .unwrap_or_default();
    let (generation, active) = (seen.generation, seen.active);
    let is_meant = active.is_some() && goal.active.is_none_or(|meant| active == Some(meant));
    match generation {
        Some(shown) if shown == goal.generation && is_meant => None,
        // The two gauges are set one after the other: this may be over at the next look.
        Some(shown) if shown == goal.generation => Some(Why::Conflict { active }),
        Some(shown) if shown > goal.generation => Some(Why::Superseded {
            generation: shown,
            active,
        }),
        _ if refused => Some(Why::Refused { generation, active }),
        _ => Some(match seen.staged {
            Some(staged) => Why::Staged {
                staged,
                generation,
                active,
            },
            None => Why::Behind { generation, active },
        }),
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
