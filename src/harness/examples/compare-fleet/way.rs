//! The ways to flip that are compared.

use std::time::Duration;

/// How a fleet is flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Each proxy switches when the push reaches it.
    Plain,
    /// Each switches at one time by its own clock, and holds nothing.
    At,
    /// The same, and requests that come too close to that time are held.
    Held,
}

/// The half-width of the window in which requests are held.
pub(crate) const HOLD: Duration = Duration::from_millis(20);

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::At, Self::Held];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::At => "at",
            Self::Held => "held",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }

    /// The command, without the color.
    pub(crate) fn command(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &["--now"],
            // No clock is that good, and the tool would refuse it.
            Self::At => &["--at", "+6s", "--hold", "0ms", "--force"],
            Self::Held => &["--at", "+6s", "--hold", "20ms"],
        }
    }

    /// What the tables call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Plain => "plain push, `cutover flip --now`",
            Self::At => "at one time, `--at +6s --hold 0ms --force`",
            Self::Held => "held, `--at +6s --hold 20ms`",
        }
    }
}
