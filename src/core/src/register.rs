//! The switches of a service that a proxy knows, as one value that all its workers share: the one that
//! is committed, and the one that is staged.
//!
//! Layout, little endian: format 1, then the committed switch: color, generation (8 bytes), color of the
//! previous switch (0 when there is none) and its generation, and, if it was to activate at an instant,
//! that (8 bytes) and the hold (4). Format 2 is for a register with a staged switch: the committed one
//! with instant and hold in any case (0 for none), the staged one in the same form, and the offset of
//! its clock (8). A module from before there were instants reads format 1 whatever follows, and takes
//! format 2 for an empty register.

use crate::clock::{Clock, switch_clock};
use crate::{Activation, Color, Generation, Phase, Previous, Switch};
use std::time::Duration;

const COMMITTED: u8 = 1;
const STAGED: u8 = 2;

/// A switch that has a generation, and so a place in the order of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ordered {
    /// Its place.
    pub generation: Generation,
    /// The color that serves.
    pub active: Color,
    /// The switch before it, as it came with it.
    pub previous: Option<Previous>,
    /// When it activates; at once without.
    pub activation: Option<Activation>,
}

/// A switch that activates later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Staged {
    /// The switch; its own `activation` is the one beside.
    pub switch: Ordered,
    /// When it activates.
    pub activation: Activation,
    /// What makes the proxy's monotonic clock the one that it activates by, in nanoseconds.
    pub offset: i64,
}

/// What a proxy knows of a service's switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Register {
    /// What rules, or has ruled until the staged one began to.
    pub committed: Ordered,
    /// What is going to rule.
    pub staged: Option<Staged>,
}

/// What rules at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// This generation, with this color.
    Switch(Generation, Color),
    /// Nobody can say while this time lasts: requests wait for it.
    Hold(Duration),
}

impl From<Previous> for Ordered {
    fn from(previous: Previous) -> Self {
        Self {
            generation: previous.generation,
            active: previous.active,
            previous: None,
            activation: None,
        }
    }
}

impl Ordered {
    /// The switch as the configuration has it; none without a generation.
    pub fn of(switch: &Switch) -> Option<Self> {
        Some(Self {
            generation: switch.generation?,
            active: switch.active,
            previous: switch.previous,
            activation: switch.activation,
        })
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.active.number());
        bytes.extend(self.generation.get().to_le_bytes());
        let (color, generation) = match self.previous {
            Some(Previous { generation, active }) => (active.number(), generation.get()),
            None => (0, 0),
        };
        bytes.push(color);
        bytes.extend(generation.to_le_bytes());
    }

    fn encode_activation(&self, bytes: &mut Vec<u8>) {
        let (at, hold) = self.activation.map_or((0, 0), |a| (a.at(), a.hold()));
        bytes.extend(at.to_le_bytes());
        bytes.extend(hold.to_le_bytes());
    }

    /// Reads a switch from the start of the bytes. One that is followed by nothing has no activation.
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let [color] = take(bytes)?;
        let active = Color::from_number(color)?;
        let generation = Generation::new(u64::from_le_bytes(take(bytes)?)).ok()?;
        let [color] = take(bytes).unwrap_or_default();
        let before = take(bytes).map_or(0, u64::from_le_bytes);
        let previous = match (Generation::new(before), Color::from_number(color)) {
            (Ok(generation), Some(active)) => Some(Previous { generation, active }),
            _ => None,
        };
        let at = take(bytes).map_or(0, u64::from_le_bytes);
        let hold = take(bytes).map_or(0, u32::from_le_bytes);
        Some(Self {
            generation,
            active,
            previous,
            activation: Activation::new(at, hold),
        })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

impl Register {
    /// Reads a register; none when the bytes are of no format that is known here.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let [format] = take(&mut bytes)?;
        let committed = Ordered::decode(&mut bytes)?;
        let staged = match format {
            COMMITTED => None,
            STAGED => {
                let switch = Ordered::decode(&mut bytes)?;
                Some(Staged {
                    switch,
                    activation: switch.activation?,
                    offset: i64::from_le_bytes(take(&mut bytes)?),
                })
            }
            _ => return None,
        };
        Some(Self { committed, staged })
    }

    /// The register as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(80);
        let Some(staged) = &self.staged else {
            bytes.push(COMMITTED);
            self.committed.encode(&mut bytes);
            if self.committed.activation.is_some() {
                self.committed.encode_activation(&mut bytes);
            }
            return bytes;
        };
        bytes.push(STAGED);
        for switch in [&self.committed, &staged.switch] {
            switch.encode(&mut bytes);
            switch.encode_activation(&mut bytes);
        }
        bytes.extend(staged.offset.to_le_bytes());
        bytes
    }

    /// The newest switch that is known, whether it rules yet or not.
    pub fn newest(&self) -> &Ordered {
        self.staged
            .as_ref()
            .map_or(&self.committed, |staged| &staged.switch)
    }

    /// What rules at this moment. With nothing staged no clock is read, else one of them, once; where
    /// it cannot be read, what is committed rules on.
    pub fn ruling(&self, clock: &(impl Clock + ?Sized)) -> Ruling {
        let ruling = |switch: &Ordered| Ruling::Switch(switch.generation, switch.active);
        let Some(staged) = &self.staged else {
            return ruling(&self.committed);
        };
        let x = switch_clock(clock, staged.offset);
        match x.map_or(Phase::Before, |x| staged.activation.phase(x)) {
            Phase::Before => ruling(&self.committed),
            Phase::Within(remaining) => Ruling::Hold(remaining),
            Phase::After => ruling(&staged.switch),
        }
    }

    /// The register in which the staged switch is committed; none when that does not rule at this moment.
    pub fn commit(&self, clock: &(impl Clock + ?Sized)) -> Option<Self> {
        let staged = self.staged.as_ref()?;
        let x = switch_clock(clock, staged.offset)?;
        (staged.activation.phase(x) == Phase::After).then_some(Self {
            committed: staged.switch,
            staged: None,
        })
    }
}
