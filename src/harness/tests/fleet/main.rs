//! Loads on proxies that somebody else runs, here played by servers whose register the test holds.

#[cfg(test)]
mod members;
#[cfg(test)]
mod played;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod support;
#[cfg(test)]
mod verdicts;
