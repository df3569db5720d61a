//! Which service a host belongs to, in time that does not grow with the number of services.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

/// The longest host name that can be matched (RFC 1035, section 2.3.4). A longer one is nobody's by
/// name, which also bounds the work that a client can ask for.
const LONGEST: usize = 253;

/// A host pattern of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Any host.
    Any,
    /// The host itself, in lower case.
    Exact(String),
    /// Every host that ends with this, a leading dot included.
    Suffix(String),
}

impl Pattern {
    /// Parses `shop.example.com`, `*.example.com` or `*`; the error says what is allowed.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "a host name, `*.` and a host name, or `*`; without a port";
        if text == "*" {
            return Ok(Self::Any);
        }
        let lower = text.to_ascii_lowercase();
        let (suffix, name) = match lower.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, lower.as_str()),
        };
        let is_ipv6 = name.starts_with('[') && name.ends_with(']') && !suffix;
        let allowed = |c: char| {
            c.is_ascii_alphanumeric()
                || matches!(c, '.' | '-' | '_')
                || is_ipv6 && "[:]".contains(c)
        };
        let empty_label = name.split('.').any(str::is_empty);
        if name.len() > LONGEST || empty_label || !name.chars().all(allowed) {
            return Err(FORM);
        }
        Ok(if suffix {
            Self::Suffix(format!(".{name}"))
        } else {
            Self::Exact(lower)
        })
    }
}

/// Hashes without asking the host for randomness, which it could refuse: only the configuration, and
/// no client, puts keys in.
type Map = HashMap<String, usize, BuildHasherDefault<DefaultHasher>>;

/// Maps hosts to indices of services. The most exact pattern wins: the host itself, then the longest
/// suffix, then any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts {
    exact: Map,
    suffix: Map,
    any: Option<usize>,
}

impl Hosts {
    /// Adds a pattern; the error is the service that has it already.
    pub(crate) fn insert(&mut self, pattern: Pattern, service: usize) -> Result<(), usize> {
        let before = match pattern {
            Pattern::Any => self.any.replace(service),
            Pattern::Exact(host) => self.exact.insert(host, service),
            Pattern::Suffix(suffix) => self.suffix.insert(suffix, service),
        };
        before.map_or(Ok(()), Err)
    }

    /// The service of every host, when there are no other patterns: then nobody needs the host.
    pub(crate) fn only_any(&self) -> Option<usize> {
        self.any
            .filter(|_| self.exact.is_empty() && self.suffix.is_empty())
    }

    /// The service that an `:authority` belongs to.
    pub(crate) fn find(&self, authority: &[u8]) -> Option<usize> {
        self.by_name(authority).or(self.any)
    }

    fn by_name(&self, authority: &[u8]) -> Option<usize> {
        let host = without_port(authority);
        let host = host.strip_suffix(b".").unwrap_or(host);
        if host.len() > LONGEST {
            return None;
        }
        let host = std::str::from_utf8(host).ok()?.to_ascii_lowercase();
        if let Some(&service) = self.exact.get(&host) {
            return Some(service);
        }
        if self.suffix.is_empty() {
            return None;
        }
        host.match_indices('.')
            .find_map(|(at, _)| self.suffix.get(host.get(at..)?).copied())
    }
}

/// The host of `host:port`, `[v6]:port` or a bare host (RFC 3986, section 3.2).
fn without_port(authority: &[u8]) -> &[u8] {
    let end = if authority.first() == Some(&b'[') {
        authority
            .iter()
            .position(|&byte| byte == b']')
            .map(|at| at + 1)
    } else {
        authority.iter().position(|&byte| byte == b':')
    };
    end.and_then(|end| authority.get(..end))
        .unwrap_or(authority)
}
