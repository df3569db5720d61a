//! Draws a judged history as one HTML page that asks nobody for anything.
//!
//! The history is read twice. First it is judged, by the checker and by nobody else: what is stale here is what the
//! checker convicted. Then it is drawn: every request is counted into a column of time, and what the page
//! shows one by one (those convicted, those that failed, a sample around each flip) is kept up to a stated
//! number. What is kept depends on columns, proxies and flips, each of them bounded, and not on how many requests there
//! were: so does the size of the page.

mod columns;
mod convictions;
mod histogram;
mod laid;
mod marks;
mod page;
mod picture;
mod rows;
mod sample;
mod scene;
mod tables;
mod windows;
mod words;

use std::io::BufRead;

use cutover_checker::{Certificate, HistoryFile, Judge};
use cutover_history::{InvalidHistory, Operation, PushKind, Reader};

use crate::convictions::Convictions;

/// A history that was judged and can be drawn.
pub struct Judged {
    /// The verdict and all that it rests on.
    pub certificate: Certificate,
    convictions: Convictions,
    span: Span,
}

/// First and last instant that has to be on a picture, ns.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: u64,
    until: u64,
}

impl Span {
    const NOTHING: Self = Self {
        from: u64::MAX,
        until: 0,
    };

    fn see(&mut self, operation: &Operation) {
        let at = match operation {
            Operation::Request(request) => request.start,
            Operation::Push(push) if push.kind == PushKind::Flip => push.invoked,
            Operation::Push(_) | Operation::Weather(_) => return,
        };
        self.from = self.from.min(at);
        self.until = self.until.max(at);
    }
}

/// Says why a judged history cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum Undrawable {
    /// It cannot be read a second time.
    #[error(transparent)]
    History(#[from] InvalidHistory),
    /// It is not the one that was judged.
    #[error("the history changed while it was read: its SHA-256 was {judged} and is now {drawn}")]
    Changed {
        /// Digest of what was judged.
        judged: String,
        /// Digest of what was to be drawn.
        drawn: String,
    },
}

impl Judged {
    /// Reads and judges a history.
    ///
    /// # Errors
    /// A history that cannot be read to its end.
    pub fn of<R: BufRead>(file: &str, mut reader: Reader<R>) -> Result<Self, InvalidHistory> {
        let header = reader.header().clone();
        let mut judge = Judge::new(header.clone());
        let mut span = Span::NOTHING;
        for operation in reader.by_ref() {
            let operation = operation?;
            span.see(&operation);
            judge.add(operation)?;
        }
        let mut convictions = Convictions::default();
        let judgement = judge.finish_telling(&mut |conviction| convictions.add(conviction));
        convictions.sort();
        let history = HistoryFile {
            file: file.to_owned(),
            // A reader that ended without an error knows its contents.
            contents: reader.contents().unwrap_or_default(),
        };
        Ok(Self {
            certificate: Certificate::new(header, judgement, history),
            convictions,
            span,
        })
    }

    /// Reads the history again and draws it: one HTML page.
    ///
    /// # Errors
    /// A history that cannot be read, or that is another one by now.
    pub fn draw<R: BufRead>(&self, mut reader: Reader<R>) -> Result<String, Undrawable> {
        let mut scene = scene::Scene::new(&self.certificate, self.span);
        let mut convictions = self.convictions.in_order();
        for (line, operation) in (2..).zip(reader.by_ref()) {
            scene.add(line, convictions.of(line), &operation?);
        }
        let drawn = reader.contents().unwrap_or_default().sha256;
        let judged = &self.certificate.history.contents.sha256;
        if drawn != *judged {
            return Err(Undrawable::Changed {
                judged: judged.clone(),
                drawn,
            });
        }
        Ok(page::page(&self.certificate, &scene.finish()))
    }
}
