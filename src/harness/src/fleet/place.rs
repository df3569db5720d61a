//! Addresses of a fleet, as people write them.

use std::net::SocketAddr;

use hyper::Uri;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};

use crate::load::{Door, Reading};

/// One proxy of a fleet that is there already: its name in the history, and where it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    name: String,
    host_and_port: String,
    host: Authority,
    path: PathAndQuery,
    anew: bool,
}

/// A text that is no address of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlace {
    /// Not a URL with a host.
    #[error("`{0}` is not a URL such as http://127.0.0.1:8080/")]
    NotAUrl(String),
    /// Another scheme than http.
    #[error("`{0}` is not asked by plain HTTP: only http:// can be asked")]
    NotHttp(String),
    /// A host that no request can name.
    #[error("`{0}` is not a host name such as shop.example")]
    Host(String),
}

impl Place {
    /// Reads a URL; its host and port name the proxy, and requests ask for its host.
    ///
    /// # Errors
    /// Anything else than `http://HOST[:PORT][/PATH]`.
    pub fn parse(url: &str) -> Result<Self, InvalidPlace> {
        let invalid = || InvalidPlace::NotAUrl(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        let host = uri.authority().ok_or_else(invalid)?.clone();
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => {}
            Some(_) => return Err(InvalidPlace::NotHttp(url.to_owned())),
            None => return Err(invalid()),
        }
        if host.host().is_empty() || host.as_str().contains('@') {
            return Err(invalid());
        }
        let port = host.port_u16().unwrap_or(80);
        let host_and_port = format!("{}:{port}", host.host());
        let path = uri.path_and_query().cloned();
        Ok(Self {
            name: host_and_port.clone(),
            host_and_port,
            host,
            path: path.unwrap_or_else(|| PathAndQuery::from_static("/")),
            anew: false,
        })
    }

    /// The same with another name in the history.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }

    /// The same with another host that requests ask for.
    ///
    /// # Errors
    /// A text that no request can name as its host.
    pub fn asking_for(self, host: &str) -> Result<Self, InvalidPlace> {
        let invalid = |_| InvalidPlace::Host(host.to_owned());
        let host = host.parse::<Authority>().map_err(invalid)?;
        Ok(Self { host, ..self })
    }

    /// The same, asked on a new connection for each request of HTTP/1.1.
    #[must_use]
    pub fn anew(self) -> Self {
        Self { anew: true, ..self }
    }

    /// Its name in the history.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host that requests ask for.
    pub fn host(&self) -> &str {
        self.host.as_str()
    }

    /// Looks its address up.
    pub(super) async fn door(&self, reading: Reading) -> std::io::Result<Door> {
        let address: SocketAddr = tokio::net::lookup_host(&self.host_and_port)
            .await?
            .next()
            .ok_or_else(|| std::io::Error::other("no address belongs to it"))?;
        Ok(Door {
            address,
            host: self.host.clone(),
            path: self.path.clone(),
            reading,
            anew: self.anew,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expect: Result<(&str, &str), &str>) {
        let place = Place::parse(url);
        let read = place.map(|place| (place.name.clone(), place.path.to_string()));
        let expect = expect.map(|(name, path)| (name.to_owned(), path.to_owned()));
        assert_eq!(
            read.map_err(|error| error.to_string()),
            expect.map_err(str::to_owned)
        );
    }

    #[test]
    fn a_url_names_a_proxy_and_a_path() {
        check("http://127.0.0.1:8080", Ok(("127.0.0.1:8080", "/")));
        check(
            "http://shop.example/cart?id=7",
            Ok(("shop.example:80", "/cart?id=7")),
        );
        check("http://[::1]:8080/a", Ok(("[::1]:8080", "/a")));
    }

    #[test]
    fn what_cannot_be_asked_is_no_place() {
        check(
            "https://shop.example/",
            Err("`https://shop.example/` is not asked by plain HTTP: only http:// can be asked"),
        );
        for url in [
            "127.0.0.1:8080",
            "http://",
            "/cart",
            "http://me:pw@shop.example/",
        ] {
            check(
                url,
                Err(&format!(
                    "`{url}` is not a URL such as http://127.0.0.1:8080/"
                )),
            );
        }
    }

    #[test]
    fn requests_may_ask_for_another_host() {
        let place = Place::parse("http://127.0.0.1:8080/").unwrap();
        let named = place
            .clone()
            .asking_for("shop.example")
            .unwrap()
            .named("gw-0");
        assert_eq!(
            (named.name(), named.host.as_str()),
            ("gw-0", "shop.example")
        );
        assert!(place.asking_for("shop example").is_err());
    }
}
