//! The Envoys that must show a switch: a list that somebody gave, or one that changes by itself.

use crate::Proxy;
use std::{future, net::SocketAddr};
use tokio::sync::watch;

/// Whom to ask. All clones are the same fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    members: watch::Receiver<Vec<Proxy>>,
}

/// Changes the members of a fleet; once it is dropped they stay as they are.
pub type Members = watch::Sender<Vec<Proxy>>;

impl Fleet {
    /// A fleet that stays as it is.
    pub fn of(members: Vec<Proxy>) -> Self {
        Self::changing(members).1
    }

    /// A fleet whose members come and go.
    pub fn changing(members: Vec<Proxy>) -> (Members, Self) {
        let (sender, members) = watch::channel(members);
        (sender, Self { members })
    }

    /// Those that there are now.
    pub fn now(&self) -> Vec<Proxy> {
        self.members.borrow().clone()
    }

    /// True when there is nobody to ask now.
    pub fn is_empty(&self) -> bool {
        self.members.borrow().is_empty()
    }

    /// Those that there are, once they are others than [`next`](Self::next) gave last; for ever, if
    /// nothing changes any more.
    pub(crate) async fn next(&mut self) -> Vec<Proxy> {
        match self.members.changed().await {
            Ok(()) => self.members.borrow_and_update().clone(),
            Err(_) => future::pending().await,
        }
    }

    /// Those that there are now, noted as seen.
    pub(crate) fn seen(&mut self) -> Vec<Proxy> {
        self.members.borrow_and_update().clone()
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
