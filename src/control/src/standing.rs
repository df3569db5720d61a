//! Where a switch that waits for an instant stands, or has waited for one.

use crate::{Chapter, Entry, Fate, InWords, Kind, Proxy, Status};
use cutover_core::{Color, Service, fleet::Due};
use std::fmt;

/// Where a switch with an instant stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The service.
    pub service: String,
    /// The color that becomes active.
    pub active: Color,
    /// When.
    pub due: Due,
    /// The time to the instant, in milliseconds; negative since.
    pub left_ms: i64,
    /// Whether the window around it is over.
    pub is_over: bool,
    /// The Envoys that have staged it, or show it.
    pub on: usize,
    /// All Envoys.
    pub of: usize,
    /// Those that have not, and do not.
    pub not_on: Vec<Proxy>,
    /// Those that were late for it; where nobody has noted that, those that have counted any switch as late.
    pub late: Vec<Proxy>,
    /// What the journal says of whoever staged it; none where it says nothing.
    pub operator: Option<Operator>,
}

/// What the journal says of whoever staged a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// It still sees to it.
    Lives,
    /// It went away without a word.
    Gone,
    /// It has noted what came of it.
    Ended,
}

impl Standing {
    /// Where the switch of a service stands at this time, in Unix milliseconds; none where it has no
    /// instant.
    pub(crate) fn of(
        status: &Status,
        service: &Service,
        journal: &[Entry],
        unix_ms: u64,
    ) -> Option<Self> {
        let switch = service.switch();
        let (generation, due) = (switch.generation?, switch.activation?);
        let due = Due {
            at_ms: due.at(),
            hold_ms: due.hold().into(),
        };
        let mut standing = Self {
            service: service.name().to_owned(),
            active: switch.active,
            due,
            left_ms: i64::try_from(due.at_ms).ok()? - i64::try_from(unix_ms).ok()?,
            is_over: unix_ms.saturating_mul(1_000) >= due.closes(),
            on: 0,
            of: status.proxies.len(),
            not_on: vec![],
            late: vec![],
            operator: None,
        };
        let chapters = Chapter::of(journal, |_| None);
        let chapter = chapters.into_iter().rev().find(|chapter| {
            chapter.begun.service == service.name()
                && chapter.begun.to.generation == Some(generation)
        });
        let fate = chapter.map(|chapter| chapter.fate);
        standing.operator = fate.as_ref().map(|fate| match fate {
            Fate::UnderWay => Operator::Lives,
            Fate::Unknown { .. } => Operator::Gone,
            Fate::Noted(_) => Operator::Ended,
        });
        // Envoys count all that ever came late; whoever saw to this switch has noted who was late for it.
        let noted = fate.and_then(|fate| match fate {
            Fate::Noted(end) if end.kind == Kind::Activated => Some(end.late),
            _ => None,
        });
        for proxy in &status.proxies {
            let shows = proxy.shows(service.name(), switch);
            let seen = shows.map(|shows| shows.seen).unwrap_or_default();
            let wanted = Some(generation.get());
            if seen.staged == wanted || seen.generation >= wanted {
                standing.on += 1;
            } else {
                standing.not_on.push(proxy.proxy.clone());
            }
            let is_late = match &noted {
                Some(late) => late.contains(&proxy.proxy.to_string()),
                None => seen.late > 0,
            };
            if is_late && seen.generation == wanted {
                standing.late.push(proxy.proxy.clone());
            }
        }
        Some(standing)
    }

    /// Whether it is worth a word: it is not over, or not all is well.
    pub fn is_news(&self) -> bool {
        !self.is_over || !self.not_on.is_empty() || !self.late.is_empty()
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service,
            active,
            due,
            on,
            of,
            ..
        } = self;
        let at = InWords(due.at_ms);
        let envoys = if *of == 1 { "Envoy" } else { "Envoys" };
        if self.left_ms > 0 {
            let tenths = self.left_ms.unsigned_abs().div_ceil(100);
            write!(
                f,
                "{service}: {active} is staged on {on} of {of} {envoys}, activates in {}.{} s ({at}, hold {} ms)",
                tenths / 10,
                tenths % 10,
                due.hold_ms
            )?;
        } else {
            write!(
                f,
                "{service}: {active} is active since {at} on {on} of {of} {envoys}"
            )?;
        }
        let named = |proxies: &[Proxy]| {
            let names: Vec<_> = proxies.iter().map(ToString::to_string).collect();
            names.join(", ")
        };
        if !self.not_on.is_empty() {
            write!(f, "; not on {}", named(&self.not_on))?;
        }
        if !self.late.is_empty() {
            write!(f, "; late: {}", named(&self.late))?;
        }
        if self.operator == Some(Operator::Gone) && !self.is_over {
            f.write_str("; the command that staged it is gone")?;
        }
        Ok(())
    }
}
