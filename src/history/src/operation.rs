//! The words of a history.
//!
//! How each is written down is in the documentation of the crate; a request has a wire form of its own (`wire`), because a
//! run holds ten million of them.
//!
//! All instants are nanoseconds on one monotonic clock of the recording process, from the start of
//! the run. Intervals are closed: an answer that ends at the very instant at which another request
//! starts does not come before it.

use serde::{Deserialize, Serialize};

use crate::wire::RequestLine;

/// The version of the format that [`Header::cutover_history`] carries.
pub const FORMAT: u32 = 1;

/// One of the two colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// Blue.
    Blue,
    /// Green.
    Green,
}

/// The first line of a history: what ran, so that the run can be judged and repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of the format: 1.
    pub cutover_history: u32,
    /// The seed that every random choice of the run came from.
    pub seed: u64,
    /// Wall-clock start of the run, RFC 3339.
    pub started_at: String,
    /// What ran.
    pub versions: Versions,
    /// SHA-256 of the filter module, in hexadecimal.
    pub module_sha256: String,
    /// The service that was switched.
    pub service: String,
    /// Over what one order of generations is claimed.
    pub scope: Scope,
    /// The largest window, in nanoseconds, that the run claims it would have seen.
    pub window_ns: u64,
    /// How many flips the run was to make; none when nobody said. Fewer in the history mean that it
    /// was cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flips: Option<u32>,
    /// What answers did not show, and the recorder concluded; empty when they showed all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inferred: Vec<Inferred>,
    /// The proxies of the run, by the index that operations name them with.
    pub proxies: Vec<Proxy>,
    /// The command that made the run.
    pub command: String,
}

/// Versions of what ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// The tool.
    pub cutover: String,
    /// Envoy, as it reports itself.
    pub envoy: String,
}

/// Over what a total order of generations is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Within each proxy for itself.
    Proxy,
    /// Over all proxies together.
    Fleet,
}

/// Something that a history states of answers that did not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inferred {
    /// The generation: answers showed a color, and whoever recorded them knew which flip made it
    /// active last.
    Generation,
    /// The color that served: answers showed the decision, and not who answered.
    Served,
}

/// One proxy of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Its name in reports.
    pub name: String,
    /// Worker threads.
    pub workers: u32,
    /// Listeners that carry the filter.
    pub listeners: u32,
}

/// One line of a history after the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// A client's request: a read of the register.
    #[serde(rename = "req")]
    Request(Request),
    /// A configuration push to one proxy: a write of the register.
    Push(Push),
    /// What was done to a proxy besides.
    Weather(Weather),
}

/// How a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// HTTP/1.1 on a kept connection.
    H1,
    /// HTTP/2, many streams on one connection.
    H2,
    /// A request body that is sent slowly.
    Upload,
    /// Server-sent events.
    Sse,
    /// A WebSocket.
    WebSocket,
    /// A bidirectional gRPC stream.
    Grpc,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::H1,
        Self::H2,
        Self::Upload,
        Self::Sse,
        Self::WebSocket,
        Self::Grpc,
    ];
}

/// A request and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "RequestLine", try_from = "RequestLine")]
pub struct Request {
    /// Client (a connection's owner), by index.
    pub client: u32,
    /// Proxy that was asked, by index into [`Header::proxies`].
    pub proxy: u32,
    /// How it was made.
    pub kind: Kind,
    /// When the arrival plan wanted it sent: latency counts from here.
    pub intended: u64,
    /// Just before its first byte was handed to the connection.
    pub start: u64,
    /// When its response headers (its failure, its giving up) had been seen.
    pub end: u64,
    /// What came of it.
    pub outcome: Outcome,
    /// Every decision or serving color that the same request showed besides the first, contrary to
    /// it: in a later message of its stream, or in its response headers.
    pub contrary: Vec<Decision>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An upstream answered, and said which it is and what the filter had decided.
    Answered {
        /// The color of the upstream that answered.
        served: Color,
        /// What the filter told the upstream; none when it told nothing.
        decision: Option<Decision>,
    },
    /// No upstream's answer: an error status from the proxy, a reset, a refused connection. The
    /// request may have been decided all the same.
    Failed {
        /// The HTTP status, when there was one.
        status: Option<u16>,
        /// In words.
        error: String,
    },
    /// The client gave up waiting. The request may have been decided all the same.
    TimedOut,
}

/// What the filter decided for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The generation that decided it; 0 when the configuration had none.
    pub generation: u64,
    /// The color that was decided.
    pub color: Color,
    /// True when an override chose the color, so that it says nothing of the active one.
    pub overridden: bool,
}

/// A configuration that was pushed to one proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// Which logical flip it belongs to, when it belongs to one; all proxies' pushes of one flip
    /// share the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flip: Option<u32>,
    /// What it was meant as.
    pub kind: PushKind,
    /// The proxy, by index.
    pub proxy: u32,
    /// Generation in it.
    pub generation: u64,
    /// Active color in it.
    pub color: Color,
    /// Just before the file was replaced.
    pub invoked: u64,
    /// When the tool said that this proxy has it; none when it never said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<u64>,
}

/// What a push was meant as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PushKind {
    /// The configuration that the proxy started with.
    Install,
    /// A flip or a rollback.
    Flip,
    /// An older generation, replayed.
    Stale,
    /// The committed generation with another color.
    Conflict,
}

/// Something that was done to a proxy, or pushed at it without being a usable configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weather {
    /// What.
    pub kind: WeatherKind,
    /// The proxy, by index.
    pub proxy: u32,
    /// From.
    pub from: u64,
    /// Until it was over: the proxy answers again, the push was judged.
    pub until: u64,
}

/// Kinds of weather.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeatherKind {
    /// A configuration that the filter must refuse.
    Bad,
    /// Half a file.
    Torn,
    /// The proxy was killed and started again: requests to it may fail in between.
    Killed,
    /// The proxy was stopped and resumed (SIGSTOP, SIGCONT).
    Paused,
    /// One worker got next to no CPU.
    Starved,
    /// Nothing was sent to it: it was not part of the fleet yet, or no more.
    Away,
}
