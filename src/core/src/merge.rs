//! What a pushed switch does to the register.

use crate::clock::{Clock, Reading};
use crate::register::{Ordered, Staged};
use crate::{Phase, Register};

/// What a pushed switch means for the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// It is newer, and this becomes the register: the switch rules in it, or is staged.
    Write {
        /// The new register.
        register: Register,
        /// The switch came when others might have begun to obey it: after its instant, or in the window
        /// before it. A proxy that knew nothing yet is never late.
        late: bool,
    },
    /// It is what the register holds as its newest.
    Same(Register),
    /// It is older than what the register holds, and changes nothing.
    Stale(Register),
    /// It is another switch of the newest generation, and changes nothing.
    Conflict(Register),
}

/// Merges a pushed switch into what a proxy knows. The newest generation wins, in whatever order and
/// however often the pushes arrive.
///
/// - A staged switch that has come to rule meanwhile is committed first; one that has not is dropped,
///   which is how a switch is canceled.
/// - Then the switch before the pushed one is made good, if the proxy has missed that, or knows nothing.
/// - The pushed one rules at once, if it has no instant, or if its window is over on this proxy's wall
///   clock. Else it is staged, with the clock as it is at this moment. Clocks are read for such only.
/// - Where no clock can be read, or nobody can say what rules until then, it rules at once.
pub fn merge(known: Option<&Register>, pushed: &Ordered, clock: &impl Clock) -> Merge {
    if let Some(&register) = known {
        let newest = register.newest();
        if pushed == newest {
            return Merge::Same(register);
        }
        if !cfg!(feature = "broken-commits-older") {
            if pushed.generation == newest.generation {
                return Merge::Conflict(register);
            }
            if pushed.generation < newest.generation {
                return Merge::Stale(register);
            }
        }
    }
    let rules = |late| Merge::Write {
        register: Register {
            committed: *pushed,
            staged: None,
        },
        late,
    };
    let Some(activation) = pushed.activation else {
        return rules(false);
    };
    let settled = known.map(|known| known.commit(clock).unwrap_or(*known).committed);
    let previous = pushed.previous.map(Ordered::from);
    let missed = previous.filter(|previous| {
        settled.is_none_or(|committed| previous.generation > committed.generation)
    });
    let late = known.is_some();
    let (Some(now), Some(committed)) = (Reading::take(clock), missed.or(settled)) else {
        return rules(late);
    };
    match activation.phase(now.wall) {
        Phase::After => rules(late),
        phase => Merge::Write {
            register: Register {
                committed,
                staged: Some(Staged {
                    switch: *pushed,
                    activation,
                    offset: now.offset(),
                }),
            },
            late: late && matches!(phase, Phase::Within(_)),
        },
    }
}
