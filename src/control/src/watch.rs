//! Watching proxies until they show what was written.

use crate::{Admin, AdminError, Interrupt, Stats};
use cutover_core::Color;
use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc::UnboundedSender, task::JoinSet, time::sleep};

/// The pause before an Envoy is asked again: short at first, for most show a flip in milliseconds.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// How long a refusal may be that of an earlier push which Envoy has only just come to.
const GRACE: Duration = Duration::from_millis(500);

/// How long an Envoy may take for its last answer, after the deadline or when the watch is told to
/// stop.
const LAST_LOOK: Duration = Duration::from_millis(250);

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
    },
    /// An Envoy shows it.
    Shown(SocketAddr),
}

/// Where steps go; nobody has to listen.
pub type Steps = Option<UnboundedSender<Step>>;

/// An Envoy that shows what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its admin address.
    pub admin: SocketAddr,
    /// When its answer was in.
    pub at: Instant,
}

/// An Envoy that does not show what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unshown {
    /// Its admin address.
    pub admin: SocketAddr,
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
        let admin = self.admin;
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

/// Watches all proxies at once, each with the number of its refusals before the write. Once one of
/// them shows a newer generation there is nothing to wait for at the others.
pub(crate) async fn all(
    proxies: impl Iterator<Item = (Admin, Option<u64>)>,
    goal: &Goal,
    until: Instant,
    interrupt: &Interrupt,
    steps: &Steps,
) -> Vec<Result<Shown, Unshown>> {
    let mut watched = JoinSet::new();
    let over = Interrupt::default();
    for (index, (admin, refusals)) in proxies.enumerate() {
        let (goal, interrupt, over) = (goal.clone(), interrupt.clone(), over.clone());
        let steps = steps.clone();
        watched.spawn(async move {
            let outcome = tokio::select! {
                biased;
                outcome = one(&admin, &goal, refusals, until) => outcome,
                () = interrupt.raised() => last_look(&admin, &goal, refusals).await,
                () = over.raised() => last_look(&admin, &goal, refusals).await,
            };
            match &outcome {
                Ok(shown) => {
                    steps.map(|steps| steps.send(Step::Shown(shown.admin)));
                }
                Err(unshown) if matches!(unshown.why, Why::Superseded { .. }) => over.raise(),
                Err(_) => {}
            }
            (index, outcome)
        });
    }
    let mut outcomes = watched.join_all().await;
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// What is true when the watch is told to stop.
async fn last_look(
    admin: &Admin,
    goal: &Goal,
    refusals_before: Option<u64>,
) -> Result<Shown, Unshown> {
    one(admin, goal, refusals_before, Instant::now()).await
}

async fn one(
    admin: &Admin,
    goal: &Goal,
    refusals_before: Option<u64>,
    until: Instant,
) -> Result<Shown, Unshown> {
    let unshown = |why| Unshown {
        admin: admin.address(),
        why,
    };
    let mut pause = SHORTEST_PAUSE;
    let mut refused_since = None;
    loop {
        // A silent Envoy must not hold up the deadline by much.
        let left = until.saturating_duration_since(Instant::now());
        let asked = admin.with_patience(admin.patience().min(left.max(LAST_LOOK)));
        let why = match asked.stats(Some(&goal.service)).await {
            Err(error) => Why::Silent(error),
            Ok(stats) => {
                let at = Instant::now();
                let before = refusals_before.unwrap_or(stats.refusals());
                let refused = stats.refusals() > before;
                match judge(&stats, goal, refused) {
                    None => {
                        return Ok(Shown {
                            admin: admin.address(),
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
        pause = (pause * 2).min(LONGEST_PAUSE);
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
        _ => Some(Why::Behind { generation, active }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seen;

    /// What becomes of a proxy that shows this, when generation 20 (green) was written.
    fn judged(generation: u64, active: Color, refused: bool) -> Option<Why> {
        let goal = Goal {
            service: "shop".to_owned(),
            generation: 20,
            active: Some(Color::Green),
        };
        let seen = Seen {
            generation: Some(generation),
            active: Some(active),
            ..Seen::default()
        };
        let stats = Stats {
            services: [("shop".to_owned(), seen)].into(),
            ..Stats::default()
        };
        judge(&stats, &goal, refused)
    }

    #[test]
    fn only_generation_and_color_together_show_what_was_written() {
        let (blue, green) = (Some(Color::Blue), Some(Color::Green));
        assert_eq!(judged(20, Color::Green, false), None);
        assert_eq!(judged(20, Color::Green, true), None);
        let conflict = Why::Conflict { active: blue };
        assert_eq!(judged(20, Color::Blue, false), Some(conflict));
        let behind = Why::Behind {
            generation: Some(19),
            active: green,
        };
        assert_eq!(judged(19, Color::Green, false), Some(behind));
        let refused = Why::Refused {
            generation: Some(19),
            active: green,
        };
        assert_eq!(judged(19, Color::Green, true), Some(refused));
        let superseded = Why::Superseded {
            generation: 21,
            active: green,
        };
        assert_eq!(judged(21, Color::Green, false), Some(superseded));
    }
}
