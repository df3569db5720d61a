//! What a picture shows of a run: the requests around its first flip.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use cutover_history::{Color, Operation, Outcome, Reader};
use serde_json::Value;

use crate::way::Way;

const SECOND: i64 = 1_000_000_000;
/// How much time is drawn.
pub(super) const LENGTH: i64 = 26 * SECOND / 10;
/// How much of it lies before the push of a plain flip.
const LEAD: i64 = 3 * SECOND / 10;

/// The requests around a flip. Times are nanoseconds from an instant: the push of a plain flip, the time at which a
/// scheduled one was to rule.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) proxies: u32,
    /// When the picture begins.
    pub(super) from: i64,
    /// By proxy and start.
    pub(super) marks: Vec<Mark>,
    /// From the first new answer to the last request that was still decided old.
    pub(super) mixed: (i64, i64),
    pub(super) stale: u64,
    pub(super) failed: u64,
}

/// A request that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) proxy: u32,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) color: Color,
}

impl Scene {
    /// Reads a result and its history.
    pub(super) fn read(results: &Path, way: Way) -> Result<Self, Box<dyn Error>> {
        let name = format!("local-{}", way.name());
        let result = std::fs::read(results.join(format!("{name}.json")))?;
        let result: Value = serde_json::from_slice(&result)?;
        let history = File::open(results.join(format!("{name}.history.jsonl")))?;
        Self::of(&result, Reader::new(BufReader::new(history))?, way)
    }

    fn of(
        result: &Value,
        reader: Reader<BufReader<File>>,
        way: Way,
    ) -> Result<Self, Box<dyn Error>> {
        let number = |pointer: &str| -> Result<i64, Box<dyn Error>> {
            let value = result.pointer(pointer).and_then(Value::as_i64);
            value.ok_or_else(|| format!("there is no {pointer} in the result").into())
        };
        let invoked = number("/flips/0/invoked")?;
        let zero = if way == Way::Plain {
            invoked
        } else {
            let began: jiff::Timestamp = reader.header().started_at.parse()?;
            let at = i128::from(number("/at_ms/0")?) * 1_000_000;
            i64::try_from(at - began.as_nanosecond())?
        };
        let from = if way == Way::Plain {
            -LEAD
        } else {
            -LENGTH / 2
        };
        let proxies = u32::try_from(reader.header().proxies.len())?;
        let mut marks = Vec::new();
        for operation in reader {
            let Operation::Request(request) = operation? else {
                continue;
            };
            let Outcome::Answered { served, .. } = request.outcome else {
                continue;
            };
            let mark = Mark {
                proxy: request.proxy,
                start: i64::try_from(request.start)? - zero,
                end: i64::try_from(request.end)? - zero,
                color: served,
            };
            if mark.end > from && mark.start < from + LENGTH {
                marks.push(mark);
            }
        }
        marks.sort_unstable();
        let since_zero = |pointer: &str| Ok::<_, Box<dyn Error>>(number(pointer)? + invoked - zero);
        Ok(Self {
            proxies,
            from,
            marks,
            mixed: (
                since_zero("/flips/0/first_new_ns")?,
                since_zero("/flips/0/last_old_ns")?,
            ),
            stale: u64::try_from(number("/flips/0/stale")?)?,
            failed: u64::try_from(number("/flips/0/errors")?)?,
        })
    }
}
