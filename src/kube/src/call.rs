//! One question to the API server: in bounded time, and with an answer or one sentence.

use crate::access::cause;
use hyper::{Method, Request};
use jiff::Timestamp;
use kube::{Client, core::Status};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{error::Error as StdError, sync::Arc, time::Duration};

/// The longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a request is sent again that the server put off (429: it did nothing).
const TRIES: u32 = 4;

/// An API server, and as whom it is asked.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    server: Arc<str>,
    default_namespace: Arc<str>,
    /// The end of the client certificate.
    expires: Option<Timestamp>,
    patience: Duration,
}

/// Why the API server did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// No connection, or no answer.
    #[error("no answer from the API server at {server}: {reason}")]
    Unreachable {
        /// Its URL.
        server: String,
        /// In words.
        reason: String,
        /// Whether the request may have reached it: then a write may have been done.
        sent: bool,
    },
    /// It does not know who asks.
    #[error("the API server at {server} does not take these credentials: {reason}")]
    Unauthorized {
        /// Its URL.
        server: String,
        /// In words.
        reason: String,
    },
    /// Whoever asks may not.
    #[error("the API server does not allow it: {0}")]
    Forbidden(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It says no for another reason.
    #[error("the API server refuses ({code}): {message}")]
    Refused {
        /// The status.
        code: u16,
        /// In its words.
        message: String,
    },
    /// It does not answer as an API server does.
    #[error("the answer of {server} is not that of a Kubernetes API server: {reason}")]
    Unexpected {
        /// Its URL.
        server: String,
        /// In words.
        reason: String,
    },
}

/// An error with what the server said, where it said something: some want to look closer.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: ClusterError,
    pub(crate) status: Option<Box<Status>>,
}

impl From<Failed> for ClusterError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

impl Failed {
    pub(crate) fn code(&self) -> u16 {
        self.status.as_ref().map_or(0, |status| status.code)
    }
}

impl Cluster {
    pub(crate) fn new(
        client: Client,
        server: &str,
        default_namespace: &str,
        expires: Option<Timestamp>,
    ) -> Self {
        Self {
            client,
            server: server.trim_end_matches('/').into(),
            default_namespace: default_namespace.into(),
            expires,
            patience: PATIENCE,
        }
    }

    /// The same, which waits no longer than this for an answer.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// The API server's URL.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The namespace of the context; `default` when it names none.
    pub fn default_namespace(&self) -> &str {
        &self.default_namespace
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Gets what is there.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failed> {
        self.ask(Method::GET, path, "application/json", &Value::Null)
            .await
    }

    /// Sends a document, or none.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: &Value,
    ) -> Result<T, Failed> {
        let bytes = match body {
            Value::Null => Vec::new(),
            body => serde_json::to_vec(body).unwrap_or_default(),
        };
        let answer = async {
            let mut tries = 1;
            loop {
                let request = Request::builder()
                    .method(method.clone())
                    .uri(path)
                    .header("accept", "application/json")
                    .header("content-type", content_type)
                    .body(bytes.clone())
                    .map_err(|error| self.unexpected(error.to_string()))?;
                match self.client.request(request).await {
                    Ok(answer) => return Ok(answer),
                    Err(kube::Error::Api(status)) if status.code == 429 && tries < TRIES => {
                        let details = status.details.as_ref();
                        let pause = details.map_or(0, |details| details.retry_after_seconds);
                        tokio::time::sleep(Duration::from_secs(u64::from(pause.clamp(1, 5)))).await;
                        tries += 1;
                    }
                    Err(error) => return Err(self.failed(error)),
                }
            }
        };
        self.bounded(answer).await
    }

    /// Waits for no longer than the patience.
    pub(crate) async fn bounded<T>(
        &self,
        answer: impl Future<Output = Result<T, Failed>>,
    ) -> Result<T, Failed> {
        let patient = tokio::time::timeout(self.patience, answer).await;
        patient.unwrap_or_else(|_| {
            let seconds = self.patience.as_secs_f64();
            Err(Failed {
                error: self.unreachable(format!("it said nothing for {seconds} s"), true),
                status: None,
            })
        })
    }

    pub(crate) fn unreachable(&self, reason: String, sent: bool) -> ClusterError {
        ClusterError::Unreachable {
            server: self.server.to_string(),
            reason,
            sent,
        }
    }

    fn unexpected(&self, reason: String) -> Failed {
        Failed {
            error: ClusterError::Unexpected {
                server: self.server.to_string(),
                reason,
            },
            status: None,
        }
    }

    /// An error of kube-rs in our words.
    pub(crate) fn failed(&self, error: kube::Error) -> Failed {
        let plain = |error: ClusterError| Failed {
            error,
            status: None,
        };
        match error {
            kube::Error::Api(status) => Failed {
                error: self.refused(&status),
                status: Some(status),
            },
            kube::Error::Auth(error) => plain(self.unauthorized(cause(&error))),
            kube::Error::SerdeError(error) => self.unexpected(error.to_string()),
            kube::Error::FromUtf8(error) => self.unexpected(error.to_string()),
            kube::Error::Service(error) => {
                if let Some(kube::Error::Auth(error)) = error.downcast_ref() {
                    return plain(self.unauthorized(cause(error)));
                }
                let (reason, sent) = broken(&*error);
                plain(self.unreachable(reason, sent))
            }
            kube::Error::HyperError(error) => {
                let (reason, sent) = broken(&error);
                plain(self.unreachable(reason, sent))
            }
            other => plain(self.unreachable(cause(&other), true)),
        }
    }

    fn unauthorized(&self, reason: String) -> ClusterError {
        ClusterError::Unauthorized {
            server: self.server.to_string(),
            reason,
        }
    }

    fn refused(&self, status: &Status) -> ClusterError {
        let message = match status.message.trim() {
            "" => status.reason.clone(),
            message => message.to_owned(),
        };
        match status.code {
            401 => self.unauthorized(match self.expires {
                Some(end) if end < Timestamp::now() => {
                    format!("the client certificate expired at {end}")
                }
                _ => message,
            }),
            403 => ClusterError::Forbidden(message),
            404 => ClusterError::NotFound(message),
            code => ClusterError::Refused { code, message },
        }
    }
}

/// Why a connection broke, and whether a request may have gone over it.
fn broken(error: &(dyn StdError + 'static)) -> (String, bool) {
    let chain = || std::iter::successors(Some(error), |&error| error.source());
    let connecting = chain().any(|error| {
        error
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect)
    });
    // The innermost says it best: `Connection refused (os error 111)`.
    let said = chain().last().map(ToString::to_string).unwrap_or_default();
    let reason = match said.as_str() {
        "deadline has elapsed" if connecting => "no connection was made in time".to_owned(),
        tls if tls.contains("invalid peer certificate") => {
            let why = tls.trim_start_matches("invalid peer certificate: ");
            let hint = match why {
                "UnknownIssuer" => "it is not signed by the authority of the kubeconfig",
                other => other,
            };
            format!("its certificate cannot be trusted: {hint}")
        }
        other => other.to_owned(),
    };
    (reason, !connecting)
}
