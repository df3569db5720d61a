//! The file that carries the filter's configuration: what `cutover init` writes as `cutover.json`.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// The name of the filter in the bootstrap, in the resource and in Envoy's stats.
pub const PLUGIN: &str = "cutover";

/// What a resource is made of.
#[derive(Clone, Debug)]
pub struct ResourceOptions {
    /// The module, absolute or relative to Envoy's working directory.
    pub module: PathBuf,
    /// The plugin configuration.
    pub configuration: Value,
    /// Names of environment variables of Envoy that the filter may read: `CUTOVER_KEY_<key id>`.
    pub environment: Vec<String>,
}

/// Renders the file: a `DiscoveryResponse` with one Wasm filter, as Envoy reads it from disk.
///
/// `failure_policy` is explicit, for Envoy's own default would answer 503 for ever once the module
/// has failed: with `FAIL_RELOAD` the worker loads it again. The plugin configuration is JSON in a
/// string: a `google.protobuf.Struct` would reach the module as protobuf (Envoy 1.40).
pub fn render(options: &ResourceOptions) -> String {
    let generation = options.configuration.get("generation");
    // It cannot fail: all keys are strings.
    let configuration = serde_json::to_string(&Ordered(&options.configuration)).unwrap_or_default();
    let mut vm = json!({
        "vm_id": PLUGIN,
        "runtime": "envoy.wasm.runtime.v8",
        "code": { "local": { "filename": options.module.to_string_lossy() } },
    });
    if let (Some(vm), false) = (vm.as_object_mut(), options.environment.is_empty()) {
        let keys = Value::from(options.environment.clone());
        let environment = Map::from_iter([("host_env_keys".to_owned(), keys)]);
        vm.insert("environment_variables".to_owned(), environment.into());
    }
    let document = json!({
        "version_info": generation.map_or_else(|| "0".to_owned(), Value::to_string),
        "resources": [{
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": PLUGIN,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": PLUGIN,
                    "root_id": PLUGIN,
                    "failure_policy": "FAIL_RELOAD",
                    "vm_config": vm,
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": configuration,
                    },
                },
            },
        }],
    });
    serde_json::to_string_pretty(&Ordered(&document)).unwrap_or_default() + "\n"
}

/// Keys in the order in which a person wants to read them; any other comes behind, by name.
const ORDER: [&str; 19] = [
    "@type",
    "version_info",
    "name",
    "root_id",
    "failure_policy",
    "vm_config",
    "vm_id",
    "runtime",
    "code",
    "version",
    "services",
    "hosts",
    "active",
    "generation",
    "previous",
    "blue",
    "green",
    "closed",
    "override",
];

struct Ordered<'v>(&'v Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => {
                let mut members: Vec<_> = map.iter().collect();
                members.sort_by_key(|(key, _)| {
                    (
                        ORDER.iter().position(|k| k == key).unwrap_or(ORDER.len()),
                        *key,
                    )
                });
                serializer.collect_map(
                    members
                        .into_iter()
                        .map(|(key, value)| (key, Ordered(value))),
                )
            }
            Value::Array(list) => serializer.collect_seq(list.iter().map(Ordered)),
            other => other.serialize(serializer),
        }
    }
}
