//! The committed switch of a service, as one value that all workers of a proxy share.
//!
//! Layout, little endian: format 1, color, generation (8 bytes), then the color of the previous
//! switch (0 when there is none) and its generation. Requests read the first ten bytes; all of it is
//! compared when a generation arrives a second time.

use crate::{Color, Generation, Previous, Switch};

const FORMAT: u8 = 1;

/// What requests read of the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// The generation that was committed.
    pub generation: Generation,
    /// Its active color.
    pub active: Color,
}

impl Register {
    /// Reads a register; none when the bytes are not of this format.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[format, color], rest) = bytes.split_first_chunk()?;
        let generation = u64::from_le_bytes(*rest.first_chunk()?);
        if format != FORMAT {
            return None;
        }
        Some(Self {
            generation: Generation::new(generation).ok()?,
            active: Color::from_number(color)?,
        })
    }
}

/// What a pushed switch means for the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// It is newer: these bytes become the register.
    Commit(Vec<u8>),
    /// It is what the register holds.
    Same,
    /// It is older than what the register holds, and changes nothing.
    Stale(Register),
    /// It is another switch of the committed generation, and changes nothing.
    Conflict(Register),
}

/// Merges a pushed switch into what the register holds. The newest generation wins, in whatever
/// order and however often the pushes arrive.
///
/// A register in an unknown format counts as empty: a module that knows no more than this one must
/// still be able to switch.
pub fn merge(stored: Option<&[u8]>, generation: Generation, switch: &Switch) -> Merge {
    let pushed = encode(generation, switch);
    let Some((bytes, committed)) = stored.and_then(|bytes| Some((bytes, Register::decode(bytes)?)))
    else {
        return Merge::Commit(pushed);
    };
    if bytes == pushed {
        return Merge::Same;
    }
    if cfg!(feature = "broken-commits-older") || generation > committed.generation {
        return Merge::Commit(pushed);
    }
    if generation == committed.generation {
        Merge::Conflict(committed)
    } else {
        Merge::Stale(committed)
    }
}

fn encode(generation: Generation, switch: &Switch) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(19);
    bytes.push(FORMAT);
    bytes.push(switch.active.number());
    bytes.extend(generation.get().to_le_bytes());
    let (color, generation) = match switch.previous {
        Some(Previous { generation, active }) => (active.number(), generation.get()),
        None => (0, 0),
    };
    bytes.push(color);
    bytes.extend(generation.to_le_bytes());
    bytes
}
