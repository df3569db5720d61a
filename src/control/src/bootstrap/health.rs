//! How Envoy finds out whether an application is well.

use super::quoted;
use crate::Endpoint;
use std::{path::Path, str::FromStr};

/// A health check of both colors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It takes a connection.
    Tcp,
    /// It answers a GET of this path with 200 to 299.
    Http(HealthPath),
}

/// The path, with its query, that a health check asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthPath(String);

/// A text that is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path such as /healthz")]
pub struct InvalidPath(String);

impl FromStr for HealthPath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let is_sent = |c: char| c.is_ascii_graphic() && c != '#';
        if text.starts_with('/') && text.chars().all(is_sent) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPath(text.to_owned()))
        }
    }
}

impl Health {
    /// The lines of a cluster.
    pub(super) fn render(&self, endpoint: &Endpoint) -> String {
        let check = match self {
            Self::Tcp => "          tcp_health_check: {}\n".to_owned(),
            Self::Http(path) => HTTP
                .replace("@path@", &quoted(Path::new(&path.0)))
                .replace("@host@", &quoted(Path::new(&endpoint.to_string()))),
        };
        CHECK.to_owned() + &check + PANIC
    }
}

/// Without `no_traffic_interval` a color that has had no request yet, the very one that is to be
/// flipped to, would be looked at once a minute.
const CHECK: &str = r"      health_checks:
        - interval: 1s
          timeout: 1s
          no_traffic_interval: 1s
          unhealthy_threshold: 2
          healthy_threshold: 1
";

/// Without `host` the application would be asked for the cluster's name, which some refuse.
const HTTP: &str = r"          http_health_check:
            path: @path@
            host: @host@
            expected_statuses: [{ start: 200, end: 300 }]
";

/// With a threshold of 0 a check that is wrong would be an outage; with Envoy's 50 % an application
/// of three instances would get requests on the two that are down.
const PANIC: &str = r"      # A color whose every endpoint fails the check is asked all the same: there is nobody else to ask, for
      # the other color is another version. The check is what `cutover flip` looks at before it flips.
      common_lb_config: { healthy_panic_threshold: { value: 1 } }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, good: bool) {
        assert_eq!(text.parse::<HealthPath>().is_ok(), good, "{text}");
    }

    #[test]
    fn a_path_is_what_an_http_request_can_ask_for() {
        check("/", true);
        check("/healthz?deep=1", true);
        check("healthz", false);
        check("", false);
        check("/a b", false);
        check("/a\nhost: x", false);
        check("/ä", false);
    }

    #[test]
    fn the_application_is_asked_by_its_own_name() {
        let health = Health::Http("/ok\"?".parse().unwrap());
        let yaml = health.render(&"app.local:8080".parse().unwrap());
        assert!(yaml.contains(r#"host: "app.local:8080""#), "{yaml}");
        assert!(yaml.contains(r#"path: "/ok\"?""#), "{yaml}");
        let tcp = Health::Tcp.render(&"app.local:8080".parse().unwrap());
        assert!(tcp.contains("tcp_health_check: {}"), "{tcp}");
    }
}
