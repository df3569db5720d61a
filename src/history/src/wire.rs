//! The compact, strict form of a request line.

use std::fmt;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{SerializeTuple, Serializer};
use serde::{Deserialize, Serialize};

use crate::operation::{Color, Decision, Kind, Outcome, Request};

/// A request as it is written: flat and short, with every unknown field refused.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestLine {
    c: u32,
    p: u32,
    kind: Kind,
    at: [u64; 3],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    served: Option<Color>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<Decision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    timed_out: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    contrary: Vec<Decision>,
}

impl From<Request> for RequestLine {
    fn from(request: Request) -> Self {
        let mut line = Self {
            c: request.client,
            p: request.proxy,
            kind: request.kind,
            at: [request.intended, request.start, request.end],
            served: None,
            by: None,
            error: None,
            status: None,
            timed_out: false,
            contrary: request.contrary,
        };
        match request.outcome {
            Outcome::Answered { served, decision } => {
                line.served = Some(served);
                line.by = decision;
            }
            Outcome::Failed { status, error } => {
                line.status = status;
                line.error = Some(error);
            }
            Outcome::TimedOut => line.timed_out = true,
        }
        line
    }
}

/// Says why a request's outcome makes no sense.
#[derive(Debug, thiserror::Error)]
#[error(
    "a request has either `served` (with or without `by`), or `error` (with or without `status`), \
     or `timed_out`"
)]
pub(crate) struct MixedOutcome;

impl TryFrom<RequestLine> for Request {
    type Error = MixedOutcome;

    fn try_from(line: RequestLine) -> Result<Self, MixedOutcome> {
        let outcome = match (
            line.served,
            line.by,
            line.error,
            line.status,
            line.timed_out,
        ) {
            (Some(served), decision, None, None, false) => Outcome::Answered { served, decision },
            (None, None, Some(error), status, false) => Outcome::Failed { status, error },
            (None, None, None, None, true) => Outcome::TimedOut,
            _ => return Err(MixedOutcome),
        };
        let [intended, start, end] = line.at;
        Ok(Self {
            client: line.c,
            proxy: line.p,
            kind: line.kind,
            intended,
            start,
            end,
            outcome,
            contrary: line.contrary,
        })
    }
}

const OVERRIDE: &str = "override";

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(if self.overridden { 3 } else { 2 })?;
        tuple.serialize_element(&self.generation)?;
        tuple.serialize_element(&self.color)?;
        if self.overridden {
            tuple.serialize_element(OVERRIDE)?;
        }
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Decision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(DecisionVisitor)
    }
}

struct DecisionVisitor;

impl<'de> Visitor<'de> for DecisionVisitor {
    type Value = Decision;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decision: [generation, color] or [generation, color, \"override\"]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Decision, A::Error> {
        let generation = seq
            .next_element()?
            .ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let color = seq
            .next_element()?
            .ok_or_else(|| A::Error::invalid_length(1, &self))?;
        let overridden = match seq.next_element::<String>()?.as_deref() {
            None => false,
            Some(OVERRIDE) => true,
            Some(other) => return Err(A::Error::custom(format!("`{other}` is not `{OVERRIDE}`"))),
        };
        Ok(Decision {
            generation,
            color,
            overridden,
        })
    }
}
