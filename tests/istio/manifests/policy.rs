//! The policy of `istio/policy`, tried: each of its rules in both kinds, with what is let through beside it.

mod flips;
mod generations;
mod reach;
mod stage;
