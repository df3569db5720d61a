//! What an operator is told to do, and what it comes to.

use super::{Due, Lag};
use crate::Generation;
use std::collections::{BTreeMap, BTreeSet};

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action<K: Ord> {
    /// Push the new color under this generation, to activate then. It comes again, with a newer
    /// generation, when the clocks ask for a longer hold.
    Stage {
        /// Its generation.
        generation: Generation,
        /// When it activates.
        due: Due,
    },
    /// Push the old color under this generation, without an instant.
    Cancel {
        /// Its generation.
        generation: Generation,
    },
    /// Look at the proxies again, at this time at the latest.
    Wait {
        /// Unix microseconds.
        until: u64,
    },
    /// Nothing more is to be done.
    Done(Outcome<K>),
}

/// What a switch at one instant has come to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome<K: Ord> {
    /// Every proxy shows it.
    Activated {
        /// Its generation.
        generation: Generation,
        /// Those that had not staged it in time, or say that they were late.
        late: BTreeSet<K>,
        /// Those of the others that nobody saw staged before the window opened: whether they were in
        /// time is not known. There are such only where the operator did not look in time, or a proxy did
        /// not answer.
        unseen: BTreeSet<K>,
    },
    /// It has activated, and not every proxy shows it.
    Missing {
        /// Its generation.
        generation: Generation,
        /// As above.
        late: BTreeSet<K>,
        /// As above.
        unseen: BTreeSet<K>,
        /// Those that do not show it.
        missing: BTreeSet<K>,
    },
    /// It was taken back.
    Cancelled {
        /// The generation that keeps the old color.
        generation: Generation,
        /// The proxies for whose sake; none when somebody asked for it.
        why: BTreeMap<K, Lag>,
        /// Those that did not show the cancel when the window opened: they may have switched, until
        /// they heard of it.
        in_doubt: BTreeSet<K>,
        /// Those that do not show it at the end.
        unheard: BTreeSet<K>,
    },
    /// Somebody else pushed a newer switch.
    Superseded {
        /// Its generation.
        generation: Generation,
        /// A proxy that shows it.
        by: K,
    },
}
