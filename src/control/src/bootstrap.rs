//! The bootstrap that Envoy starts with: the file that `cutover init` writes as `envoy.yaml`.

mod access_log;
mod health;

pub use access_log::AccessLog;
pub use health::{Health, HealthPath, InvalidPath};

use crate::{Endpoint, resource::PLUGIN};
use cutover_core::Color;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

/// What becomes of the filter's own headers when a client sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromClients {
    /// Envoy removes them before it looks up a route, also when the filter is gone.
    Removed,
    /// The filter gets them, as it does where nobody wrote the bootstrap for it (Istio).
    Kept,
}

/// Who writes the bootstrap, for whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// `cutover init`: it is the reader's from then on.
    Init,
    /// `cutover up`, again at each start.
    Up,
}

/// What a bootstrap is made of.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// Who writes it.
    pub author: Author,
    /// Where Envoy's admin interface listens. It can stop the proxy: keep it on loopback.
    pub admin: SocketAddr,
    /// Where traffic comes in; each listener carries the filter.
    pub listeners: Vec<SocketAddr>,
    /// Upstream of the cluster `blue`.
    pub blue: Endpoint,
    /// Upstream of the cluster `green`.
    pub green: Endpoint,
    /// The file with the filter's configuration, absolute or relative to Envoy's working directory.
    pub ecds: PathBuf,
    /// The color that requests go to when the filter is gone.
    pub active_at_install: Color,
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// What becomes of the filter's own headers when a client sends them.
    pub from_clients: FromClients,
    /// How Envoy finds out whether the applications are well; not at all without.
    pub health: Option<Health>,
}

impl Default for Bootstrap {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            author: Author::Init,
            admin: local(9901),
            listeners: vec![local(10_000)],
            blue: local(8081).into(),
            green: local(8082).into(),
            ecds: PathBuf::from("cutover.json"),
            active_at_install: Color::Blue,
            access_log: AccessLog::Stdout,
            from_clients: FromClients::Removed,
            health: None,
        }
    }
}

impl Bootstrap {
    /// Renders the bootstrap as commented YAML.
    pub fn render(&self) -> String {
        let mut yaml = match self.author {
            Author::Init => BY_INIT,
            Author::Up => BY_UP,
        }
        .to_owned();
        yaml += &HEAD.replace("@admin@", &socket_address(&self.admin.into()));
        for (index, listener) in self.listeners.iter().enumerate() {
            let name = if index == 0 {
                "main".to_owned()
            } else {
                format!("main-{}", index + 1)
            };
            yaml += &LISTENER
                .replace("@name@", &name)
                .replace("@address@", &socket_address(&(*listener).into()))
                .replace("@access_log@", &self.access_log.render())
                .replace("@removal@", self.removal())
                .replace("@plugin@", PLUGIN)
                .replace("@file@", &quoted(&self.ecds))
                .replace("@folder@", &quoted(folder(&self.ecds)))
                .replace("@install@", self.active_at_install.as_str());
        }
        yaml += CLUSTERS;
        for (color, endpoint) in [(Color::Blue, &self.blue), (Color::Green, &self.green)] {
            let discovery = if endpoint.is_ip() { STATIC } else { DNS };
            yaml += &CLUSTER
                .replace("@color@", color.as_str())
                .replace("@discovery@", discovery)
                .replace("@health@", &self.health_of(endpoint))
                .replace("@address@", &socket_address(endpoint));
        }
        yaml
    }

    fn health_of(&self, endpoint: &Endpoint) -> String {
        self.health
            .as_ref()
            .map_or_else(String::new, |health| health.render(endpoint))
    }

    fn removal(&self) -> &'static str {
        match self.from_clients {
            FromClients::Removed => REMOVAL,
            FromClients::Kept => "",
        }
    }
}

fn socket_address(endpoint: &Endpoint) -> String {
    let (host, port) = (endpoint.host(), endpoint.port());
    format!("socket_address: {{ address: \"{host}\", port_value: {port} }}")
}

/// The folder that holds a file; a bare name lies in `.`.
fn folder(file: &Path) -> &Path {
    file.parent()
        .filter(|folder| *folder != Path::new(""))
        .unwrap_or(Path::new("."))
}

/// A path as a double-quoted YAML scalar; every JSON string is one (YAML 1.2, section 7.3.1).
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}

const BY_INIT: &str = r"# Envoy with Cutover: requests go to blue or green, whichever cutover.json says is active.
# Written by `cutover init`. Paths are relative to Envoy's working directory:
#
#   cd THIS_FOLDER && envoy -c envoy.yaml

";

const BY_UP: &str = r"# Envoy with Cutover: requests go to blue or green, whichever cutover.json says is active.
# Written by `cutover up` at each start: what is changed here is lost.

";

const HEAD: &str = r#"# Configuration discovery needs a name for the proxy.
node: { id: cutover, cluster: cutover }

# `cutover` reads generation and color here. Whoever reaches it can stop Envoy: keep it on loopback.
admin:
  address: { @admin@ }

# Labels for Prometheus: cutover_generation{cutover_plugin="cutover",cutover_service="default"}
stats_config:
  stats_tags:
    - tag_name: cutover_plugin
      regex: '^wasmcustom\.cutover\.(plugin\.(.+?)\.)(?:service\..+|config_refused|module_[a-z]+)$'
    - tag_name: cutover_service
      regex: '^wasmcustom\.cutover\.plugin\..+?\.(service\.(.+)\.)[a-z_]+$'

static_resources:
  listeners:
"#;

const LISTENER: &str = r#"    - name: @name@
      address: { @address@ }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: @name@
                codec_type: AUTO # HTTP/1.1 and HTTP/2 (h2c)
                upgrade_configs:
                  - upgrade_type: websocket
                # Envoy would end a stream that is silent for 5 minutes: server-sent events, WebSocket, gRPC.
                stream_idle_timeout: 0s
@access_log@@removal@                http_filters:
                  # The filter's configuration lies in a file of its own, so that a flip touches nothing
                  # else. Envoy reads it again when a file is moved into the folder; writing into the file
                  # does nothing. While Envoy has not had a usable configuration since its start, it
                  # answers 500; a later one that is refused changes nothing.
                  - name: @plugin@
                    config_discovery:
                      config_source:
                        resource_api_version: V3
                        path_config_source:
                          path: @file@
                          watched_directory: { path: @folder@ }
                      type_urls:
                        - type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
                route_config:
                  name: @name@
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:
                        # The filter has decided. No retries, and no timeout that would cut a long stream.
                        - match:
                            prefix: /
                            headers:
                              - { name: x-cutover-cluster, present_match: true }
                          route: { cluster_header: x-cutover-cluster, timeout: 0s }
                        # The filter is gone (removed, or skipped): the color that was active at install.
                        - match: { prefix: / }
                          route: { cluster: @install@, timeout: 0s }
"#;

const REMOVAL: &str = r#"                # The filter alone says where a request goes. What a client sends under these names is
                # removed before any route is looked up, also when the filter is gone.
                early_header_mutation_extensions:
                  - name: envoy.http.early_header_mutation.header_mutation
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation
                      mutations:
                        - remove: x-cutover-cluster
                        - remove: x-cutover-color
                        - remove: x-cutover-decision
"#;

const CLUSTERS: &str = r"
  # Both colors are always there: a flip never waits for a cluster, and neither does the way back.
  clusters:
";

const STATIC: &str = "      type: STATIC\n";

const DNS: &str = "      type: STRICT_DNS
      # `localhost` is ::1 first of all, where few applications listen; Envoy takes one family only.
      dns_lookup_family: V4_PREFERRED
";

const CLUSTER: &str = r#"    - name: @color@
@discovery@      connect_timeout: 1s
@health@      # All traffic comes at once; with Envoy's limits of 1024 a flip could answer 503.
      circuit_breakers:
        thresholds:
          - { max_connections: 65536, max_pending_requests: 65536, max_requests: 65536 }
      # The application is spoken to as its client spoke: HTTP/1.1 or HTTP/2. For one that speaks only
      # HTTP/1.1, whatever its clients speak: explicit_http_config: { http_protocol_options: {} }
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          use_downstream_protocol_config:
            http_protocol_options: {}
            http2_protocol_options: {}
      load_assignment:
        cluster_name: @color@
        endpoints:
          - lb_endpoints:
              - endpoint: { address: { @address@ } }
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_placeholder_is_left() {
        let bootstrap = Bootstrap {
            listeners: vec![([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 0).into()],
            access_log: AccessLog::File("access.log".into()),
            ..Bootstrap::default()
        };
        let yaml = bootstrap.render();
        let left: Vec<_> = yaml
            .lines()
            .filter(|l| l.replace("\"@type\"", "").contains('@'))
            .collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(yaml.matches("- name: main").count(), 2);
    }

    #[test]
    fn health_is_asked_of_both_colors_or_of_none() {
        let checks = |health| {
            let bootstrap = Bootstrap {
                health,
                ..Bootstrap::default()
            };
            bootstrap.render().matches("health_checks:").count()
        };
        assert_eq!(checks(None), 0);
        assert_eq!(checks(Some(Health::Tcp)), 2);
        assert_eq!(checks("/healthz".parse().map(Health::Http).ok()), 2);
    }

    #[test]
    fn the_folder_that_is_watched_holds_the_file() {
        assert_eq!(folder(Path::new("cutover.json")), Path::new("."));
        assert_eq!(
            folder(Path::new("/etc/envoy/cutover.json")),
            Path::new("/etc/envoy")
        );
    }

    #[test]
    fn a_dns_name_is_resolved_and_an_address_is_not() {
        let blue = "app-v1:8080".parse().unwrap();
        let yaml = Bootstrap {
            blue,
            ..Bootstrap::default()
        }
        .render();
        assert_eq!(yaml.matches("type: STRICT_DNS").count(), 1);
        assert_eq!(yaml.matches("type: STATIC").count(), 1);
        assert_eq!(yaml.matches("dns_lookup_family: V4_PREFERRED").count(), 1);
    }
}
