//! What a history file holds, counted and digested.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Operation;

/// How much a history holds, and the digest of its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// SHA-256 of all bytes of the file, in lower-case hexadecimal.
    pub sha256: String,
    /// Lines, the header's among them.
    pub lines: u64,
    /// Lines that are requests.
    pub requests: u64,
    /// Lines that are pushes.
    pub pushes: u64,
    /// Lines that are weather.
    pub weather: u64,
}

/// Counts and digests lines as they pass.
#[derive(Default)]
pub(crate) struct Tally {
    sha256: Sha256,
    pub(crate) lines: u64,
    requests: u64,
    pushes: u64,
    weather: u64,
}

impl Tally {
    /// Takes in one line with its line feed.
    pub(crate) fn bytes(&mut self, line: &[u8]) {
        self.sha256.update(line);
        self.lines += 1;
    }

    pub(crate) fn operation(&mut self, operation: &Operation) {
        match operation {
            Operation::Request(_) => self.requests += 1,
            Operation::Push(_) => self.pushes += 1,
            Operation::Weather(_) => self.weather += 1,
        }
    }

    pub(crate) fn contents(&self) -> Contents {
        let mut sha256 = String::with_capacity(64);
        for byte in self.sha256.clone().finalize() {
            // Writing to a string can't fail.
            let _ = write!(sha256, "{byte:02x}");
        }
        Contents {
            sha256,
            lines: self.lines,
            requests: self.requests,
            pushes: self.pushes,
            weather: self.weather,
        }
    }
}
