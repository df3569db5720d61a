//! The gRPC service that backends offer: one bidirectional stream, written by hand on tonic.

use bytes::Bytes;
use prost::Message;
use tonic_prost::ProstCodec;

/// The path of the one method.
pub(crate) const PATH: &str = "/cutover.harness.v1.Witness/Talk";

/// What a client says.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Ask {
    /// Counts the client's messages.
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
}

/// What a backend answers to each message.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Answer {
    /// The number that was asked with.
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    /// `COLOR` or `COLOR DECISION`.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) said: Bytes,
}

/// How a client encodes and decodes.
pub(crate) type ClientCodec = ProstCodec<Ask, Answer>;
/// How a backend encodes and decodes.
pub(crate) type BackendCodec = ProstCodec<Answer, Ask>;
