//! `cutover up` with a real Envoy and the real module.

mod drain;
mod health;
mod load;
mod look;
mod refused;
mod restart;
mod stage;
mod story;
mod systemd;
