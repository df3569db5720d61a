//! The JSON Schema of the configuration, generated from the types that parse it.

use super::wire;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use std::{borrow::Cow, collections::BTreeMap};

/// The plugin configuration of Cutover.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(
    dead_code,
    reason = "only its schema is used: `config::parse` tells the forms apart by key"
)]
enum Configuration {
    /// Many services.
    Full(Box<Full>),
    /// One service, called `default`.
    Short(Box<Short>),
}

/// Many services.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Full {
    version: Option<Version>,
    /// Up to 10,000 services by name.
    services: BTreeMap<String, wire::Service>,
    expose: Option<wire::Expose>,
    /// How many requests a worker holds at once around the instant of a switch, over all services; more
    /// get 503. Default: 10000.
    max_held: Option<wire::MaxHeld>,
}

/// One service, called `default`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Short {
    version: Option<Version>,
    #[schemars(flatten)]
    service: wire::Service,
    expose: Option<wire::Expose>,
    /// How many requests a worker holds at once around the instant of a switch; more get 503. Default:
    /// 10000.
    max_held: Option<wire::MaxHeld>,
}

struct Version;

impl JsonSchema for Version {
    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"const": super::VERSION, "description": "The version of this form: 1."})
    }
}

impl JsonSchema for wire::Route {
    fn schema_name() -> Cow<'static, str> {
        "Route".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text = |description| {
            serde_json::json!({
                "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$",
                "description": description,
            })
        };
        let one = |key: &str, description| {
            serde_json::json!({
                "type": "object", "additionalProperties": false, "required": [key],
                "properties": {key: text(description)},
            })
        };
        json_schema!({
            "description": "What a color means to the proxy.",
            "oneOf": [
                text("An Envoy cluster, for `cluster_header: x-cutover-cluster` routes."),
                one("cluster", "An Envoy cluster, for `cluster_header: x-cutover-cluster` routes."),
                one("header", "The value of `x-cutover-color` that a route matches."),
            ],
        })
    }
}

/// The JSON Schema (draft 2020-12) of a plugin configuration.
pub fn json_schema() -> Schema {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Configuration>()
}
