//! What the history of one flip of a fleet tells.

use std::fs::File;
use std::io::BufReader;

use cutover_checker::{Certificate, FlipSummary};
use cutover_history::{Color, Operation, Outcome, Reader};

/// The only flip of a run.
#[track_caller]
pub(crate) fn flip(run: &Certificate) -> &FlipSummary {
    let [flip] = run.figures.flips.as_slice() else {
        panic!("{:?}", run.figures.flips);
    };
    flip
}

/// No request got another color than this, and none failed: the proxy of each of them.
#[track_caller]
pub(crate) fn answered_with(color: Color, history: Reader<BufReader<File>>) -> Vec<u32> {
    let mut asked = Vec::new();
    for operation in history {
        let Operation::Request(request) = operation.unwrap() else {
            continue;
        };
        let Outcome::Answered { served, .. } = request.outcome else {
            panic!("{request:?}");
        };
        assert_eq!(served, color, "{request:?}");
        asked.push(request.proxy);
    }
    asked
}
