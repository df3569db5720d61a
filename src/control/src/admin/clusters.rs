//! The upstreams of an Envoy and how they are: `/clusters`.

use super::{Admin, AdminError, escaped, percent_encoded};
use serde::Deserialize;
use std::{collections::BTreeMap, fmt};

/// The endpoints of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// How many Envoy sends requests to.
    pub healthy: usize,
    /// The others, each with what Envoy has against it.
    pub unhealthy: Vec<String>,
}

impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.healthy + self.unhealthy.len();
        match all {
            0 => f.write_str("no endpoint"),
            1 => write!(f, "{} of 1 endpoint healthy", self.healthy),
            _ => write!(f, "{} of {all} endpoints healthy", self.healthy),
        }?;
        let few: Vec<_> = self.unhealthy.iter().take(3).map(String::as_str).collect();
        if !few.is_empty() {
            let more = if self.unhealthy.len() > few.len() {
                ", …"
            } else {
                ""
            };
            write!(f, " ({}{more})", few.join(", "))?;
        }
        Ok(())
    }
}

impl Admin {
    /// Asks for clusters by name; one that Envoy does not have is absent.
    pub async fn clusters(
        &self,
        names: &[&str],
    ) -> Result<BTreeMap<String, Endpoints>, AdminError> {
        let regex: Vec<_> = names.iter().map(|name| escaped(name)).collect();
        // An Envoy that does not know `filter` gives all.
        let filter = percent_encoded(&format!("^({})$", regex.join("|")));
        let body = self
            .get(&format!("/clusters?format=json&filter={filter}"))
            .await?;
        let clusters: Clusters = serde_json::from_slice(&body)
            .map_err(|error| self.unexpected(format!("its /clusters cannot be read: {error}")))?;
        let wanted = clusters.cluster_statuses.into_iter();
        Ok(wanted
            .filter(|cluster| names.contains(&cluster.name.as_str()))
            .map(|cluster| (cluster.name, endpoints(&cluster.host_statuses)))
            .collect())
    }
}

fn endpoints(hosts: &[Host]) -> Endpoints {
    let mut endpoints = Endpoints::default();
    for host in hosts {
        match host.health_status.fault() {
            None => endpoints.healthy += 1,
            Some(fault) => endpoints
                .unhealthy
                .push(format!("{} {fault}", host.address)),
        }
    }
    endpoints
}

#[derive(Deserialize)]
struct Clusters {
    #[serde(default)]
    cluster_statuses: Vec<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    name: String,
    #[serde(default)]
    host_statuses: Vec<Host>,
}

#[derive(Deserialize)]
struct Host {
    #[serde(default)]
    address: Address,
    #[serde(default)]
    health_status: Health,
}

/// `envoy.config.core.v3.Address`, as far as it is shown.
#[derive(Default, Deserialize)]
struct Address {
    socket_address: Option<Socket>,
    pipe: Option<Pipe>,
}

#[derive(Deserialize)]
struct Socket {
    address: String,
    #[serde(default)]
    port_value: u16,
}

#[derive(Deserialize)]
struct Pipe {
    path: String,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.socket_address, &self.pipe) {
            (Some(socket), _) if socket.address.contains(':') => {
                write!(f, "[{}]:{}", socket.address, socket.port_value)
            }
            (Some(socket), _) => write!(f, "{}:{}", socket.address, socket.port_value),
            (None, Some(pipe)) => f.write_str(&pipe.path),
            (None, None) => f.write_str("an internal address"),
        }
    }
}

/// `envoy.admin.v3.HostHealthStatus`: a flag that is not set is absent.
#[derive(Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "as Envoy has them")]
struct Health {
    failed_active_health_check: bool,
    failed_outlier_check: bool,
    pending_dynamic_removal: bool,
    pending_active_hc: bool,
    excluded_via_immediate_hc_fail: bool,
    active_hc_timeout: bool,
    eds_health_status: String,
}

impl Health {
    /// What Envoy has against it; a degraded endpoint still gets requests.
    fn fault(&self) -> Option<&'static str> {
        let eds = self.eds_health_status.as_str();
        let faults = [
            (self.active_hc_timeout, "does not answer its health check"),
            (self.pending_active_hc, "waits for its first health check"),
            (self.failed_active_health_check, "fails its health check"),
            (
                self.excluded_via_immediate_hc_fail,
                "fails its health check",
            ),
            (self.failed_outlier_check, "is ejected as an outlier"),
            (self.pending_dynamic_removal, "is being removed"),
            (eds == "DRAINING", "is draining"),
            (eds == "UNHEALTHY", "is marked unhealthy"),
            (eds == "TIMEOUT", "is marked as timed out"),
        ];
        faults.iter().find(|(set, _)| *set).map(|(_, fault)| *fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(hosts: &str, expected: &str) {
        let hosts: Vec<Host> = serde_json::from_str(hosts).unwrap();
        assert_eq!(endpoints(&hosts).to_string(), expected);
    }

    #[test]
    fn an_endpoint_is_healthy_when_envoy_sends_to_it() {
        check("[]", "no endpoint");
        let host = |port: u16, health: &str| {
            format!(
                r#"{{"address": {{"socket_address": {{"address": "10.0.0.1", "port_value": {port}}}}}, "health_status": {{{health}}}}}"#
            )
        };
        let healthy = host(1, r#""eds_health_status": "HEALTHY""#);
        check(&format!("[{healthy}]"), "1 of 1 endpoint healthy");
        let sick = host(
            2,
            r#""failed_active_health_check": true, "eds_health_status": "HEALTHY""#,
        );
        check(
            &format!("[{healthy},{sick}]"),
            "1 of 2 endpoints healthy (10.0.0.1:2 fails its health check)",
        );
        let drains = host(3, r#""eds_health_status": "DRAINING""#);
        check(
            &format!("[{drains}]"),
            "0 of 1 endpoint healthy (10.0.0.1:3 is draining)",
        );
        let degraded = host(
            4,
            r#""eds_health_status": "DEGRADED", "failed_active_degraded_check": true"#,
        );
        check(&format!("[{degraded}]"), "1 of 1 endpoint healthy");
    }
}
