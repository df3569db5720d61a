//! What is on the page, told from its data and its text.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be made has to stop, also in functions beside the tests"
)]

mod counts;
mod page;
mod run;
mod size;
