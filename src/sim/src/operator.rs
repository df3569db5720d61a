//! Whoever flips: looks at the proxies, pushes, looks again.
//!
//! What it does follows from what it sees, and what it sees from what it pushed before. So a run is repeated with what it
//! pushed in the last one until it pushes nothing else: nothing that is pushed changes what was seen before, and each repetition has
//! at least one push more that is right.

use std::collections::BTreeMap;

use cutover_core::Generation;
use cutover_core::fleet::{
    Action, Clocks, Due, Edges, Hold, OnLag, Outcome, Protocol, Terms, View,
};
use cutover_history::Color;

use crate::answer::Shown;
use crate::configuration::{Switch, unix_ms, unix_us};
use crate::plan::Push;

/// How the flip is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Pushed, and in force wherever it has arrived.
    Plain,
    /// Pushed beforehand, and in force from one instant.
    Scheduled,
    /// The same, with requests held around that instant.
    Held,
}

/// What an operator may do wrong. None of it is in the tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// Nothing.
    #[default]
    AsBuilt,
    /// It takes it for granted that every proxy has staged the switch.
    StageNotAwaited,
    /// It cancels when the instant has passed.
    CancelAfterT,
}

/// What an operator was told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flip {
    /// How.
    pub way: Way,
    /// When it pushes, ns of the run.
    pub at: u64,
    /// When the switch activates, ns of the run: a whole number of ms.
    pub due: u64,
    /// For how long requests are held before and after, ms.
    pub hold_ms: u64,
    /// How long before that it must be staged everywhere, ms.
    pub margin_ms: u64,
    /// Whether it measures clocks, and goes on only if none is off by more than the hold.
    pub checks_clocks: bool,
    /// Whether it goes on without the proxies that lag behind.
    pub proceeds: bool,
    /// What it does wrong.
    pub variant: Variant,
}

/// What an operator did, and what it said in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deeds {
    /// What it pushed after the install: generation, color, when.
    pub pushes: Vec<(Switch, u64)>,
    /// What it said, as sentences.
    pub said: Vec<String>,
    /// Whether it said that the flip is done.
    pub done: bool,
}

/// The configuration that all proxies start with.
pub const INSTALL: Switch = Switch {
    generation: 1,
    active: Color::Blue,
    due: None,
    previous: None,
};

impl Flip {
    /// The switch that is pushed, under a generation and with a hold.
    fn switch(generation: u64, due: Option<(u64, u64)>) -> Switch {
        Switch {
            generation,
            active: Color::Green,
            due,
            previous: Some((INSTALL.generation, INSTALL.active)),
        }
    }

    /// The first push: what is done before anything was seen.
    pub fn first(&self) -> (Switch, u64) {
        let due = (unix_ms(self.due), self.hold_ms);
        let due = (self.way != Way::Plain).then_some(due);
        (Self::switch(2, due), self.at)
    }

    /// What the operator does if this is what it sees, by look and then by proxy.
    pub fn deeds(
        &self,
        looks: &[u64],
        seen: &dyn Fn(usize, usize) -> Option<Shown>,
        proxies: usize,
    ) -> Deeds {
        let mut deeds = Deeds::default();
        let (first, at) = self.first();
        deeds.pushes.push((first, at));
        if self.way == Way::Plain {
            let shown = |look: usize| {
                (0..proxies).all(|p| seen(look, p).is_some_and(|s| s.generation >= 2))
            };
            deeds.done = (0..looks.len()).any(shown);
            return deeds;
        }
        self.schedule(looks, seen, proxies, &mut deeds);
        deeds
    }

    fn schedule(
        &self,
        looks: &[u64],
        seen: &dyn Fn(usize, usize) -> Option<Shown>,
        proxies: usize,
        deeds: &mut Deeds,
    ) {
        let terms = Terms {
            due: Due {
                at_ms: unix_ms(self.due),
                hold_ms: self.hold_ms,
            },
            hold: Hold::Given,
            margin: self.margin_ms.saturating_mul(1_000),
            patience: 1_000_000,
            on_lag: if self.proceeds {
                OnLag::Proceed
            } else {
                OnLag::Cancel
            },
            clocks: if self.checks_clocks {
                Clocks::Checked
            } else {
                Clocks::PassedOver
            },
        };
        let Ok(generation) = Generation::new(2) else {
            return;
        };
        let mut protocol = Protocol::<usize>::new(terms, generation);
        // The first step stages, which has been done above.
        let mut views: BTreeMap<usize, Option<View>> = (0..proxies).map(|p| (p, None)).collect();
        let _staged = protocol.step(unix_us(self.at), &views);
        let mut edges = vec![Edges::default(); proxies];
        for (look, at) in looks.iter().enumerate().filter(|(_, at)| **at > self.at) {
            for (proxy, view) in &mut views {
                let shown = seen(look, *proxy);
                *view = shown
                    .zip(edges.get_mut(*proxy))
                    .map(|(shown, edges)| self.view(shown, *at, edges));
            }
            let now = unix_us(*at);
            while let Ok(action) = protocol.step(now, &views) {
                match action {
                    Action::Stage { .. } => {}
                    Action::Cancel { generation } => {
                        let late = self.variant == Variant::CancelAfterT;
                        let pushed = if late {
                            self.due.saturating_add(5_000_000).max(*at)
                        } else {
                            *at
                        };
                        let switch = Switch {
                            active: INSTALL.active,
                            due: None,
                            ..Self::switch(generation.get(), None)
                        };
                        deeds.pushes.push((switch, pushed));
                        deeds
                            .said
                            .push(format!("cancels under generation {generation}"));
                    }
                    Action::Wait { .. } => break,
                    Action::Done(outcome) => {
                        deeds.done =
                            matches!(&outcome, Outcome::Activated { late, .. } if late.is_empty());
                        deeds.said.push(in_words(&outcome));
                        return;
                    }
                }
            }
        }
    }

    /// What the protocol is shown of a proxy.
    fn view(&self, shown: Shown, at: u64, edges: &mut Edges) -> View {
        let mut staged = (shown.staged > 0).then_some(shown.staged);
        if self.variant == Variant::StageNotAwaited && shown.generation < 2 {
            staged = Some(2);
        }
        if shown.clock > 0 {
            let now = unix_us(at);
            edges.see(now.saturating_sub(RTT_US), now, shown.clock);
        }
        View {
            generation: Generation::new(shown.generation).ok(),
            staged: staged.and_then(|staged| Generation::new(staged).ok()),
            clock: edges.clock(),
            late: shown.late > 0,
        }
    }
}

/// How long a look takes, µs.
const RTT_US: u64 = 1_000;

fn in_words(outcome: &Outcome<usize>) -> String {
    match outcome {
        Outcome::Activated { late, .. } if late.is_empty() => "every proxy shows it".to_owned(),
        Outcome::Activated { late, .. } => {
            format!("every proxy shows it, {} of them late", late.len())
        }
        Outcome::Missing { missing, .. } => format!("{} proxies do not show it", missing.len()),
        Outcome::Cancelled {
            why,
            in_doubt,
            unheard,
            ..
        } => format!(
            "cancelled for {} proxies, {} in doubt, {} have not heard of it",
            why.len(),
            in_doubt.len(),
            unheard.len()
        ),
        Outcome::Superseded { generation, .. } => {
            format!("somebody else pushed generation {generation}")
        }
    }
}

/// The pushes as proxies get them: the install first.
pub(crate) fn pushes(deeds: &[(Switch, u64)]) -> Vec<Push> {
    let install = Push {
        at: 0,
        configuration: INSTALL.configuration(),
    };
    let rest = deeds.iter().map(|(switch, at)| Push {
        at: *at,
        configuration: switch.configuration(),
    });
    std::iter::once(install).chain(rest).collect()
}
