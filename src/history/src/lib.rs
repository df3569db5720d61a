#![doc = include_str!("../../../docs/history.md")]

mod contents;
mod operation;
mod reader;
mod validate;
mod wire;
mod writer;

pub use contents::Contents;
pub use operation::{
    Color, Decision, FORMAT, Header, Inferred, Kind, Operation, Outcome, Proxy, Push, PushKind,
    Request, Scope, Versions, Weather, WeatherKind,
};
pub use reader::{Fault, InvalidHistory, Reader};
pub use validate::{Impossible, MAX_GENERATION, MAX_PROXIES};
pub use writer::Writer;
