//! The Envoys that must show a switch: a list that somebody gave, or one that changes by itself.

use crate::Proxy;
use cutover_kube::{Phase, PodProxy};
use std::{future, net::SocketAddr, sync::Arc};
use tokio::sync::watch;

/// Whom to ask. All clones are the same fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    crowd: watch::Receiver<Crowd>,
    notes: Arc<[String]>,
}

/// Changes the members of a fleet; once it is dropped they stay as they are.
#[derive(Debug)]
pub struct Members(watch::Sender<Crowd>);

#[derive(Clone, Debug, Default)]
struct Crowd {
    members: Vec<Proxy>,
    apart: Vec<String>,
    blind: Option<String>,
}

impl Fleet {
    /// A fleet that stays as it is.
    pub fn of(members: Vec<Proxy>) -> Self {
        Self::changing(members).1
    }

    /// A fleet whose members come and go.
    pub fn changing(members: Vec<Proxy>) -> (Members, Self) {
        let (sender, crowd) = watch::channel(Crowd {
            members,
            ..Crowd::default()
        });
        let notes = Arc::new([]);
        (Members(sender), Self { crowd, notes })
    }

    /// The pods that a plugin reaches, as long as somebody has this fleet.
    ///
    /// Only proxies that run are members: one that starts takes the configuration when it does, and
    /// one that stops takes no new requests.
    pub fn of_pods(mut pods: cutover_kube::Fleet) -> Self {
        let notes = pods.notes().into();
        let (sender, crowd) = watch::channel(Crowd::of(&pods));
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = pods.changed() => sender.send_replace(Crowd::of(&pods)),
                    () = sender.closed() => return,
                };
            }
        });
        Self { crowd, notes }
    }

    /// Those that there are now.
    pub fn now(&self) -> Vec<Proxy> {
        self.crowd.borrow().members.clone()
    }

    /// True when there is nobody to ask now.
    pub fn is_empty(&self) -> bool {
        self.crowd.borrow().members.is_empty()
    }

    /// Pods that are not asked, and why: `pod shop/web-7f is starting`.
    pub fn apart(&self) -> Vec<String> {
        self.crowd.borrow().apart.clone()
    }

    /// Why pods that come and go are not seen for now.
    pub fn blind(&self) -> Option<String> {
        self.crowd.borrow().blind.clone()
    }

    /// What of a plugin's reach leads to no pod, in sentences.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Those that there are, once they are others than were seen last; for ever, if nothing changes
    /// any more.
    pub(crate) async fn next(&mut self) -> Vec<Proxy> {
        match self.crowd.changed().await {
            Ok(()) => self.seen(),
            Err(_) => future::pending().await,
        }
    }

    /// Those that there are now, noted as seen.
    pub(crate) fn seen(&mut self) -> Vec<Proxy> {
        self.crowd.borrow_and_update().members.clone()
    }
}

impl Members {
    /// Makes these the members.
    pub fn set(&self, members: Vec<Proxy>) {
        self.0.send_modify(|crowd| crowd.members = members);
    }
}

impl Crowd {
    fn of(pods: &cutover_kube::Fleet) -> Self {
        let now = pods.now();
        let (members, apart): (Vec<_>, Vec<_>) =
            now.iter().partition(|pod| pod.phase == Phase::Running);
        let word = |pod: &&PodProxy| format!("{pod} is {}", pod.phase);
        Self {
            members: members.into_iter().map(Proxy::from).collect(),
            apart: apart.iter().map(word).collect(),
            blind: pods.interrupted().map(|error| error.to_string()),
        }
    }
}

impl Default for Fleet {
    fn default() -> Self {
        Self::of(vec![])
    }
}

impl From<Vec<SocketAddr>> for Fleet {
    fn from(addresses: Vec<SocketAddr>) -> Self {
        Self::of(addresses.into_iter().map(Proxy::from).collect())
    }
}

impl From<SocketAddr> for Fleet {
    fn from(address: SocketAddr) -> Self {
        vec![address].into()
    }
}
