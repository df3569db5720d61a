//! Until when a client certificate is good: an API server that refuses it says no more than Unauthorized.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use kube::config::AuthInfo;
use std::fs;

/// The end of the client certificate's validity; none when there is no certificate, or it cannot be read.
pub(super) fn of_client_certificate(user: &AuthInfo) -> Option<Timestamp> {
    let pem = match (&user.client_certificate_data, &user.client_certificate) {
        (Some(data), _) => STANDARD.decode(data.trim()).ok()?,
        (None, Some(path)) => fs::read(path).ok()?,
        (None, None) => return None,
    };
    of_pem(&String::from_utf8(pem).ok()?)
}

fn of_pem(pem: &str) -> Option<Timestamp> {
    let (_, body) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = body.split_once("-----END CERTIFICATE-----")?;
    let body: String = body.split_whitespace().collect();
    not_after(&STANDARD.decode(body).ok()?)
}

/// `Certificate.tbsCertificate.validity.notAfter` of RFC 5280, 4.1.
fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    // [0] version, which may be missing, serial number, signature algorithm, issuer.
    if element(rest)?.0 == 0xa0 {
        rest = element(rest)?.2;
    }
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _, after) = element(validity)?;
    let (tag, time, _) = element(after)?;
    let time = str::from_utf8(time).ok()?.strip_suffix('Z')?;
    // UTCTime has two digits of the year: those below 50 are of this century.
    let century = match tag {
        0x17 if time < "5" => "20",
        0x17 => "19",
        _ => "",
    };
    let time = DateTime::strptime("%Y%m%d%H%M%S", format!("{century}{time}")).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The tag, the content and what comes behind of the first element (DER).
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        let add = |length: usize, byte: &u8| (length << 8) | usize::from(*byte);
        (bytes.iter().fold(0, add), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
#[path = "expiry_tests.rs"]
mod tests;
