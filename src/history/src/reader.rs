//! Reading a history, line by line.

use std::io::{self, BufRead, Read};

use serde::Deserialize;

use crate::contents::{Contents, Tally};
use crate::{FORMAT, Header, Impossible, Operation};

/// The longest line that is read, in bytes; no real one comes near.
const MAX_LINE: usize = 1 << 20;

/// The longest header, in bytes: it names each proxy, in some fifty bytes.
pub(crate) const MAX_HEADER: usize = 1 << 27;

/// Says in which line a history is wrong, and how.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the history {fault}")]
pub struct InvalidHistory {
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The first line is not a header.
    #[error("is not a header: it has no number `cutover_history`")]
    NoHeader,
    /// A version of the format that this reader does not know.
    #[error("says format version {0}, and only version {FORMAT} is known here")]
    UnknownVersion(u64),
    /// Not JSON, or not what the format allows.
    #[error("is not what the format allows{}: {reason}", at(*column))]
    Malformed {
        /// Where it stops making sense, in bytes from 1; 0 when it is wrong as a whole.
        column: usize,
        /// Why.
        reason: String,
    },
    /// Well-formed, but no run can have recorded it.
    #[error("is impossible: {0}")]
    Impossible(#[from] Impossible),
    /// The file ends in the middle of a line.
    #[error("is torn: the file ends without a line feed")]
    Torn,
    /// A line too long to be one.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

fn at(column: usize) -> String {
    if column == 0 {
        String::new()
    } else {
        format!(", at column {column}")
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        let reason = error.to_string();
        // serde_json counts lines within what it was given, which is always one.
        let reason = reason
            .split(" at line 1 column")
            .next()
            .unwrap_or(&reason)
            .to_owned();
        Self::Malformed {
            column: error.column(),
            reason,
        }
    }
}

/// Reads a history: its header at once, its operations as an iterator.
///
/// After the last operation, and only if every line was good, [`Reader::contents`] tells the digest.
/// After an error the iterator ends.
pub struct Reader<R> {
    input: R,
    line: Vec<u8>,
    tally: Tally,
    header: Header,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Complete,
    Failed,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// A first line that is missing, torn, of an unknown version, or not a header.
    pub fn new(mut input: R) -> Result<Self, InvalidHistory> {
        let mut line = Vec::with_capacity(1024);
        let mut tally = Tally::default();
        let header = read_line(&mut input, &mut line, MAX_HEADER)
            .and_then(|more| {
                if more {
                    parse_header(&line)
                } else {
                    Err(Fault::NoHeader)
                }
            })
            .map_err(|fault| InvalidHistory { line: 1, fault })?;
        tally.bytes(&line);
        Ok(Self {
            input,
            line,
            tally,
            header,
            state: State::Reading,
        })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the history held; none before the iterator has ended, or when it ended in an error.
    pub fn contents(&self) -> Option<Contents> {
        (self.state == State::Complete).then(|| self.tally.contents())
    }

    fn read(&mut self) -> Result<Option<Operation>, Fault> {
        if !read_line(&mut self.input, &mut self.line, MAX_LINE)? {
            return Ok(None);
        }
        let operation: Operation = serde_json::from_slice(self.line.trim_ascii_end())?;
        operation.validate(&self.header)?;
        self.tally.bytes(&self.line);
        self.tally.operation(&operation);
        Ok(Some(operation))
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Operation, InvalidHistory>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state != State::Reading {
            return None;
        }
        match self.read() {
            Ok(Some(operation)) => Some(Ok(operation)),
            Ok(None) => {
                self.state = State::Complete;
                None
            }
            Err(fault) => {
                self.state = State::Failed;
                Some(Err(InvalidHistory {
                    line: self.tally.lines + 1,
                    fault,
                }))
            }
        }
    }
}

/// Reads one line with its line feed; false at the end of the file.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>, most: usize) -> Result<bool, Fault> {
    line.clear();
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    input.by_ref().take(limit).read_until(b'\n', line)?;
    match line.last() {
        None => Ok(false),
        Some(b'\n') => Ok(true),
        Some(_) if line.len() >= most => Err(Fault::TooLong(most)),
        Some(_) => Err(Fault::Torn),
    }
}

fn parse_header(line: &[u8]) -> Result<Header, Fault> {
    /// Only the version, so that a later format is refused as what it is.
    #[derive(Deserialize)]
    struct Version {
        cutover_history: u64,
    }
    let version: Version = serde_json::from_slice(line).map_err(|_| Fault::NoHeader)?;
    if version.cutover_history != u64::from(FORMAT) {
        return Err(Fault::UnknownVersion(version.cutover_history));
    }
    let header: Header = serde_json::from_slice(line)?;
    header.validate()?;
    Ok(header)
}
