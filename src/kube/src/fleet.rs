//! The proxies that a plugin reaches: pods that come and go, and a way to the admin interface of each.

mod pod;
mod scope;
mod tunnel;

pub use pod::Phase;
pub use tunnel::TunnelFault;

use crate::{
    Cluster, ClusterError, Plugin,
    tail::{Change, Tail},
    task::Tied,
};
use futures_util::{StreamExt as _, stream};
use pod::Pod;
use scope::PodQuery;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
};
use tokio::sync::watch;
use tunnel::{Fault, Tunnel};

/// The proxies that a plugin reaches, kept current until it is dropped; its tunnels end with it.
#[derive(Debug)]
pub struct Fleet {
    seen: watch::Receiver<Seen>,
    notes: Vec<String>,
    _watching: Tied,
}

/// A pod with a proxy.
#[derive(Clone)]
pub struct PodProxy {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// What tells it from another pod of that name.
    pub uid: String,
    /// Where its Envoy's admin interface is reached from here: every connection goes through the API server.
    pub address: SocketAddr,
    /// What it is doing.
    pub phase: Phase,
    fault: Fault,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    pods: Vec<PodProxy>,
    interrupted: Option<ClusterError>,
}

impl PodProxy {
    /// Why the last connection to it failed, if it did: whoever asks it sees no more than a connection that breaks.
    pub fn fault(&self) -> Option<TunnelFault> {
        self.fault.last()
    }
}

/// `pod shop/web-7f`.
impl fmt::Display for PodProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pod {}/{}", self.namespace, self.name)
    }
}

impl fmt::Debug for PodProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({}, {})", self.phase, self.address)
    }
}

impl Cluster {
    /// Finds the proxies that a plugin reaches, and watches them from then on.
    pub async fn proxies(&self, plugin: &Plugin) -> Result<Fleet, ClusterError> {
        let (queries, notes) = self.pod_queries(plugin).await?;
        let mut tails = Vec::new();
        let mut crowd = Crowd::new(self.clone());
        for (number, PodQuery { path, labels }) in queries.into_iter().enumerate() {
            let query = format!("labelSelector={labels}");
            let (pods, tail) = Tail::start(self.clone(), path, query).await?;
            crowd.replace(number, &pods);
            tails.push((number, tail));
        }
        let (sender, seen) = watch::channel(crowd.seen());
        let changes = stream::select_all(tails.into_iter().map(|(number, tail)| {
            Box::pin(stream::unfold(
                tail,
                move |mut tail: Tail<Pod>| async move {
                    let change = tail.next().await;
                    Some(((number, change), tail))
                },
            ))
        }));
        let watching = Tied::start(async move {
            let mut changes = changes;
            while let Some((number, change)) = changes.next().await {
                crowd.take(number, change);
                if sender.send(crowd.seen()).is_err() {
                    return;
                }
            }
            // Nothing to watch: the tunnels, of which there are none, need no keeping either.
            sender.closed().await;
        });
        Ok(Fleet {
            seen,
            notes,
            _watching: watching,
        })
    }
}

impl Fleet {
    /// The proxies as they are now, by name. Pods that have ended are not among them.
    pub fn now(&self) -> Vec<PodProxy> {
        self.seen.borrow().pods.clone()
    }

    /// Why the pods are not seen for now, so that they may have changed since.
    pub fn interrupted(&self) -> Option<ClusterError> {
        self.seen.borrow().interrupted.clone()
    }

    /// Waits until the pods, or what they do, have changed since this was last called.
    pub async fn changed(&mut self) {
        if self.seen.changed().await.is_err() {
            // The watching task does not end before this is dropped.
            std::future::pending::<()>().await;
        }
    }

    /// What of the plugin's reach leads to no pod, in sentences.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// The pods that are seen, and their tunnels.
struct Crowd {
    cluster: Cluster,
    members: BTreeMap<String, Member>,
    interrupted: BTreeMap<usize, ClusterError>,
}

struct Member {
    proxy: PodProxy,
    /// The queries that it answers to.
    queries: BTreeSet<usize>,
    _tunnel: Tunnel,
}

impl Crowd {
    fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            members: BTreeMap::new(),
            interrupted: BTreeMap::new(),
        }
    }

    fn take(&mut self, query: usize, change: Change<Pod>) {
        match change {
            Change::All(pods) => self.replace(query, &pods),
            Change::Put(pod) => self.put(query, &pod),
            Change::Gone(pod) => self.remove(query, &pod.metadata.uid),
            Change::Broken(error) => {
                self.interrupted.insert(query, error);
            }
            Change::Back => {
                self.interrupted.remove(&query);
            }
        }
    }

    fn replace(&mut self, query: usize, pods: &[Pod]) {
        self.interrupted.remove(&query);
        let there: BTreeSet<_> = pods.iter().map(|pod| pod.metadata.uid.clone()).collect();
        let gone: Vec<_> = self
            .members
            .keys()
            .filter(|uid| !there.contains(*uid))
            .cloned()
            .collect();
        for uid in gone {
            self.remove(query, &uid);
        }
        for pod in pods {
            self.put(query, pod);
        }
    }

    fn put(&mut self, query: usize, pod: &Pod) {
        let uid = &pod.metadata.uid;
        let Some(phase) = pod.phase() else {
            return self.remove(query, uid);
        };
        if let Some(member) = self.members.get_mut(uid) {
            member.proxy.phase = phase;
            member.queries.insert(query);
            return;
        }
        let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
        let tunnel = Tunnel::open(&self.cluster, namespace, name);
        let proxy = PodProxy {
            namespace: namespace.clone(),
            name: name.clone(),
            uid: uid.clone(),
            address: tunnel.address,
            phase,
            fault: tunnel.fault.clone(),
        };
        let member = Member {
            proxy,
            queries: BTreeSet::from([query]),
            _tunnel: tunnel,
        };
        self.members.insert(uid.clone(), member);
    }

    fn remove(&mut self, query: usize, uid: &str) {
        if let Some(member) = self.members.get_mut(uid) {
            member.queries.remove(&query);
            if member.queries.is_empty() {
                self.members.remove(uid);
            }
        }
    }

    fn seen(&self) -> Seen {
        let mut pods: Vec<_> = self
            .members
            .values()
            .map(|member| member.proxy.clone())
            .collect();
        pods.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        Seen {
            pods,
            interrupted: self.interrupted.values().next().cloned(),
        }
    }
}
