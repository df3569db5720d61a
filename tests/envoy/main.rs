//! The filter inside a real Envoy: each test's name is a fact.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot set its stage has to stop, also in functions beside the tests"
)]

mod bytes;
mod client;
mod clients;
mod configuration;
mod done;
mod generations;
mod hold;
mod hold_clock;
mod hold_end;
mod hold_streams;
mod hosts;
mod module;
mod overrides;
mod shown;
mod simulated;
mod stage;
mod staged;
mod streams;
mod timers;
