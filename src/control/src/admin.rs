//! Envoy's admin interface: what a proxy shows of itself.

mod clusters;
mod running;
mod streams;

pub use clusters::Endpoints;

use crate::{ModuleId, Names, Proxy, resource::PLUGIN};
use bytes::Bytes;
use cutover_core::Color;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{
    collections::BTreeMap, error::Error as _, fmt::Write as _, net::SocketAddr, sync::Arc,
    time::Duration,
};

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

/// What an Envoy shows of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The committed generation; 0 when its configuration has none, so that each worker switches
    /// for itself. None when the service does not show at all.
    pub generation: Option<u64>,
    /// The active color.
    pub active: Option<Color>,
    /// Pushes of an older generation, ignored.
    pub stale: u64,
    /// Pushes of the committed generation with another content, ignored.
    pub conflict: u64,
    /// Requests whose override was followed.
    pub override_used: u64,
    /// Requests whose override was refused.
    pub override_refused: u64,
}

/// What an Envoy shows of the filter and its services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Whether it has the filter at all, configured or not.
    pub has_filter: bool,
    /// By name. A service without any stat is absent.
    pub services: BTreeMap<String, Seen>,
    /// The module that runs. None where no configuration was accepted, or the module is too old to tell.
    pub module: Option<ModuleId>,
    /// Configurations that the filter refused.
    pub config_refused: u64,
    /// Files that Envoy refused (`update_rejected`): a configuration that the filter refused, or a
    /// file that is no ECDS file. The same bad configuration sent again is not counted again.
    pub update_rejected: u64,
    /// Configurations that Envoy could not put to use (`config_fail`).
    pub config_fail: u64,
    /// The `version_info` of the last file that Envoy accepted.
    pub version: Option<String>,
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

    /// Asks for the stats of one service, or of all.
    pub async fn stats(&self, service: Option<&str>) -> Result<Stats, AdminError> {
        let filter = any_of(self.names.iter().map(|names| names.filter.as_str()));
        let plugin = any_of(self.names.iter().map(|names| names.plugin.as_str()));
        let service = service.map_or_else(|| ".+".to_owned(), escaped);
        let regex = format!(
            r"^(wasmcustom\.cutover\.plugin\.{plugin}\.(service\.{service}\.[a-z_]+|config_refused|module_version|module_build)|extension_config_discovery\.http_filter\.{filter}\.(version_text|update_rejected|config_fail))$"
        );
        let text = self
            .get(&format!("/stats?filter={}", percent_encoded(&regex)))
            .await?;
        let stats = self.read_stats(&String::from_utf8_lossy(&text));
        if !stats.has_filter && stats.services.is_empty() && !self.may_hide_stats() {
            let filters: Vec<_> = self
                .names
                .iter()
                .map(|names| names.filter.as_str())
                .collect();
            let filter = filters.join("` or `");
            return Err(AdminError::Unexpected {
                proxy: self.proxy.clone(),
                reason: format!("its /stats know no filter `{filter}`"),
            });
        }
        Ok(stats)
    }

    /// True where istiod made the names: Istio's proxies keep most stats to themselves, so that one which
    /// is not there tells nothing.
    pub(crate) fn may_hide_stats(&self) -> bool {
        let of_istio = |names: &Names| names.filter.starts_with("extensions.istio.io/");
        self.names.iter().any(of_istio)
    }

    /// Asks for the stats of one service; a service that does not show is all empty.
    pub async fn seen(&self, service: &str) -> Result<Seen, AdminError> {
        let mut stats = self.stats(Some(service)).await?;
        Ok(stats.services.remove(service).unwrap_or_default())
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

    fn read_stats(&self, text: &str) -> Stats {
        const OURS: &str = "wasmcustom.cutover.plugin.";
        const ECDS: &str = "extension_config_discovery.http_filter.";
        let behind = |name: &str, head: &str, of: fn(&Names) -> &str| {
            let rest = name.strip_prefix(head)?;
            let mut found = self.names.iter().filter_map(|names| {
                let rest = rest.strip_prefix(of(names))?;
                Some(rest.strip_prefix('.')?.to_owned())
            });
            found.next()
        };
        let mut stats = Stats::default();
        let (mut version, mut build) = (0, 0);
        for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
            let number = value.parse::<u64>().unwrap_or_default();
            if let Some(name) = behind(name, ECDS, |names| &names.filter) {
                stats.has_filter = true;
                match name.as_str() {
                    "update_rejected" => stats.update_rejected = number,
                    "config_fail" => stats.config_fail = number,
                    "version_text" => stats.version = serde_json::from_str(value).ok(),
                    _ => {}
                }
            } else if let Some(name) = behind(name, OURS, |names| &names.plugin) {
                match name.as_str() {
                    "config_refused" => stats.config_refused = number,
                    "module_version" => version = number,
                    "module_build" => build = number,
                    _ => {}
                }
                let of_service = name
                    .strip_prefix("service.")
                    .and_then(|n| n.rsplit_once('.'));
                if let Some((service, stat)) = of_service {
                    set(
                        stats.services.entry(service.to_owned()).or_default(),
                        stat,
                        number,
                    );
                }
            }
        }
        stats.module = ModuleId::of_gauges(version, build);
        stats.version = stats.version.filter(|version| !version.is_empty());
        stats
    }
}

fn set(seen: &mut Seen, stat: &str, number: u64) {
    match stat {
        "generation" => seen.generation = Some(number),
        "active" => seen.active = u8::try_from(number).ok().and_then(Color::from_number),
        "stale" => seen.stale = number,
        "conflict" => seen.conflict = number,
        "override_used" => seen.override_used = number,
        "override_refused" => seen.override_refused = number,
        _ => {}
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
    fn stats_are_told_apart_by_service() {
        let admin = Admin::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let stats = admin.read_stats(concat!(
            "extension_config_discovery.http_filter.cutover.version_text: \"7\"\n",
            "extension_config_discovery.http_filter.cutover.config_fail: 2\n",
            "extension_config_discovery.http_filter.cutover.update_rejected: 1\n",
            "wasmcustom.cutover.plugin.cutover.config_refused: 3\n",
            "wasmcustom.cutover.plugin.cutover.module_version: 1002003\n",
            "wasmcustom.cutover.plugin.cutover.module_build: 10\n",
            "wasmcustom.cutover.plugin.cutover.service.default.active: 2\n",
            "wasmcustom.cutover.plugin.cutover.service.default.generation: 1763722800000\n",
            "wasmcustom.cutover.plugin.cutover.service.a.b.stale: 4\n",
            "wasmcustom.cutover.plugin.other.service.default.generation: 9\n",
        ));
        let default = Seen {
            generation: Some(1_763_722_800_000),
            active: Some(Color::Green),
            ..Seen::default()
        };
        let dotted = Seen {
            stale: 4,
            ..Seen::default()
        };
        assert_eq!(stats.services.get("default"), Some(&default));
        assert_eq!(stats.services.get("a.b"), Some(&dotted));
        assert_eq!(stats.services.len(), 2);
        assert_eq!(stats.version.as_deref(), Some("7"));
        assert_eq!(stats.module.unwrap().to_string(), "1.2.3 (00000000000a)");
        assert_eq!(
            (
                stats.update_rejected,
                stats.config_fail,
                stats.config_refused
            ),
            (1, 2, 3)
        );
    }

    #[test]
    fn a_name_is_matched_letter_by_letter() {
        assert_eq!(escaped("a.b-c_1"), r"a\.b\-c_1");
        assert_eq!(percent_encoded(r"^a\.b$"), "%5Ea%5C.b%24");
    }
}
