//! What the checker says of small histories.

#[cfg(test)]
mod certificate;
#[cfg(test)]
mod common;
#[cfg(test)]
mod exhaustive;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod format;
#[cfg(test)]
mod rules;
