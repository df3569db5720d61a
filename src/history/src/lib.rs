//! The record of a run: what was asked, what was answered, what was pushed, and when.
//!
//! A history is a text file of JSON lines: one [`Header`], then one [`Operation`] a line. It knows
//! neither Envoy nor the filter: whoever records it translates into these words, and whoever judges
//! it needs nothing else.

mod operation;
mod wire;

pub use operation::{
    Color, Decision, FORMAT, Header, Kind, Operation, Outcome, Proxy, Push, PushKind, Request,
    Scope, Versions, Weather, WeatherKind,
};
