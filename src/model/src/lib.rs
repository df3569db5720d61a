//! The protocol of a fleet's switch as a model: two to four proxies with clocks that are off, an operator, and a
//! network that delays, loses and repeats what it is given.
//!
//! Register, merge and ruling are those of the filter, and the operator is that of the tool: nothing of them is written a
//! second time here. What the model adds is the world around them, and what must hold in all of its states.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a model that is not as it was meant has to stop"
)]

mod fleet;
mod story;
mod world;

pub use fleet::{ALONE, Fault, Fleet, NAMED, PREPARED, SAFE, TOLD};
pub use story::story;
pub use world::{Message, Move, Proxy, Push, Which, World};
