//! What a flip writes, worked out before anything is written.

use super::{
    Aim, FlipError, Flipped, Written,
    instant::activation,
    outlook::{self, Look},
};
use crate::{
    Document, Entry, State, Target,
    gate::{self, Refusal},
    service_of,
    watch::Shown,
};
use cutover_core::{Color, Generation, Previous, Service, Switch, fleet::Due};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A generation so far ahead of this machine's clock is worth a word, in milliseconds.
const CLOCK_SLACK: u64 = 10_000;

/// What shall be switched to what.
#[derive(Clone, Debug)]
pub(super) struct Intent {
    pub(super) service: String,
    pub(super) before: Switch,
    pub(super) to: Color,
}

/// What is written for it.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) switch: Switch,
    pub(super) document: Document,
    pub(super) warnings: Vec<String>,
}

impl Intent {
    /// Reads it from the file; refuses what the file alone forbids.
    pub(super) fn of(
        document: &Document,
        service: Option<&str>,
        aim: Aim,
        expect: Option<u64>,
        agreed: Option<State>,
    ) -> Result<Self, FlipError> {
        let plan = document.plan()?;
        let service = service_of(&plan, service)?;
        let before = *service.switch();
        let to = aim.color(&before);
        let generation = before.generation.map(Generation::get);
        check_expected(expect, generation, before.active, &document.noun())?;
        let found = State::from(&before);
        if let Some(agreed) = agreed.filter(|agreed| *agreed != found) {
            return Err(FlipError::Raced {
                service: service.name().to_owned(),
                before: agreed,
                found,
            });
        }
        if service.is_closed(to) {
            return Err(FlipError::Closed {
                service: service.name().to_owned(),
                color: to,
            });
        }
        Ok(Self {
            service: service.name().to_owned(),
            before,
            to,
        })
    }

    /// What has to be written; none when file and Envoys have it already.
    pub(super) fn change(
        &self,
        document: &Document,
        expect: Option<u64>,
        wanted: Option<u64>,
        due: Option<Due>,
        looks: &[Look],
    ) -> Result<Option<Change>, FlipError> {
        self.check_proxies(expect, looks)?;
        if self.is_done(looks) {
            return Ok(None);
        }

        let (generation, warnings) = generation_after(self.newest(looks), wanted)?;
        let rules = self.rules(unix_ms());
        let switch = match due {
            Some(due) => self.staged(generation, due),
            None => Switch {
                generation: Some(generation),
                active: self.to,
                previous: match rules {
                    // See `document::plugin::change`.
                    _ if document.plugin().is_some() => None,
                    Some(rules) if rules.active != self.to => Some(rules),
                    None if self.before.active != self.to => None,
                    _ => self.before.previous,
                },
                activation: None,
            },
        };
        let changed: Document = document.with_switch(&self.service, &switch);
        changed.plan()?;
        Ok(Some(Change {
            switch,
            document: changed,
            warnings,
        }))
    }

    /// Refuses where a proxy shows a newer generation than was expected.
    pub(super) fn check_proxies(
        &self,
        expect: Option<u64>,
        looks: &[Look],
    ) -> Result<(), FlipError> {
        for look in looks {
            if let Some((generation, active)) = look.switch(&self.service)
                && expect.is_some_and(|expected| generation > expected)
            {
                let who = match look.admin.proxy() {
                    pod if pod.pod().is_some() => pod.to_string(),
                    envoy => format!("Envoy {envoy}"),
                };
                check_expected(expect, Some(generation), active, &who)?;
            }
        }
        Ok(())
    }

    /// The newest generation that is known. A proxy may be ahead of the file, for example after the file
    /// came back from a backup: what is written must be newer than that too, or it would be ignored as
    /// stale.
    pub(super) fn newest(&self, looks: &[Look]) -> Option<Generation> {
        let seen = looks.iter().filter_map(|look| look.newest(&self.service));
        let seen = seen.filter_map(|number| Generation::new(number).ok());
        seen.max().max(self.before.generation)
    }

    /// The switch that rules at this time, in Unix milliseconds, as far as the file tells: one that waits
    /// for its instant does not yet. None where it has no generation.
    pub(super) fn rules(&self, unix_ms: u64) -> Option<Previous> {
        let generation = self.before.generation?;
        match (self.before.activation, self.before.previous) {
            (Some(due), Some(previous)) if unix_ms < due.at() => Some(previous),
            _ => Some(Previous {
                generation,
                active: self.before.active,
            }),
        }
    }

    /// The switch that is staged for an instant.
    pub(super) fn staged(&self, generation: Generation, due: Due) -> Switch {
        // Where there is no generation yet, what rules is given the oldest one.
        let rules = self.rules(unix_ms()).or_else(|| {
            Some(Previous {
                generation: Generation::after(None, 0).ok()?,
                active: self.before.active,
            })
        });
        Switch {
            generation: Some(generation),
            active: self.to,
            previous: rules,
            activation: activation(due),
        }
    }

    /// True when file and Envoys have it already.
    pub(super) fn is_done(&self, looks: &[Look]) -> bool {
        let done = self.before.generation.map(|one| (one.get(), self.to));
        let shown = |look: &Look| look.switch(&self.service);
        self.before.active == self.to
            && done.is_some()
            && looks.iter().all(|look| shown(look) == done)
    }

    /// What the gates have against it.
    pub(super) fn refusals(
        &self,
        target: &Target,
        journal: &[Entry],
        document: &Document,
        looks: &[Look],
    ) -> Result<Vec<Refusal>, FlipError> {
        let plan = document.plan()?;
        let service: &Service = service_of(&plan, Some(&self.service))?;
        let mut refusals: Vec<_> = gate::under_way(journal, &self.service)
            .into_iter()
            .chain(gate::staged(service, unix_ms()))
            .collect();
        let envoys = looks.iter().filter_map(|look| {
            let facts = look.facts.as_ref().ok()?;
            Some((look.admin.proxy(), facts))
        });
        let envoys: Vec<_> = envoys.collect();
        for (proxy, facts) in &envoys {
            refusals.extend(gate::at_envoy(proxy, document, service, self.to, facts));
        }
        refusals.extend(gate::modules(target, document, &envoys));
        Ok(refusals)
    }

    /// The Envoys at which nobody would answer.
    pub(super) fn nowhere(
        &self,
        document: &Document,
        looks: &[Look],
    ) -> Result<Vec<Refusal>, FlipError> {
        let plan = document.plan()?;
        let service = service_of(&plan, Some(&self.service))?;
        Ok(outlook::nowhere(service, self.to, looks))
    }

    /// Nothing to write: all of it is there.
    pub(super) fn already(&self, looks: &[Look]) -> Flipped {
        let now = Instant::now();
        let shown = looks.iter().map(|look| Shown {
            proxy: look.admin.proxy().clone(),
            at: now,
        });
        Flipped {
            shown: shown.collect(),
            written: self.written(&self.before, now),
            pushed: false,
        }
    }

    pub(super) fn written(&self, switch: &Switch, now: Instant) -> Written {
        Written {
            service: self.service.clone(),
            before: self.before,
            generation: switch.generation.map_or(0, Generation::get),
            active: switch.active,
            invoked: now,
            written: now,
            warnings: vec![],
            gone: vec![],
        }
    }
}

fn check_expected(
    expect: Option<u64>,
    found: Option<u64>,
    active: Color,
    who: &str,
) -> Result<(), FlipError> {
    match expect {
        Some(expected) if found != Some(expected) => Err(FlipError::Ahead {
            expected,
            who: who.to_owned(),
            found,
            active,
        }),
        _ => Ok(()),
    }
}

/// The wanted generation, or the next one, and what is odd about it.
pub(super) fn generation_after(
    newest: Option<Generation>,
    wanted: Option<u64>,
) -> Result<(Generation, Vec<String>), FlipError> {
    match (wanted, newest.map(Generation::get)) {
        (None, _) => next(newest, unix_ms()),
        (Some(wanted), Some(newest)) if newest >= wanted => {
            Err(FlipError::NotNewer { wanted, newest })
        }
        (Some(wanted), _) => Ok((Generation::new(wanted)?, vec![])),
    }
}

/// The generation after `newest`, and a word about a clock that is behind it.
fn next(newest: Option<Generation>, unix_ms: u64) -> Result<(Generation, Vec<String>), FlipError> {
    let next = Generation::after(newest, unix_ms)?;
    let behind = newest.filter(|newest| newest.get() > unix_ms.saturating_add(CLOCK_SLACK));
    let warning = behind.map(|newest| {
        format!(
            "generation {newest} is ahead of this machine's clock: is the clock right? the next one is \
             counted up from it"
        )
    });
    Ok((next, warning.into_iter().collect()))
}

/// Unix time in milliseconds; 0 on a clock before 1970.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_behind_is_told_and_the_generation_still_grows() {
        let newest = Generation::new(1_763_722_800_000).unwrap();
        let (after, warnings) = next(Some(newest), 5).unwrap();
        assert_eq!(after.get(), newest.get() + 1);
        assert_eq!(warnings.len(), 1);
        // Some skew between machines, or two flips in a millisecond, is nothing to tell.
        let (after, warnings) = next(Some(newest), newest.get() - 9_000).unwrap();
        assert_eq!((after.get(), warnings.len()), (newest.get() + 1, 0));
        let (after, warnings) = next(Some(newest), newest.get() + 9).unwrap();
        assert_eq!((after.get(), warnings.len()), (newest.get() + 9, 0));
    }

    fn intent(before: Switch) -> Intent {
        Intent {
            service: "shop".to_owned(),
            before,
            to: Color::Green,
        }
    }

    #[test]
    fn until_its_instant_a_staged_switch_does_not_rule() {
        let previous = Previous {
            generation: Generation::new(1).unwrap(),
            active: Color::Blue,
        };
        let staged = intent(Switch {
            generation: Generation::new(2).ok(),
            active: Color::Green,
            previous: Some(previous),
            activation: activation(Due {
                at_ms: 1_795_294_800_000,
                hold_ms: 20,
            }),
        });
        let after = Previous {
            generation: Generation::new(2).unwrap(),
            active: Color::Green,
        };
        assert_eq!(staged.rules(1_795_294_799_999), Some(previous));
        assert_eq!(staged.rules(1_795_294_800_000), Some(after));
    }

    #[test]
    fn what_has_no_generation_is_staged_over_the_oldest_one() {
        let plain = intent(Switch {
            generation: None,
            active: Color::Blue,
            previous: None,
            activation: None,
        });
        let due = Due {
            at_ms: 1_795_294_800_000,
            hold_ms: 20,
        };
        let staged = plain.staged(Generation::new(9).unwrap(), due);
        let oldest = Previous {
            generation: Generation::new(1).unwrap(),
            active: Color::Blue,
        };
        assert_eq!((plain.rules(0), staged.previous), (None, Some(oldest)));
        assert_eq!(staged.activation.unwrap().at(), due.at_ms);
    }
}
