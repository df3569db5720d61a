//! Envoy's admin interface: what a proxy shows of itself.

mod clock;
mod clusters;
mod running;
mod stats;
mod streams;

pub use clusters::Endpoints;
pub use stats::{Seen, Stats};

use crate::{Names, Proxy, resource::PLUGIN};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{error::Error as _, fmt::Write as _, net::SocketAddr, sync::Arc, time::Duration};

/// The longest wait for one answer. A stopped Envoy takes the connection and never answers.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same of a pod: the way leads through the API server and the node, which begin a tunnel for it.
const PATIENCE_WITH_PODS: Duration = Duration::from_secs(10);

/// A client for the admin interface of one Envoy; it keeps its connection.
#[derive(Clone, Debug)]
pub struct Admin {
    proxy: Proxy,
    names: Arc<[Names]>,
    patience: Duration,
    client: Client<HttpConnector, Empty<Bytes>>,
}

/// An admin interface that cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// No connection, or it broke.
    #[error("no answer from {proxy}: {reason}")]
    Unreachable {
        /// Whom.
        proxy: Proxy,
        /// In words.
        reason: String,
    },
    /// Something answered, but not as an Envoy does.
    #[error("{proxy} does not answer like an Envoy admin interface: {reason}")]
    Unexpected {
        /// Who.
        proxy: Proxy,
        /// In words.
        reason: String,
    },
}

impl Admin {
    /// A client for the filter and plugin that `cutover init` generates.
    pub fn new(proxy: impl Into<Proxy>) -> Self {
        let names = Names {
            filter: PLUGIN.to_owned(),
            plugin: PLUGIN.to_owned(),
        };
        Self::with_names(proxy, &[names])
    }

    /// A client for a filter and plugin that has one of these names.
    pub fn with_names(proxy: impl Into<Proxy>, names: &[Names]) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let proxy = proxy.into();
        let patience = match proxy.pod() {
            None => PATIENCE,
            Some(_) => PATIENCE_WITH_PODS,
        };
        Self {
            proxy,
            names: names.into(),
            patience,
            client,
        }
    }

    /// The same client, which waits no longer than this for an answer.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// How long it waits for an answer.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Whom it asks.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Where it asks.
    pub fn address(&self) -> SocketAddr {
        self.proxy.address()
    }

    /// Gets a path, with its query.
    pub async fn get(&self, path: &str) -> Result<Bytes, AdminError> {
        match self.ask(path).await? {
            (StatusCode::OK, body) => Ok(body),
            (status, _) => {
                let (path, _) = path.split_once('?').unwrap_or((path, ""));
                Err(self.unexpected(format!("{path} gives {status}")))
            }
        }
    }

    /// Posts to a path: Envoy changes nothing on a GET.
    pub async fn post(&self, path: &str) -> Result<(), AdminError> {
        match self.send(Method::POST, path).await? {
            (StatusCode::OK, _) => Ok(()),
            (status, _) => Err(self.unexpected(format!("{path} gives {status}"))),
        }
    }

    /// Gets a path, whatever the status.
    async fn ask(&self, path: &str) -> Result<(StatusCode, Bytes), AdminError> {
        self.send(Method::GET, path).await
    }

    async fn send(&self, method: Method, path: &str) -> Result<(StatusCode, Bytes), AdminError> {
        let unreachable = |reason: String| AdminError::Unreachable {
            proxy: self.proxy.clone(),
            reason: self.proxy.fault().unwrap_or(reason),
        };
        let uri = format!("http://{}{path}", self.address());
        let uri: Uri = uri
            .parse()
            .map_err(|_| self.unexpected(format!("`{uri}` is no URI")))?;
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .body(Empty::new())
            .map_err(|e| self.unexpected(e.to_string()))?;
        let answer = async {
            let response = self.client.request(request).await.map_err(|error| {
                unreachable(error.source().map_or_else(|| error.to_string(), root_cause))
            })?;
            let status = response.status();
            if let Some(fault) = self.proxy.fault().filter(|_| !status.is_success()) {
                // The tunnel's own answer, not Envoy's.
                return Err(unreachable(fault));
            }
            let body = response.into_body().collect().await;
            let body = body.map_err(|error| unreachable(error.to_string()))?;
            Ok((status, body.to_bytes()))
        };
        let patient = tokio::time::timeout(self.patience, answer).await;
        patient.unwrap_or_else(|_| {
            let waited = self.patience.as_millis();
            Err(unreachable(format!("it said nothing for {waited} ms")))
        })
    }

    fn unexpected(&self, reason: String) -> AdminError {
        AdminError::Unexpected {
            proxy: self.proxy.clone(),
            reason,
        }
    }

    /// Asks for the version of Envoy, such as `1.40.0`.
    pub async fn version(&self) -> Result<String, AdminError> {
        let body = self.get("/server_info").await?;
        let info: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        // COMMIT/VERSION/STATUS/BUILD/TLS
        let version = info
            .get("version")
            .and_then(|v| v.as_str())
            .and_then(|v| v.split('/').nth(1));
        version
            .map(str::to_owned)
            .ok_or_else(|| AdminError::Unexpected {
                proxy: self.proxy.clone(),
                reason: "/server_info has no version".to_owned(),
            })
    }

    /// Asks where the listeners listen: of use where the bootstrap says port 0. By name, in the
    /// order of the bootstrap.
    pub async fn listeners(&self) -> Result<Vec<(String, SocketAddr)>, AdminError> {
        let body = self.get("/listeners").await?;
        let text = String::from_utf8_lossy(&body);
        let listener = |line: &str| {
            let (name, address) = line.split_once("::")?;
            Some((name.to_owned(), address.trim().parse().ok()?))
        };
        Ok(text.lines().filter_map(listener).collect())
    }

    /// True once Envoy takes traffic (`/ready`).
    pub async fn is_ready(&self) -> bool {
        self.get("/ready").await.is_ok()
    }
}

/// The innermost error: "connection refused", not "client error (Connect)".
fn root_cause(mut error: &(dyn std::error::Error + 'static)) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Names as a regular expression that matches one of them and nothing else.
fn any_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.map(escaped).collect();
    format!("({})", names.join("|"))
}

/// A name as a regular expression that matches it and nothing else.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for c in name.chars() {
        if !c.is_alphanumeric() && c != '_' {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_matched_letter_by_letter() {
        assert_eq!(escaped("a.b-c_1"), r"a\.b\-c_1");
        assert_eq!(percent_encoded(r"^a\.b$"), "%5Ea%5C.b%24");
    }
}
