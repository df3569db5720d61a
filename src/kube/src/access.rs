//! Which API server, and as whom: as kubectl finds it out.

mod expiry;
mod files;

use crate::Cluster;
use hyper_util::client::proxy::matcher::Matcher;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use std::{
    error::Error as _,
    path::{Path, PathBuf},
    time::Duration,
};

/// The longest wait for a connection to the API server.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// How the API server is chosen, as by kubectl's options of these names.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// A kubeconfig file, instead of those of `KUBECONFIG`, of `~/.kube/config` and of a pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// A context, instead of the current one.
    pub context: Option<String>,
}

/// No API server can be asked, for it is not known which, or as whom. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is nothing to read.
    #[error("there is no kubeconfig: {0}")]
    NoKubeconfig(String),
    /// A file cannot be used.
    #[error("the kubeconfig {} cannot be used: {reason}", .path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No context is current.
    #[error("the kubeconfig has no current context: name one of {}", listed(.known))]
    NoContext {
        /// The contexts that there are.
        known: Vec<String>,
    },
    /// There is no such context.
    #[error("the kubeconfig has no context `{name}`: it has {}", listed(.known))]
    UnknownContext {
        /// What was asked for.
        name: String,
        /// The contexts that there are.
        known: Vec<String>,
    },
    /// The context cannot be used.
    #[error("the context `{context}` cannot be used: {reason}")]
    Context {
        /// The context.
        context: String,
        /// Why.
        reason: String,
    },
    /// This is a pod without a usable service account.
    #[error("the service account of this pod cannot be used: {0}")]
    InCluster(String),
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        some => some.join(", "),
    }
}

impl Cluster {
    /// Finds out which API server is meant and as whom to ask it, and runs a credential plugin where the
    /// kubeconfig names one. Nothing is sent yet.
    pub async fn connect(access: &Access) -> Result<Self, ConnectError> {
        let mut expires = None;
        let mut context_name = None;
        let mut config = match files::read(access.kubeconfig.as_deref())? {
            Some(files) => {
                let (context, config) = of_context(files, access.context.as_deref()).await?;
                expires = expiry::of_client_certificate(&config.auth_info);
                context_name = Some(context);
                config
            }
            None => Config::incluster().map_err(|error| ConnectError::InCluster(cause(&error)))?,
        };
        config.connect_timeout = Some(CONNECT_PATIENCE);
        // Repeating a write is decided where it is known what it writes.
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        let namespace = config.default_namespace.clone();
        let failed = |reason: String| match &context_name {
            Some(context) => ConnectError::Context {
                context: context.clone(),
                reason,
            },
            None => ConnectError::InCluster(reason),
        };
        // A credential plugin is a process that may ask its user something.
        let client = tokio::task::spawn_blocking(move || Client::try_from(config)).await;
        let client = match client {
            Ok(client) => client.map_err(|error| failed(cause(&error)))?,
            Err(error) => return Err(failed(error.to_string())),
        };
        Ok(Self::new(client, &server, &namespace, expires))
    }
}

async fn of_context(
    files: Kubeconfig,
    wanted: Option<&str>,
) -> Result<(String, Config), ConnectError> {
    let known: Vec<_> = files.contexts.iter().map(|one| one.name.clone()).collect();
    let current = || {
        let current = files.current_context.clone();
        current.filter(|name| !name.is_empty())
    };
    let Some(name) = wanted.map(str::to_owned).or_else(current) else {
        return Err(ConnectError::NoContext { known });
    };
    if !known.contains(&name) {
        return Err(ConnectError::UnknownContext { name, known });
    }
    let context = |reason: String| ConnectError::Context {
        context: name.clone(),
        reason,
    };
    let named = files.contexts.iter().find(|one| one.name == name);
    let named = named.and_then(|one| one.context.as_ref());
    let user = named.and_then(|one| one.user.clone());
    if let Some(user) = user.filter(|user| !user.is_empty())
        && !files.auth_infos.iter().any(|one| one.name == user)
    {
        return Err(context(format!("the kubeconfig has no user `{user}`")));
    }
    let cluster = named.map(|one| one.cluster.clone()).unwrap_or_default();
    let own_proxy = files
        .clusters
        .iter()
        .find(|one| one.name == cluster)
        .and_then(|one| one.cluster.as_ref()?.proxy_url.clone())
        .filter(|proxy| !proxy.is_empty());
    let options = KubeConfigOptions {
        context: Some(name.clone()),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(files, &options).await;
    let mut config = config.map_err(|error| context(in_words(&error, &cluster)))?;
    config.proxy_url = match own_proxy {
        Some(proxy) => {
            let url = proxy.parse();
            Some(url.map_err(|error| context(format!("`proxy-url: {proxy}`: {error}")))?)
        }
        None => config.proxy_url.filter(|_| is_proxied(&config.cluster_url)),
    };
    Ok((name, config))
}

/// Whether the proxy of the environment is meant for that server: `NO_PROXY` excepts hosts, and loopback
/// is never behind a proxy (as Go's net/http has it, which kubectl uses).
fn is_proxied(server: &hyper::Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    !loopback && host != "localhost" && Matcher::from_env().intercept(server).is_some()
}

fn in_words(error: &KubeconfigError, cluster: &str) -> String {
    match error {
        KubeconfigError::LoadClusterOfContext(_) => {
            format!("the kubeconfig has no cluster `{cluster}`")
        }
        KubeconfigError::MissingClusterUrl => format!("cluster `{cluster}` has no server"),
        other => cause(other),
    }
}

/// An error with what caused it, each said once.
pub(crate) fn cause(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut inner = error.source();
    while let Some(error) = inner {
        let more = error.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        inner = error.source();
    }
    said
}

/// A file that cannot be read, in words.
fn unreadable(path: &Path, error: &KubeconfigError) -> ConnectError {
    let reason = match error {
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        KubeconfigError::Parse(error) => {
            // The parser shows the place in several lines.
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        }
        other => match other.source() {
            Some(_) => cause(other),
            None => other.to_string(),
        },
    };
    ConnectError::Kubeconfig {
        path: path.to_owned(),
        reason,
    }
}

#[cfg(test)]
#[path = "access/access_tests.rs"]
mod tests;
