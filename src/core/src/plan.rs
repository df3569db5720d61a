//! The validated configuration: immutable, built whole, swapped whole.

use crate::hosts::Hosts;
use crate::overrides::{Override, Proof};
use crate::{Activation, Color, Generation, InvalidConfig, Request, config, token};
use std::sync::Arc;

/// Everything that a plugin configuration says, checked. The default one has no service.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub(crate) services: Vec<Arc<Service>>,
    pub(crate) hosts: Hosts,
    pub(crate) expose: Expose,
    pub(crate) max_held: MaxHeld,
}

/// How many requests a worker holds at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaxHeld(pub(crate) u64);

impl Default for MaxHeld {
    fn default() -> Self {
        Self(10_000)
    }
}

/// One thing that is switched as a whole.
#[derive(Clone, Debug)]
pub struct Service {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) register_key: String,
    pub(crate) switch: Switch,
    pub(crate) route_by: RouteBy,
    pub(crate) routes: [String; 2],
    pub(crate) closed: [bool; 2],
    pub(crate) overrides: Option<Override>,
}

/// The only part of a service that a flip changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Orders the switches; without it every worker switches for itself.
    pub generation: Option<Generation>,
    /// The color that serves.
    pub active: Color,
    /// The switch before this one.
    pub previous: Option<Previous>,
    /// When it activates; at once without.
    pub activation: Option<Activation>,
}

/// The switch before the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Previous {
    /// Its generation.
    pub generation: Generation,
    /// Its color.
    pub active: Color,
}

/// How a service tells the proxy where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteBy {
    /// A cluster name in [`headers::CLUSTER`](crate::headers::CLUSTER).
    Cluster,
    /// A value in [`headers::COLOR`](crate::headers::COLOR) that a route matches.
    Header,
}

/// Where decisions are shown besides the request header to upstreams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expose {
    /// In a response header.
    pub response_header: bool,
    /// In the filter state `wasm.cutover`.
    pub filter_state: bool,
}

impl PartialEq for Service {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Service {}

impl Plan {
    /// Parses and checks a plugin configuration. Keys of tokens are not looked up: see
    /// [`bind`](Self::bind).
    pub fn parse(json: &[u8]) -> Result<Self, InvalidConfig> {
        config::parse(json)
    }

    /// Ties the plan to the plugin that has it: names the registers, and looks up the keys by id.
    ///
    /// Fails when a key is missing or too short. Both depend on nothing but the configuration and
    /// the VM's environment, so that every worker comes to the same result.
    pub fn bind(
        mut self,
        plugin: &str,
        key: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Self, InvalidConfig> {
        for service in self.services.iter_mut().map(Arc::make_mut) {
            service.register_key = format!("cutover/1/{plugin}/{}", service.name);
            let Some(Override {
                proof: Proof::Keys(keys),
                ..
            }) = &mut service.overrides
            else {
                continue;
            };
            for (id, slot) in keys {
                let problem = match key(id).map(|bytes| token::Key::new(&bytes)) {
                    Some(Ok(key)) => {
                        *slot = Some(key);
                        continue;
                    }
                    Some(Err(short)) => short.to_string(),
                    None => "is not set".to_owned(),
                };
                return Err(InvalidConfig::new(
                    format!("{}override.keys", service.path),
                    serde_json::Value::from(id.as_str()),
                    format!("{} in the VM's environment: {problem}", token::variable(id)),
                ));
            }
        }
        Ok(self)
    }

    /// All services, in order of their names.
    pub fn services(&self) -> &[Arc<Service>] {
        &self.services
    }

    /// All services, to put others in their place.
    pub fn services_mut(&mut self) -> &mut [Arc<Service>] {
        &mut self.services
    }

    /// The service with this name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services
            .iter()
            .find(|service| service.name == name)
            .map(AsRef::as_ref)
    }

    /// How many requests a worker holds at once around the instant of a switch, over all services.
    pub fn max_held(&self) -> u64 {
        self.max_held.0
    }

    /// Where decisions are shown.
    pub fn expose(&self) -> Expose {
        self.expose
    }

    /// The service that the request's host belongs to. The host is not even read when one service
    /// answers to all.
    pub fn service_for(&self, request: &impl Request) -> Option<&Service> {
        let index = match self.hosts.only_any() {
            Some(index) => Some(index),
            None => self
                .hosts
                .find(&request.header(":authority").unwrap_or_default()),
        };
        self.services.get(index?).map(AsRef::as_ref)
    }
}

impl Service {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hosts that it answers to, as the configuration writes them; `*` is any.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Its switch, as the configuration has it.
    pub fn switch(&self) -> &Switch {
        &self.switch
    }

    /// How it routes.
    pub fn route_by(&self) -> RouteBy {
        self.route_by
    }

    /// The cluster or header value of a color.
    pub fn route(&self, color: Color) -> &str {
        let [blue, green] = &self.routes;
        match color {
            Color::Blue => blue,
            Color::Green => green,
        }
    }

    /// True when the color takes no traffic at all.
    pub fn is_closed(&self, color: Color) -> bool {
        let [blue, green] = self.closed;
        match color {
            Color::Blue => blue,
            Color::Green => green,
        }
    }

    /// What clients may override.
    pub fn overrides(&self) -> Option<&Override> {
        self.overrides.as_ref()
    }

    /// The key of its register among the values that all workers share; empty before
    /// [`Plan::bind`].
    pub fn register_key(&self) -> &str {
        &self.register_key
    }

    /// The key of a shared value that stands beside its register.
    pub(crate) fn beside(&self, what: &str) -> String {
        format!("{}/{what}", self.register_key)
    }
}
