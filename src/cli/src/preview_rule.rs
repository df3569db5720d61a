//! How clients may reach the color that is not active: the rule in the files that the tool writes.

use crate::failure::Failure;
use cutover_core::{headers, token};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;

/// Unsigned where only this machine gets at Envoy, by token where a key was named, else not at all.
#[derive(Clone, Debug)]
pub(crate) struct PreviewRule {
    keys: Vec<String>,
    is_local: bool,
}

impl PreviewRule {
    /// The rule for an Envoy that listens there.
    pub(crate) fn new(keys: &[String], listeners: &[SocketAddr]) -> Result<Self, Failure> {
        if let Some(id) = keys.iter().find(|id| !token::is_key_id(id)) {
            return Err(Failure::usage(format!("`{id}` is no key id"))
                .hint("a key id is 1 to 32 letters, digits and `_`"));
        }
        Ok(Self {
            keys: keys.to_vec(),
            is_local: listeners.iter().all(|address| address.ip().is_loopback()),
        })
    }

    /// True when only this machine gets at Envoy.
    pub(crate) fn is_local(&self) -> bool {
        self.is_local
    }

    fn is_unsigned(&self) -> bool {
        self.is_local && self.keys.is_empty()
    }

    /// False where nobody may.
    pub(crate) fn lets_some_in(&self) -> bool {
        self.is_local || !self.keys.is_empty()
    }

    /// Variables of Envoy that hold the keys.
    pub(crate) fn environment(&self) -> Vec<String> {
        self.keys.iter().map(|id| token::variable(id)).collect()
    }

    /// `override` of a service.
    pub(crate) fn to_json(&self) -> Option<Value> {
        let (key, value) = self.proof()?;
        let mut rule = Map::new();
        rule.insert("header".to_owned(), headers::OVERRIDE.into());
        rule.insert("cookie".to_owned(), "cutover-override".into());
        rule.insert(key.to_owned(), value);
        Some(rule.into())
    }

    /// A whole configuration of one service.
    pub(crate) fn configuration(&self, active: &str, generation: u64) -> Value {
        let mut configuration = json!({
            "version": 1,
            "active": active,
            "generation": generation,
            "blue": { "cluster": "blue" },
            "green": { "cluster": "green" },
        });
        if let (Some(rule), Some(configuration)) = (self.to_json(), configuration.as_object_mut()) {
            configuration.insert("override".to_owned(), rule);
        }
        configuration
    }

    /// The same configuration with this rule; none where it has it already. Names of header and
    /// cookie that somebody has changed stay.
    pub(crate) fn put_into(&self, configuration: &Value) -> Option<Value> {
        let proof = |key: &str| configuration.get("override").and_then(|rule| rule.get(key));
        let wanted = self.proof();
        let as_is = ["unsigned", "keys"].iter().all(|key| {
            let wanted = wanted.as_ref().filter(|(name, _)| name == key);
            proof(key) == wanted.map(|(_, value)| value)
        });
        if as_is {
            return None;
        }
        let mut changed = configuration.as_object()?.clone();
        match (changed.remove("override"), wanted) {
            (Some(Value::Object(mut rule)), Some((key, value))) => {
                rule.remove("unsigned");
                rule.remove("keys");
                rule.insert(key.to_owned(), value);
                changed.insert("override".to_owned(), rule.into());
            }
            (_, Some(_)) => {
                changed.insert("override".to_owned(), self.to_json()?);
            }
            (_, None) => {}
        }
        Some(changed.into())
    }

    fn proof(&self) -> Option<(&'static str, Value)> {
        if self.is_unsigned() {
            Some(("unsigned", Value::from(true)))
        } else if self.keys.is_empty() {
            None
        } else {
            Some(("keys", Value::from(self.keys.clone())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(keys: &[&str], listen: &str) -> PreviewRule {
        let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
        PreviewRule::new(&keys, &[listen.parse().unwrap()]).unwrap()
    }

    #[test]
    fn only_this_machine_gets_in_without_a_key() {
        assert!(rule(&[], "127.0.0.1:1").is_unsigned());
        assert!(!rule(&[], "0.0.0.0:1").lets_some_in());
        assert!(!rule(&["k1"], "127.0.0.1:1").is_unsigned());
        assert!(rule(&["k1"], "0.0.0.0:1").lets_some_in());
        let bad = PreviewRule::new(&["k-1".to_owned()], &[]);
        assert!(bad.unwrap_err().message.contains("no key id"));
    }

    #[test]
    fn a_rule_replaces_another_and_leaves_the_rest() {
        let local = rule(&[], "127.0.0.1:1").configuration("green", 7);
        assert_eq!(rule(&[], "127.0.0.1:1").put_into(&local), None);
        let public = rule(&[], "0.0.0.0:1").put_into(&local).unwrap();
        assert_eq!(public.get("override"), None);
        assert_eq!(public.get("active"), Some(&Value::from("green")));
        let mut named = local.clone();
        named["override"]["header"] = "x-try".into();
        let keyed = rule(&["k1"], "0.0.0.0:1").put_into(&named).unwrap();
        let wanted = json!({"header": "x-try", "cookie": "cutover-override", "keys": ["k1"]});
        assert_eq!(keyed.get("override"), Some(&wanted));
    }
}
