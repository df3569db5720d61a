//! Writing a history, line by line.

use std::io::{self, Write};

use crate::contents::{Contents, Tally};
use crate::reader::MAX_HEADER;
use crate::{Fault, Header, Operation};

/// How many bytes are gathered before they are handed on.
const CHUNK: usize = 64 * 1024;

/// Writes a history: the header first, then operations in any order.
///
/// It gathers lines itself, so that the output needs no buffer. A history that was not finished by
/// [`Writer::finish`] may end in half a line, and a [`crate::Reader`] says so.
pub struct Writer<W> {
    output: W,
    buffer: Vec<u8>,
    tally: Tally,
    header: Header,
}

impl<W: Write> Writer<W> {
    /// Starts a history with its header.
    ///
    /// # Errors
    /// The output's, or [`io::ErrorKind::InvalidInput`] for a header that no reader would accept.
    pub fn new(output: W, header: Header) -> io::Result<Self> {
        header.validate().map_err(invalid)?;
        if header.cutover_history != crate::FORMAT {
            return Err(invalid(format!(
                "this writes version {} only",
                crate::FORMAT
            )));
        }
        let mut buffer = Vec::with_capacity(2 * CHUNK);
        serde_json::to_writer(&mut buffer, &header)?;
        buffer.push(b'\n');
        if buffer.len() > MAX_HEADER {
            return Err(invalid(Fault::TooLong(MAX_HEADER)));
        }
        let mut tally = Tally::default();
        tally.bytes(&buffer);
        Ok(Self {
            output,
            buffer,
            tally,
            header,
        })
    }

    /// Writes one operation.
    ///
    /// # Errors
    /// The output's, or [`io::ErrorKind::InvalidInput`] for an operation that no reader would accept;
    /// nothing of it is written then.
    pub fn write(&mut self, operation: &Operation) -> io::Result<()> {
        operation.validate(&self.header).map_err(invalid)?;
        let from = self.buffer.len();
        serde_json::to_writer(&mut self.buffer, operation)?;
        self.buffer.push(b'\n');
        self.tally
            .bytes(self.buffer.get(from..).unwrap_or_default());
        self.tally.operation(operation);
        if self.buffer.len() >= CHUNK {
            self.hand_on()?;
        }
        Ok(())
    }

    /// Operations written so far, without the header.
    pub fn operations(&self) -> u64 {
        self.tally.lines - 1
    }

    /// Hands on all that was gathered, flushes, and says what the history holds.
    ///
    /// # Errors
    /// The output's.
    pub fn finish(mut self) -> io::Result<(Contents, W)> {
        self.hand_on()?;
        self.output.flush()?;
        Ok((self.tally.contents(), self.output))
    }

    fn hand_on(&mut self) -> io::Result<()> {
        self.output.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}
