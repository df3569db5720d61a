//! Operations, kept until the header of their history can be written: who came, and what the
//! generations were, is known at the end.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, Write as _};
use std::path::Path;

use cutover_history::{
    Color, Contents, Decision, Header, Kind, Operation, Outcome, Request, Writer,
};
use tokio::sync::mpsc;

use crate::summary::{Counter, Counts};

/// Keeps batches in a file without a name until nobody records any more.
pub(super) fn keep(file: File, mut batches: mpsc::Receiver<Vec<Operation>>) -> io::Result<File> {
    let mut output = BufWriter::with_capacity(1 << 16, file);
    while let Some(batch) = batches.blocking_recv() {
        for operation in &batch {
            serde_json::to_writer(&mut output, operation)?;
            output.write_all(b"\n")?;
        }
    }
    output.into_inner().map_err(io::IntoInnerError::into_error)
}

/// Writes the history: the header, then all that was kept.
pub(super) fn write(
    mut kept: File,
    history: &Path,
    header: Header,
    flips: &Alternation,
) -> io::Result<(Contents, Vec<(Kind, Counts)>)> {
    kept.rewind()?;
    let mut writer = Writer::new(File::create(history)?, header)?;
    let mut counter = Counter::default();
    let mut input = BufReader::with_capacity(1 << 16, kept);
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let mut operation: Operation = serde_json::from_slice(&line)?;
        if let Operation::Request(request) = &mut operation {
            flips.conclude(request);
        }
        counter.add(&operation);
        writer.write(&operation)?;
        line.clear();
    }
    let (contents, file) = writer.finish()?;
    file.sync_all()?;
    Ok((contents, counter.counts()))
}

/// The flips by which a color is taken for a generation.
///
/// A color names no switch: after blue, green, blue an old answer looks like a new one. It names one
/// where flips alternate, and each began only after every proxy had answered with nothing but the
/// color before for a while. An answer of color c is then taken for the newest flip to c that had been
/// pushed when the answer was in. Of the flips to c, an older one can only have decided it if it is
/// stale by two flips, through all of that while; taking it for the newer one errs in favor of what
/// is judged, never against it.
#[derive(Debug, Default)]
pub(super) struct Alternation(Vec<(u64, u64, Color)>);

impl Alternation {
    /// Adds a flip: when it was pushed, its generation and color. In order of time.
    pub(super) fn add(&mut self, invoked: u64, generation: u64, color: Color) {
        self.0.push((invoked, generation, color));
    }

    /// Fills in the decision of an answer that showed a color alone.
    fn conclude(&self, request: &mut Request) {
        let end = request.end;
        if let Outcome::Answered { served, decision } = &mut request.outcome {
            let newest = self.0.iter().rev();
            let mut newest =
                newest.filter(|(invoked, _, color)| *invoked <= end && color == served);
            if let Some((_, generation, color)) = newest.next() {
                *decision = Some(Decision {
                    generation: *generation,
                    color: *color,
                    overridden: false,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_color_is_taken_for_the_newest_flip_to_it() {
        let mut flips = Alternation::default();
        flips.add(0, 1, Color::Blue);
        flips.add(100, 2, Color::Green);
        flips.add(200, 3, Color::Blue);
        let concluded = |end, served| {
            let mut request = Request {
                client: 0,
                proxy: 0,
                kind: Kind::H1,
                intended: 0,
                start: 0,
                end,
                outcome: Outcome::Answered {
                    served,
                    decision: None,
                },
                contrary: Vec::new(),
            };
            flips.conclude(&mut request);
            match request.outcome {
                Outcome::Answered { decision, .. } => decision.map(|decision| decision.generation),
                _ => None,
            }
        };
        assert_eq!(concluded(50, Color::Blue), Some(1));
        // Old after the push of the new one: stale, once another has seen green.
        assert_eq!(concluded(150, Color::Blue), Some(1));
        assert_eq!(concluded(150, Color::Green), Some(2));
        assert_eq!(concluded(250, Color::Green), Some(2));
        assert_eq!(concluded(250, Color::Blue), Some(3));
        // A color that was never switched to stays without a decision, which is a violation.
        assert_eq!(concluded(50, Color::Green), None);
    }
}
