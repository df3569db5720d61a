//! Which fields a manager owns: the form `FieldsV1` of Kubernetes.
//!
//! Source: sigs.k8s.io/structured-merge-diff, fieldpath/serialize.go. `f:NAME` is a field, `k:{…}` an item of
//! a list by its keys, `v:…` an item of a set, `i:N` an item by its place, and `.` the thing itself.

use serde_json::{Map, Value};
use std::fmt;

/// A path of fields from the top of an object, without items of lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    /// The path of these names.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// One step deeper.
    #[must_use]
    pub fn join(&self, name: impl Into<String>) -> Self {
        let mut names = self.0.clone();
        names.push(name.into());
        Self(names)
    }

    /// The names, from the top.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The last name; empty at the top.
    pub fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// What stands there in an object.
    pub fn value_in<'v>(&self, object: &'v Value) -> Option<&'v Value> {
        self.0
            .iter()
            .try_fold(object, |inner, name| inner.get(name))
    }
}

/// As the API server writes it: `.spec.pluginConfig.active`.
impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|name| write!(f, ".{name}"))
    }
}

/// The fields that a manager owns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSet(Map<String, Value>);

impl FieldSet {
    /// Takes `fieldsV1`; what is no object owns nothing.
    pub fn new(fields: Value) -> Self {
        match fields {
            Value::Object(fields) => Self(fields),
            _ => Self::default(),
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it holds that field, or anything below it.
    pub fn owns(&self, path: &FieldPath) -> bool {
        let mut here = &self.0;
        for name in path.names() {
            match here.get(&format!("f:{name}")) {
                Some(Value::Object(inside)) => here = inside,
                _ => return false,
            }
            // `f:previous: {}` owns all of `previous`: it was written as a whole.
            if here.is_empty() {
                return true;
            }
        }
        true
    }

    /// Whether it holds a field that the API server would write so.
    pub(crate) fn any_shown_as(&self, shown: &str) -> bool {
        fn below(fields: &Map<String, Value>, rest: &str) -> bool {
            fields.iter().any(|(key, inside)| {
                let name = key.strip_prefix("f:").unwrap_or_default();
                let rest = rest
                    .strip_prefix('.')
                    .and_then(|rest| rest.strip_prefix(name));
                match (rest, inside) {
                    (Some(""), _) => !name.is_empty(),
                    (Some(rest), Value::Object(inside)) if rest.starts_with('.') => {
                        inside.is_empty() || below(inside, rest)
                    }
                    _ => false,
                }
            })
        }
        below(&self.0, shown)
    }

    /// What these fields hold in an object: applying it again changes nothing and gives nothing away.
    ///
    /// Server-side apply removes what its manager owned and leaves out, so that all of it is said again.
    pub fn taken_from(&self, object: &Value) -> Value {
        taken(&self.0, object)
    }
}

fn taken(fields: &Map<String, Value>, from: &Value) -> Value {
    let deeper = |inside: &Value, value: &Value| match inside {
        // `{}` owns all below, `{".": {}}` the thing alone.
        Value::Object(inside) if !inside.is_empty() => taken(inside, value),
        _ => value.clone(),
    };
    match from {
        Value::Object(object) => fields
            .iter()
            .filter_map(|(key, inside)| {
                let name = key.strip_prefix("f:")?;
                let value = object.get(name)?;
                Some((name.to_owned(), deeper(inside, value)))
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .filter_map(|(place, item)| {
                let (key, inside) = fields.iter().find(|(key, _)| is_item(key, place, item))?;
                let mut item = deeper(inside, item);
                // The keys that name an item belong to it, owned or not.
                if let (Some(keys), Value::Object(item)) = (keys_of(key), &mut item) {
                    item.extend(keys);
                }
                Some(item)
            })
            .collect(),
        other => other.clone(),
    }
}

fn keys_of(key: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(key.strip_prefix("k:")?).ok()
}

fn is_item(key: &str, place: usize, item: &Value) -> bool {
    if let Some(keys) = keys_of(key) {
        return keys
            .iter()
            .all(|(name, value)| item.get(name) == Some(value));
    }
    if let Some(value) = key.strip_prefix("v:") {
        return serde_json::from_str::<Value>(value).is_ok_and(|value| value == *item);
    }
    key.strip_prefix("i:") == Some(place.to_string().as_str())
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
