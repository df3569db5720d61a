//! `k8s:NAMESPACE/NAME`: which object is meant.

use std::{fmt, str::FromStr};

/// The API group and version of both kinds.
pub(crate) const API_VERSION: &str = "extensions.istio.io/v1alpha1";

/// A kind of object that carries a plugin's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `WasmPlugin`: `spec.pluginConfig`.
    WasmPlugin,
    /// `TrafficExtension`, Istio 1.30 and newer: `spec.wasm.pluginConfig`.
    TrafficExtension,
}

impl Kind {
    /// Both, the newer one last.
    pub const ALL: [Self; 2] = [Self::WasmPlugin, Self::TrafficExtension];

    /// As it stands in `kind:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WasmPlugin => "WasmPlugin",
            Self::TrafficExtension => "TrafficExtension",
        }
    }

    /// As it stands in paths of the API, and as kubectl is told.
    pub fn plural(self) -> &'static str {
        match self {
            Self::WasmPlugin => "wasmplugins",
            Self::TrafficExtension => "trafficextensions",
        }
    }

    /// As kubectl names one.
    pub fn singular(self) -> &'static str {
        match self {
            Self::WasmPlugin => "wasmplugin",
            Self::TrafficExtension => "trafficextension",
        }
    }

    /// Where the plugin's fields stand in the object.
    pub(crate) fn body(self) -> &'static [&'static str] {
        match self {
            Self::WasmPlugin => &["spec"],
            Self::TrafficExtension => &["spec", "wasm"],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = InvalidObjectName;

    /// Any case, singular or plural, with or without the group, as kubectl takes it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        let kind = lower
            .strip_suffix(".extensions.istio.io")
            .unwrap_or(lower.as_str());
        Self::ALL
            .into_iter()
            .find(|known| kind == known.singular() || kind == known.plural())
            .ok_or_else(|| InvalidObjectName::Kind(text.to_owned()))
    }
}

/// A plugin's name, as a user writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// The namespace; none is that of the context.
    pub namespace: Option<String>,
    /// The kind; none is whichever exists.
    pub kind: Option<Kind>,
    /// The name.
    pub name: String,
}

/// A name that cannot be one of an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidObjectName {
    /// Too many parts, or none.
    #[error("`{0}` is not NAME, NAMESPACE/NAME or NAMESPACE/KIND/NAME")]
    Parts(String),
    /// No kind that carries a configuration of Cutover.
    #[error("`{0}` is not a kind of plugin: wasmplugin or trafficextension")]
    Kind(String),
    /// Not a name that Kubernetes would take.
    #[error(
        "`{name}` cannot be {what}: lower-case letters, digits, `-` and `.` are allowed, up to {most}"
    )]
    Name {
        /// What was written.
        name: String,
        /// What it was meant to be.
        what: &'static str,
        /// The longest that is allowed.
        most: usize,
    },
}

impl FromStr for ObjectName {
    type Err = InvalidObjectName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<_> = text.split('/').collect();
        let (namespace, kind, name) = match parts.as_slice() {
            [name] => (None, None, *name),
            [namespace, name] => (Some(*namespace), None, *name),
            [namespace, kind, name] => (Some(*namespace), Some(kind.parse()?), *name),
            _ => return Err(InvalidObjectName::Parts(text.to_owned())),
        };
        if name.is_empty() || namespace.is_some_and(str::is_empty) {
            return Err(InvalidObjectName::Parts(text.to_owned()));
        }
        if let Some(namespace) = namespace {
            checked(namespace, "the name of a namespace", 63)?;
        }
        Ok(Self {
            namespace: namespace.map(str::to_owned),
            kind,
            name: checked(name, "the name of a plugin", 253)?,
        })
    }
}

/// DNS names, as Kubernetes checks them: they also go into paths of the API as they are.
fn checked(name: &str, what: &'static str, most: usize) -> Result<String, InvalidObjectName> {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let dots = most > 63 || !name.contains('.');
    if name.len() <= most && dots && name.split('.').all(label) {
        return Ok(name.to_owned());
    }
    Err(InvalidObjectName::Name {
        name: name.to_owned(),
        what,
        most,
    })
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
            if let Some(kind) = self.kind {
                write!(f, "{}/", kind.singular())?;
            }
        }
        f.write_str(&self.name)
    }
}

#[cfg(test)]
#[path = "name_tests.rs"]
mod tests;
