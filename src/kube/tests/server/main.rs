//! An API server of the test's own: for answers that a healthy one does not give at will, and to see what is asked.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be made has to stop"
)]

mod answers;
mod play;
mod reach;
