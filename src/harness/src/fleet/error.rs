//! Why a fleet cannot be asked, or is not where it should be.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::Shows;
use crate::testimony::{BACKEND_COLOR, BACKEND_DECISION, DECISION, name};

/// A load on a fleet that could not be made or finished.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// No proxy was named.
    #[error("no proxy was named, so there is nobody to ask")]
    Nobody,
    /// Two proxies have one name.
    #[error("{0} is named twice")]
    Twice(String),
    /// A proxy does not answer.
    #[error("{proxy} does not answer: {why}")]
    Silent {
        /// The proxy.
        proxy: String,
        /// Why not.
        why: String,
    },
    /// A proxy answers with an error.
    #[error("{proxy} answers with status {status} when it is asked for {host}")]
    Status {
        /// The proxy.
        proxy: String,
        /// The status.
        status: u16,
        /// The host that was asked for.
        host: String,
    },
    /// A proxy's answers do not tell what was decided.
    #[error(
        "{proxy} answers (status {status}), but does not tell what was decided: its answer has \
         neither a response header `{DECISION}` nor `{BACKEND_DECISION}`"
    )]
    Unsaid {
        /// The proxy.
        proxy: String,
        /// The status.
        status: u16,
    },
    /// A proxy's answers do not tell a color.
    #[error("{proxy} answers without a response header `{BACKEND_COLOR}`")]
    Colorless {
        /// The proxy.
        proxy: String,
    },
    /// Colors are to be taken for generations, and proxies show both.
    #[error("the proxies do not show one color to begin with: {0} shows another than {1}")]
    Torn(String, String),
    /// The history cannot be written.
    #[error("cannot write the history {}: {source}", path.display())]
    History {
        /// Where it should go.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Proxies that do not show in their answers what was waited for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Lagging(pub Vec<Shows>);

impl fmt::Display for Lagging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (
            index,
            Shows {
                proxy,
                generation,
                color,
            },
        ) in self.0.iter().enumerate()
        {
            if index > 0 {
                f.write_str(", ")?;
            }
            match (generation, color.map(name)) {
                (Some(generation), Some(color)) => {
                    write!(
                        f,
                        "{proxy} still answers with generation {generation} ({color})"
                    )?;
                }
                (None, Some(color)) => write!(f, "{proxy} still answers with {color}")?,
                (_, None) => write!(f, "{proxy} has not answered yet")?,
            }
        }
        Ok(())
    }
}
