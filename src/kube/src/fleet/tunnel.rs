//! A way to the admin interface of a pod's Envoy: a port of loopback whose connections go through the API server.

use crate::{Cluster, ClusterError, task::Tied};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::Portforwarder};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Where Istio puts Envoy's admin interface, on the pod's loopback.
const ADMIN: u16 = 15000;
/// How long is waited for the word of a pod on why a connection ended, and for a client to read an answer.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a pod's admin interface cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TunnelFault {
    /// Whoever asks may not forward ports.
    #[error("port-forward is not allowed: {0}")]
    NotAllowed(String),
    /// There is no such pod any more.
    #[error("the pod is gone")]
    Gone,
    /// The pod has nothing there that answers.
    #[error("port {ADMIN} of the pod does not answer: {0}")]
    Silent(String),
    /// The API server cannot do it.
    #[error("port-forward failed: {0}")]
    Failed(ClusterError),
    /// No port could be opened on this machine.
    #[error("no port can be opened on loopback: {0}")]
    NoPort(String),
}

/// The last fault of a tunnel.
#[derive(Clone, Debug, Default)]
pub(super) struct Fault(Arc<Mutex<Option<TunnelFault>>>);

impl Fault {
    pub(super) fn last(&self) -> Option<TunnelFault> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, fault: Option<TunnelFault>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

/// Listens until it is dropped; its connections end with it.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) address: SocketAddr,
    pub(super) fault: Fault,
    _listening: Option<Tied>,
}

impl Tunnel {
    /// Opens a port. The API server is asked when somebody connects to it, and for every connection.
    pub(super) fn open(cluster: &Cluster, namespace: &str, pod: &str) -> Self {
        let fault = Fault::default();
        let (listener, address) = match listen() {
            Ok(listening) => listening,
            Err(error) => {
                fault.set(Some(TunnelFault::NoPort(error.to_string())));
                return Self {
                    address: (Ipv4Addr::LOCALHOST, 0).into(),
                    fault,
                    _listening: None,
                };
            }
        };
        let way = Way {
            cluster: cluster.clone(),
            pods: Api::namespaced(cluster.client(), namespace),
            pod: pod.to_owned(),
            fault: fault.clone(),
        };
        let listening = Tied::start(serve(listener, Arc::new(way)));
        Self {
            address,
            fault,
            _listening: Some(listening),
        }
    }
}

fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, address))
}

async fn serve(listener: TcpListener, way: Arc<Way>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((local, _)) => {
                    let way = Arc::clone(&way);
                    connections.spawn(async move { way.carry(local).await });
                }
                // Out of file descriptors: the next one may find some.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

struct Way {
    cluster: Cluster,
    pods: Api<Pod>,
    pod: String,
    fault: Fault,
}

/// Ends with whoever holds it.
struct Forwarding(Portforwarder);

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Way {
    /// Carries one connection to its end. Where there is no way, an HTTP client is answered why.
    async fn carry(&self, mut local: TcpStream) {
        let fault = match self.relay(&mut local).await {
            Ok(()) => return,
            Err(fault) => fault,
        };
        self.fault.set(Some(fault.clone()));
        let why = fault.to_string();
        let _ = tokio::time::timeout(LAST_WORDS, tell(local, &why)).await;
    }

    /// Carries what is said both ways, until one of them ends. A fault where nothing came back.
    async fn relay(&self, local: &mut TcpStream) -> Result<(), TunnelFault> {
        let mut forwarding = Forwarding(self.forward().await?);
        let (Some(remote), Some(last_words)) = (
            forwarding.0.take_stream(ADMIN),
            forwarding.0.take_error(ADMIN),
        ) else {
            return Err(TunnelFault::Silent("no stream was opened".to_owned()));
        };
        let (mut from_pod, mut to_pod) = tokio::io::split(remote);
        let (mut from_here, mut to_here) = local.split();
        let up = tokio::io::copy(&mut from_here, &mut to_pod);
        let mut came_back = false;
        let down = async {
            let mut buffer = vec![0; 16 * 1024];
            loop {
                match from_pod.read(&mut buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(length) => {
                        if !came_back {
                            came_back = true;
                            self.fault.set(None);
                        }
                        let bytes = buffer.get(..length).unwrap_or_default();
                        if to_here.write_all(bytes).await.is_err() {
                            return;
                        }
                    }
                }
            }
        };
        let closed_here = tokio::select! {
            _ = up => true,
            () = down => false,
        };
        if came_back || closed_here {
            return Ok(());
        }
        let last_words = tokio::time::timeout(LAST_WORDS, last_words).await;
        let why = last_words.ok().flatten().unwrap_or_default();
        Err(TunnelFault::Silent(match why.trim() {
            "" => "it closed the connection".to_owned(),
            why => in_short(why),
        }))
    }

    async fn forward(&self) -> Result<Portforwarder, TunnelFault> {
        let forward = async {
            let forward = self.pods.portforward(&self.pod, &[ADMIN]).await;
            forward.map_err(|error| self.cluster.failed(error))
        };
        self.cluster.bounded(forward).await.map_err(|failed| {
            let code = failed.code();
            match failed.error {
                ClusterError::Forbidden(why) => TunnelFault::NotAllowed(why),
                ClusterError::NotFound(_) => TunnelFault::Gone,
                // What the kubelet says comes as an error of the API server.
                ClusterError::Refused { message, .. } if matches!(code, 400 | 500) => {
                    TunnelFault::Silent(in_short(&message))
                }
                error => TunnelFault::Failed(error),
            }
        })
    }
}

/// The kubelet tells of both families of addresses, and names the sandbox, before it comes to the point.
fn in_short(why: &str) -> String {
    if why.contains("connection refused") {
        return "connection refused".to_owned();
    }
    why.trim().to_owned()
}

/// Answers an HTTP client, and lets it read the answer.
async fn tell(mut local: TcpStream, why: &str) -> io::Result<()> {
    let body = format!("{why}\n");
    let answer = format!(
        "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    local.write_all(answer.as_bytes()).await?;
    local.shutdown().await?;
    // Closed with a request unread the kernel would take the answer back.
    tokio::io::copy(&mut local, &mut tokio::io::sink()).await?;
    Ok(())
}
