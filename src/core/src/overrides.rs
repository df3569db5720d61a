//! Overrides: a header or cookie that reaches a color which has no traffic yet.

use crate::clock::unix_seconds;
use crate::{Color, Request, headers, token};
use std::collections::BTreeMap;

/// What a service lets clients override, and how they prove that they may.
#[derive(Clone, Debug)]
pub struct Override {
    pub(crate) header: Option<String>,
    pub(crate) cookie: Option<String>,
    pub(crate) values: Vec<(Color, String)>,
    pub(crate) paths: Vec<String>,
    pub(crate) proof: Proof,
    pub(crate) forbid: bool,
}

/// How a client proves that it may override.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// It need not: local use.
    Unsigned,
    /// By a token of one of these keys. A key without bytes is one that nobody has looked up yet.
    Keys(BTreeMap<String, Option<token::Key>>),
}

/// What an override of a request comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The request asks for no override.
    None,
    /// It asks for this color, and may.
    Granted(Color),
    /// It asks, and may not.
    Refused(Refusal),
}

/// Why an override was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A token is required, and there is none of the right form.
    #[error("a preview token is required")]
    Unsigned,
    /// The token names a key that the configuration does not.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The token was not signed with that key for this service and color.
    #[error("the token's signature is wrong")]
    Forged,
    /// The token was right, until its time was over.
    #[error("the token has expired")]
    Expired,
}

impl Override {
    /// The header that may carry an override, if any.
    pub fn header(&self) -> Option<&str> {
        self.header.as_deref()
    }

    /// The cookie that may carry an override, if any.
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// The exact value that asks for a color; none when no value does.
    pub fn value(&self, color: Color) -> Option<&str> {
        self.values
            .iter()
            .find(|(of, _)| *of == color)
            .map(|(_, value)| value.as_str())
    }

    /// The path prefixes that overrides are limited to; empty when they are not.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Ids of the keys of which one must have signed; none when no token is needed.
    pub fn key_ids(&self) -> Option<Vec<&str>> {
        match &self.proof {
            Proof::Unsigned => None,
            Proof::Keys(keys) => Some(keys.keys().map(String::as_str).collect()),
        }
    }

    /// What the request asks for. A value that is no override at all is none, not a refused one.
    pub(crate) fn claim(&self, service: &str, request: &impl Request) -> Claim {
        let header = self.header.as_deref().and_then(|name| request.header(name));
        let claim = header.map_or(Claim::None, |value| self.judge(service, &value, request));
        if claim != Claim::None {
            return claim;
        }
        let Some(name) = self.cookie.as_deref() else {
            return Claim::None;
        };
        let Some(cookies) = request.header("cookie") else {
            return Claim::None;
        };
        headers::cookie(&cookies, name)
            .map_or(Claim::None, |value| self.judge(service, value, request))
    }

    fn judge(&self, service: &str, value: &[u8], request: &impl Request) -> Claim {
        let Ok(text) = std::str::from_utf8(value) else {
            return Claim::None;
        };
        let color_of = |text: &str| {
            self.values
                .iter()
                .find(|(_, value)| value == text)
                .map(|(color, _)| *color)
        };
        let verdict = match &self.proof {
            Proof::Unsigned => color_of(text).map(Ok),
            Proof::Keys(keys) => match token::Token::parse(text) {
                Some(token) => {
                    color_of(token.value).map(|color| verify(keys, &token, service, color, request))
                }
                None => color_of(text).map(|_| Err(Refusal::Unsigned)).or_else(|| {
                    // A damaged token still asks for an override.
                    let (value, _) = text.split_once('.')?;
                    color_of(value).map(|_| Err(Refusal::Unsigned))
                }),
            },
        };
        match verdict {
            Some(_) if !self.covers_path(request) => Claim::None,
            Some(Ok(color)) => Claim::Granted(color),
            Some(Err(refusal)) => Claim::Refused(refusal),
            None => Claim::None,
        }
    }

    fn covers_path(&self, request: &impl Request) -> bool {
        self.paths.is_empty()
            || request.header(":path").is_some_and(|path| {
                self.paths
                    .iter()
                    .any(|prefix| path.starts_with(prefix.as_bytes()))
            })
    }
}

fn verify(
    keys: &BTreeMap<String, Option<token::Key>>,
    token: &token::Token<'_>,
    service: &str,
    color: Color,
    request: &impl Request,
) -> Result<Color, Refusal> {
    let key = keys
        .get(token.key_id)
        .and_then(Option::as_ref)
        .ok_or(Refusal::UnknownKey)?;
    // The signature first: only who holds a key learns that a token is merely too old.
    if !token.is_signed_by(key, service, color) {
        return Err(Refusal::Forged);
    }
    if token.is_expired(unix_seconds(request)) {
        return Err(Refusal::Expired);
    }
    Ok(color)
}
