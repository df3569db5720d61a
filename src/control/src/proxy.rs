//! An Envoy: how people call it, and where it is asked.

use cutover_kube::PodProxy;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
};

/// What stands before the name of a pod.
const POD: &str = "pod ";

/// An Envoy whose admin interface can be asked.
///
/// One that was named by its address is called so. A pod is reached through a tunnel, whose address
/// says nothing to anybody.
#[derive(Clone)]
pub struct Proxy {
    name: Arc<str>,
    address: SocketAddr,
    /// Knows why the tunnel fails.
    tunnel: Option<Arc<PodProxy>>,
}

impl Proxy {
    /// The sidecar or gateway in a pod, reached at this address.
    pub fn in_pod(namespace: &str, pod: &str, address: SocketAddr) -> Self {
        Self {
            name: format!("{POD}{namespace}/{pod}").into(),
            address,
            tunnel: None,
        }
    }

    /// How people call it: its address, or `pod NAMESPACE/NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `NAMESPACE/NAME`; none of one that is no pod.
    pub fn pod(&self) -> Option<&str> {
        self.name.strip_prefix(POD)
    }

    /// Where its admin interface is reached.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Why the last connection to a pod failed: at its address it only broke.
    pub(crate) fn fault(&self) -> Option<String> {
        let fault = self.tunnel.as_ref()?.fault()?;
        Some(fault.to_string())
    }

    /// An object with `admin`, and `pod` where it is one.
    pub fn to_json(&self) -> Value {
        match self.pod() {
            None => json!({ "admin": self.name() }),
            Some(pod) => json!({ "admin": self.name(), "pod": pod }),
        }
    }

    fn key(&self) -> (&str, SocketAddr) {
        (&self.name, self.address)
    }
}

impl From<SocketAddr> for Proxy {
    fn from(address: SocketAddr) -> Self {
        Self {
            name: address.to_string().into(),
            address,
            tunnel: None,
        }
    }
}

impl From<&PodProxy> for Proxy {
    fn from(pod: &PodProxy) -> Self {
        Self {
            tunnel: Some(Arc::new(pod.clone())),
            ..Self::in_pod(&pod.namespace, &pod.name, pod.address)
        }
    }
}

impl PartialEq for Proxy {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Proxy {}

impl PartialOrd for Proxy {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Proxy {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for Proxy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({} at {})", self.name, self.address)
    }
}

impl Serialize for Proxy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_called_by_its_name_and_another_envoy_by_its_address() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9901));
        let pod = Proxy::in_pod("shop", "web-7f", address);
        assert_eq!(pod.to_string(), "pod shop/web-7f");
        assert_eq!(
            pod.to_json(),
            json!({ "admin": "pod shop/web-7f", "pod": "shop/web-7f" })
        );
        let other = Proxy::from(address);
        assert_eq!(other.to_json(), json!({ "admin": "127.0.0.1:9901" }));
        assert_eq!(pod.address(), other.address());
        assert_ne!(pod, other);
    }
}
