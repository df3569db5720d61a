//! Preview tokens: who may override the color.
//!
//! A signed override value is `VALUE.KEY_ID.EXPIRY.MAC`. `MAC` is the lower-case hexadecimal
//! HMAC-SHA256 (RFC 2104) over `cutover.v1\nSERVICE\nCOLOR\nEXPIRY`, so that a token is worth nothing
//! for another service, another color or a later time. `EXPIRY` is in Unix seconds.

use crate::Color;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write as _;

/// The fewest bytes that a key may have.
pub const SHORTEST_KEY: usize = 16;

/// The environment variable that holds the key with this id.
pub fn variable(key_id: &str) -> String {
    format!("CUTOVER_KEY_{key_id}")
}

/// True for an id that can stand in a token and in an environment variable: letters, digits and
/// `_`, 1 to 32 of them.
pub fn is_key_id(id: &str) -> bool {
    (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A key that signs and verifies tokens.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

/// A key with fewer than [`SHORTEST_KEY`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key of {0} bytes is too short: 16 at least")]
pub struct ShortKey(usize);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// Takes the key's bytes as they are.
    pub fn new(bytes: &[u8]) -> Result<Self, ShortKey> {
        if bytes.len() < SHORTEST_KEY {
            return Err(ShortKey(bytes.len()));
        }
        Hmac::new_from_slice(bytes)
            .map(Self)
            .map_err(|_| ShortKey(bytes.len()))
    }

    fn mac(&self, service: &str, color: Color, expiry: u64) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(format!("cutover.v1\n{service}\n{color}\n{expiry}").as_bytes());
        mac
    }
}

/// Signs an override of `service` to `color` until `expiry` (Unix seconds): the whole value of the
/// header or cookie.
pub fn sign(
    key_id: &str,
    key: &Key,
    service: &str,
    color: Color,
    value: &str,
    expiry: u64,
) -> String {
    let mut token = format!("{value}.{key_id}.{expiry}.");
    for byte in key.mac(service, color, expiry).finalize().into_bytes() {
        let _infallible = write!(token, "{byte:02x}");
    }
    token
}

/// A signed override value, taken apart but not yet believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'v> {
    /// The override value in front of the token.
    pub value: &'v str,
    /// Id of the key that it claims.
    pub key_id: &'v str,
    expiry: u64,
    mac: [u8; 32],
}

impl<'v> Token<'v> {
    /// Takes a value apart; none when it has not the form of a signed one.
    pub fn parse(text: &'v str) -> Option<Self> {
        let mut parts = text.rsplitn(4, '.');
        let (mac, expiry) = (parts.next()?, parts.next()?);
        let (key_id, value) = (parts.next()?, parts.next()?);
        if expiry.is_empty() || !expiry.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(Self {
            value,
            key_id,
            expiry: expiry.parse().ok()?,
            mac: from_hex(mac)?,
        })
    }

    /// True when `key` signed it for this service and color; compares in constant time.
    pub fn is_signed_by(&self, key: &Key, service: &str, color: Color) -> bool {
        key.mac(service, color, self.expiry)
            .verify_slice(&self.mac)
            .is_ok()
    }

    /// True from the second of its expiry on.
    pub fn is_expired(&self, unix_seconds: u64) -> bool {
        unix_seconds >= self.expiry
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        let digit = |c: u8| {
            char::from(c)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}
