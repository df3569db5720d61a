//! The plugin configuration: JSON in, [`Plan`] out, or one sentence that says what is wrong.

mod check;
mod json;
#[cfg(feature = "schema")]
pub mod schema;
mod whole;
mod wire;

use crate::{Expose, Plan, hosts::Hosts, plan::MaxHeld};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;
use std::fmt;

/// The version of the configuration's form.
const VERSION: u64 = 1;

/// The most services that one plugin may hold.
const MOST_SERVICES: usize = 10_000;

/// The name of the service in the short form.
const SHORT_FORM: &str = "default";

/// Why a configuration cannot be used: where, what stands there, and what was allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct InvalidConfig {
    path: String,
    value: Value,
    problem: String,
    /// The problem quotes the value already.
    quoted: bool,
}

impl InvalidConfig {
    pub(crate) fn new(path: impl Into<String>, value: Value, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            value,
            problem: problem.into(),
            quoted: false,
        }
    }

    /// Where: the JSON path from the top, such as `services.shop.active`; empty for the whole.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What stands there; null when nothing does.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// What is wrong with it, and what is allowed.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "configuration: {}", self.problem)?,
            path => write!(f, "{path}: {}", self.problem)?,
        }
        match &self.value {
            Value::Null | Value::Object(_) => Ok(()),
            _ if self.quoted => Ok(()),
            value => {
                let text = value.to_string();
                let shown: String = text.chars().take(80).collect();
                let cut = if shown.len() < text.len() { "…" } else { "" };
                write!(f, ", not {shown}{cut}")
            }
        }
    }
}

impl std::error::Error for InvalidConfig {}

pub(crate) fn parse(json: &[u8]) -> Result<Plan, InvalidConfig> {
    let mut top = top_level(json)?;
    if let Some(version) = top.remove("version")
        && version.as_f64() != Some(1.0)
    {
        return Err(InvalidConfig::new(
            "version",
            version,
            format!("must be {VERSION}"),
        ));
    }
    let expose = match top.remove("expose") {
        Some(value) => typed::<wire::Expose>("expose", &value)?,
        None => wire::Expose::default(),
    };
    let max_held = match top.remove("max_held") {
        Some(value) => Some(typed::<wire::MaxHeld>("max_held", &value)?),
        None => None,
    };
    let services = match top.remove("services") {
        Some(services) => {
            if let Some((key, _)) = top.into_iter().next() {
                let problem = "does not stand beside `services`: put it into the service that it \
                               is of, or leave `services` out";
                return Err(InvalidConfig::new(key, Value::Null, problem));
            }
            many(services)?
        }
        None => {
            vec![check::service(
                SHORT_FORM,
                "",
                typed("", &Value::Object(top))?,
            )?]
        }
    };
    let mut plan = Plan {
        services: Vec::with_capacity(services.len()),
        hosts: Hosts::default(),
        expose: Expose {
            response_header: expose.response_header,
            filter_state: expose.filter_state,
        },
        max_held: max_held.map_or_else(MaxHeld::default, |number| MaxHeld(number.0)),
    };
    for (index, (service, patterns)) in services.into_iter().enumerate() {
        for (position, pattern) in patterns.into_iter().enumerate() {
            if let Err(owner) = plan.hosts.insert(pattern, index) {
                let owner = plan
                    .services
                    .get(owner)
                    .map_or("this service", |s| s.name());
                return Err(InvalidConfig::new(
                    format!("{}hosts[{position}]", service.path),
                    service.hosts.get(position).cloned().into(),
                    format!("must not belong to a service already (it is {owner}'s)"),
                ));
            }
        }
        plan.services.push(service.into());
    }
    Ok(plan)
}

fn many(services: Value) -> Result<Vec<check::Checked>, InvalidConfig> {
    const FORM: &str = "must be an object of 1 to 10000 services by name";
    let Value::Object(services) = services else {
        return Err(InvalidConfig::new("services", services, FORM));
    };
    if services.is_empty() || services.len() > MOST_SERVICES {
        return Err(InvalidConfig::new(
            "services",
            Value::from(services.len()),
            FORM,
        ));
    }
    services
        .into_iter()
        .map(|(name, value)| {
            let path = format!("services.{name}.");
            check::service(&name, &path, typed(path.trim_end_matches('.'), &value)?)
        })
        .collect()
}

/// The object at the top, strictly: no duplicate keys, nothing behind it.
fn top_level(json: &[u8]) -> Result<Map<String, Value>, InvalidConfig> {
    if json.trim_ascii().is_empty() {
        return Err(InvalidConfig::new(
            "",
            Value::Null,
            "is empty, must be a JSON object",
        ));
    }
    match json::parse(json) {
        Ok(Value::Object(top)) => Ok(top),
        Ok(other) => Err(InvalidConfig::new("", other, "must be a JSON object")),
        Err(error) => Err(InvalidConfig::new(
            "",
            Value::Null,
            format!("is not valid JSON: {error}"),
        )),
    }
}

/// Reads one value into its type; the error names the path inside of it.
fn typed<T: DeserializeOwned>(prefix: &str, value: &Value) -> Result<T, InvalidConfig> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string();
        let path = match (prefix, inner.as_str()) {
            (_, ".") => prefix.to_owned(),
            ("", inner) => inner.to_owned(),
            (prefix, inner) => format!("{prefix}.{inner}"),
        };
        let found = error
            .path()
            .iter()
            .try_fold(value, |value, segment| match segment {
                Segment::Seq { index } => value.get(index),
                Segment::Map { key } | Segment::Enum { variant: key } => value.get(key),
                Segment::Unknown => None,
            });
        let found = found.cloned().unwrap_or_default();
        let problem = error.into_inner().to_string();
        InvalidConfig {
            quoted: true,
            ..InvalidConfig::new(path, found, problem)
        }
    })
}
