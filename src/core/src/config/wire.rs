//! The configuration as it is written. Field comments become the descriptions of the JSON Schema.

use super::whole::Whole;
use crate::{Activation, Color, Generation};
use serde::{Deserialize, Deserializer, de};
use std::fmt;

/// One thing that is switched as a whole.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    /// The color that serves.
    pub(super) active: Color,
    /// Orders the switches of the service: a flip writes a greater one. Without it every worker
    /// switches for itself, whenever the configuration reaches it.
    pub(super) generation: Option<Generation>,
    /// The switch before this one. A flip writes it.
    pub(super) previous: Option<Previous>,
    /// The instant from which the switch rules, in Unix milliseconds; `previous` rules before. A flip
    /// writes it. Without it the switch rules at once.
    pub(super) activate_at: Option<ActivateAt>,
    /// How many milliseconds before and after `activate_at` new requests wait, so that clocks may
    /// differ by as much. Default: 0.
    pub(super) hold: Option<Hold>,
    /// Where blue is.
    pub(super) blue: Route,
    /// Where green is.
    pub(super) green: Route,
    /// Hosts that the service answers to: a host name, `*.` and a host name for everything below
    /// it, or `*` for any. Ports are ignored. Default: any.
    pub(super) hosts: Option<Vec<String>>,
    /// Colors that take no traffic at all, overrides included.
    pub(super) closed: Option<Vec<Color>>,
    /// How a client reaches a color that is not active.
    #[serde(rename = "override")]
    pub(super) overrides: Option<Override>,
}

/// Unix milliseconds from 2001 on: seconds and microseconds of these years are refused.
pub(super) type ActivateAt = Whole<1_000_000_000_000, { Activation::LATEST }>;

/// Milliseconds.
pub(super) type Hold = Whole<0, { Activation::LONGEST as u64 }>;

/// How many requests a worker holds at once, over all services; more get 503. Default: 10000.
pub(super) type MaxHeld = Whole<1, 100_000>;

/// An earlier switch.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Previous {
    /// Its generation.
    pub(super) generation: Generation,
    /// Its active color.
    pub(super) active: Color,
}

/// What a color means to the proxy.
#[derive(Debug)]
pub(super) enum Route {
    Cluster(String),
    Header(String),
}

/// How a client reaches a color that is not active.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Override {
    /// Request header that carries the value.
    pub(super) header: Option<String>,
    /// Cookie that carries the value.
    pub(super) cookie: Option<String>,
    /// The exact value that asks for each color; a color without one cannot be asked for. Default:
    /// `blue` and `green`.
    pub(super) values: Option<Values>,
    /// Path prefixes that overrides are limited to. Default: every path.
    pub(super) paths: Option<Vec<String>>,
    /// Ids of the keys of which one must have signed the value. The key itself stands in the VM's
    /// environment as `CUTOVER_KEY_<ID>`.
    pub(super) keys: Option<Vec<String>>,
    /// True lets everybody override: for local use.
    #[serde(default)]
    pub(super) unsigned: bool,
    /// What becomes of a request whose token is bad, expired or forged: the normal `route`, or 403
    /// (`forbid`).
    #[serde(default)]
    pub(super) refused: Refused,
}

/// The exact value that asks for each color.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Values {
    /// Asks for blue.
    pub(super) blue: Option<String>,
    /// Asks for green.
    pub(super) green: Option<String>,
}

/// What becomes of a request whose override is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Refused {
    /// The normal route.
    #[default]
    Route,
    /// 403.
    Forbid,
}

/// Where decisions are shown besides the request header `x-cutover-decision` to upstreams.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expose {
    /// In the response header `x-cutover-decision`.
    pub(super) response_header: bool,
    /// In the filter state `wasm.cutover`, for access logs and matchers.
    pub(super) filter_state: bool,
}

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Form {
            Cluster(String),
            Header(String),
        }
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Route;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a cluster name, {\"cluster\": NAME} or {\"header\": VALUE}")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Route, E> {
                Ok(Route::Cluster(name.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Route, A::Error> {
                Ok(
                    match Form::deserialize(de::value::MapAccessDeserializer::new(map))? {
                        Form::Cluster(name) => Route::Cluster(name),
                        Form::Header(value) => Route::Header(value),
                    },
                )
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
