//! An Envoy: how people call it, and where it is asked.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::{fmt, net::SocketAddr, sync::Arc};

/// What stands before the name of a pod.
const POD: &str = "pod ";

/// An Envoy whose admin interface can be asked.
///
/// One that was named by its address is called so. A pod is reached through a tunnel, whose address
/// says nothing to anybody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Proxy {
    name: Arc<str>,
    address: SocketAddr,
}

impl Proxy {
    /// The sidecar or gateway in a pod, reached at this address.
    pub fn in_pod(namespace: &str, pod: &str, address: SocketAddr) -> Self {
        let name = format!("{POD}{namespace}/{pod}").into();
        Self { name, address }
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

    /// An object with `admin`, and `pod` where it is one.
    pub fn to_json(&self) -> Value {
        match self.pod() {
            None => json!({ "admin": self.name() }),
            Some(pod) => json!({ "admin": self.name(), "pod": pod }),
        }
    }
}

impl From<SocketAddr> for Proxy {
    fn from(address: SocketAddr) -> Self {
        Self {
            name: address.to_string().into(),
            address,
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
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
    }
}
