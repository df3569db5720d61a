//! Addresses as people write them.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

/// `HOST:PORT`, the host being an IP address or a DNS name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

/// A text that is no `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not HOST:PORT, such as 127.0.0.1:8081")]
pub struct InvalidEndpoint(String);

impl Endpoint {
    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// True when the host is an IP address, so that nothing has to be resolved.
    pub fn is_ip(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let invalid = || InvalidEndpoint(text.to_owned());
        let (host, port) = text.split_once(':').ok_or_else(invalid)?;
        let port = port.parse().map_err(|_| invalid())?;
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if host.is_empty() || !host.chars().all(letters) {
            return Err(invalid());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[track_caller]
    fn check(text: &str, host_and_port: Option<(&str, u16)>) {
        let parsed = text.parse::<Endpoint>().ok();
        assert_eq!(parsed.as_ref().map(|e| (e.host(), e.port())), host_and_port);
        if let Some(endpoint) = parsed {
            assert_eq!(endpoint.to_string(), text);
        }
    }

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        check("127.0.0.1:8080", Some(("127.0.0.1", 8080)));
        check("[::1]:8080", Some(("::1", 8080)));
        check("app-v1.shop.svc:80", Some(("app-v1.shop.svc", 80)));
    }

    #[test]
    fn what_could_break_out_of_the_yaml_is_no_endpoint() {
        check("app-v1", None);
        check(":80", None);
        check("app:99999", None);
        check("app\", port: 1 }:80", None);
        check("::1:80", None);
    }
}
