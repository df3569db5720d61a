//! An Envoy of one's own, from the first look at the state folder to the last request.

mod drain;
mod files;
mod notify;
mod ports;
mod proxy;
pub(crate) mod shim;
mod signals;
mod version;
pub(crate) mod words;

pub(crate) use drain::{Drained, End, Traffic, drain};
pub(crate) use files::{Wanted, Written, foresee, write};
pub(crate) use notify::Notify;
pub(crate) use ports::check as check_ports;
pub(crate) use proxy::{Berth, Launch, Output, Proxy};
pub(crate) use signals::{Order, Signals};
pub(crate) use version::of as version_of;
pub(crate) use words::Ready;
