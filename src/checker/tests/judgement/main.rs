//! What the checker says of small histories.

mod certificate;
mod common;
mod exhaustive;
mod figures;
mod format;
mod rules;
