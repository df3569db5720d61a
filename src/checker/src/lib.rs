//! Judges a history: [`judge`] says whether one order of generations explains all that was seen.
//!
//! The switch of a service is a register that only ever grows: its value is a generation, a push
//! writes it, a request reads it. Colors alternate and order nothing. A push is a write with the
//! interval from when it was invoked to when it was acknowledged (a push that never was may have
//! taken effect at any later time, or never); a request is a read with the interval from its start to
//! its end. Intervals are closed. Over each scope (each proxy for itself, or the fleet as a whole,
//! where a generation is written from its first push to the last of its proxies' acknowledgements)
//! these rules hold or are broken:
//!
//! - [`Rule::Unpushed`], [`Rule::Early`]: a read of g does not end before the first push of g.
//! - [`Rule::Stale`]: if a read of g, or the acknowledgement of g, ended before another read could
//!   begin, then that read returns at least g. A read *could begin* at its start, and not before the
//!   first push of what it returned: a long read of g that began before a read of h > g ended is
//!   convicted all the same when g was pushed only after that.
//! - [`Rule::Recolored`]: what a generation decides is the color that it was first pushed with.
//! - [`Rule::Misrouted`], [`Rule::Redecided`], [`Rule::Undecided`]: what was decided served, once.
//! - [`Rule::Failed`]: no request fails or times out, except while its proxy is being killed.
//!
//! The first two lines are exactly linearizability of a register that grows. Necessary: each names a
//! value that no order can explain. Sufficient: let every generation take effect at the latest of its
//! push and of the instants at which reads of older ones could begin; by the rules that is within all
//! that saw or acknowledged it. An exhaustive search over small histories agrees, by property test.
//!
//! A request that was overridden says nothing of the order, but is served as decided. One that failed
//! or timed out may have been decided, which orders nothing; it is counted, never dropped.
//!
//! When no rule was broken, the verdict is still inconclusive if the traffic could not have seen a
//! window of the size that the header claims: see [`FlipSummary::resolution_ns`].

mod certificate;
mod flips;
mod judge;
mod order;
mod record;
mod span;
mod thin;
mod traffic;
mod verdict;
mod witness;

pub use certificate::{CERTIFICATE, Certificate, HistoryFile, InvalidCertificate, Refused};
pub use flips::{FlipSummary, Latency};
pub use judge::{Judge, judge};
pub use verdict::{Conviction, Counts, Figures, Judgement, Rule, Verdict};
pub use witness::{Evidence, Witness};
