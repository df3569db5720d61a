//! The ways to switch that are compared.

use std::error::Error;
use std::time::{Duration, Instant};

use cutover_harness::{Answers, Place};
use cutover_history::Color;
use serde_json::json;

use crate::bed::Bed;

/// How traffic is switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The selector of a Service, between clients and pods without a mesh.
    Service,
    /// The subset in the route of a VirtualService.
    VirtualService,
    /// The switch in the configuration of this project's plugin, in one plain patch.
    Plugin,
}

/// The Service of the node whose selector is patched, with pods of both colors that are in no mesh.
const SELECTED: &str = "compare";
/// How long pods may take to be ready.
const READY: &str = "--timeout=120s";

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Service, Self::VirtualService, Self::Plugin];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::VirtualService => "virtual-service",
            Self::Plugin => "plugin",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }

    /// What the table calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Service => "Service `spec.selector`, clients with kept connections",
            Self::VirtualService => "VirtualService, subset of the route",
            Self::Plugin => "WasmPlugin `pluginConfig`, a plain flip",
        }
    }

    /// A Service and a VirtualService tell nobody a generation.
    pub(crate) fn answers(self) -> Answers {
        match self {
            Self::Service | Self::VirtualService => Answers::Colors,
            Self::Plugin => Answers::Decisions,
        }
    }

    /// Whether its clients have to be made anew for each flip: kept connections stay where they are,
    /// and would still be there at the next one.
    pub(crate) fn one_flip_a_load(self) -> bool {
        self == Self::Service
    }

    /// Makes everything that is switched, at blue.
    pub(crate) async fn prepare(self, bed: &Bed) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Service => {
                for color in ["blue", "green"] {
                    bed.istio.apply(&deployment(color)).await?;
                }
                bed.istio
                    .apply(&json!({
                        "apiVersion": "v1",
                        "kind": "Service",
                        "metadata": { "name": SELECTED, "namespace": "default" },
                        "spec": {
                            "selector": { "app": SELECTED, "version": "blue" },
                            "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }],
                        },
                    }))
                    .await?;
                for color in ["blue", "green"] {
                    let name = format!("deployment/{SELECTED}-{color}");
                    let wait = ["rollout", "status", "-n", "default", &name, READY];
                    bed.istio.kubectl(&wait).await?;
                }
            }
            Self::VirtualService => {
                // A plugin of another measurement would decide before the route does.
                let old = [
                    "delete",
                    "wasmplugin",
                    "compare",
                    "-n",
                    "shop",
                    "--ignore-not-found",
                ];
                bed.istio.kubectl(&old).await?;
                self.switch(bed, 1, Color::Blue).await?;
            }
            Self::Plugin => {
                let module = bed.module();
                let config = json!({
                    "services": { "shop": {
                        "hosts": ["shop.example"],
                        "active": "blue",
                        "generation": 1,
                        "blue": { "header": "blue" },
                        "green": { "header": "green" },
                    } },
                });
                bed.istio
                    .apply(&json!({
                        "apiVersion": "extensions.istio.io/v1alpha1",
                        "kind": "WasmPlugin",
                        "metadata": { "name": "compare", "namespace": "shop" },
                        "spec": {
                            "selector": { "matchLabels": { "istio": "ingressgateway" } },
                            "url": format!("file://{}", module.display()),
                            "failStrategy": "FAIL_RELOAD",
                            "pluginConfig": config,
                        },
                    }))
                    .await?;
            }
        }
        Ok(())
    }

    /// Makes the one patch that switches.
    pub(crate) async fn switch(
        self,
        bed: &Bed,
        generation: u64,
        color: Color,
    ) -> Result<Switched, Box<dyn Error>> {
        let color = match color {
            Color::Blue => "blue",
            Color::Green => "green",
        };
        let (kind, name, namespace, form, patch) = match self {
            Self::Service => {
                let patch = json!({ "spec": { "selector": { "version": color } } });
                ("service", SELECTED, "default", "merge", patch)
            }
            Self::VirtualService => {
                let subset = "/spec/http/1/route/0/destination/subset";
                let patch = json!([{ "op": "replace", "path": subset, "value": color }]);
                ("virtualservice", "shop", "shop", "json", patch)
            }
            Self::Plugin => {
                let switch = json!({ "active": color, "generation": generation });
                let patch =
                    json!({ "spec": { "pluginConfig": { "services": { "shop": switch } } } });
                ("wasmplugin", "compare", "shop", "merge", patch)
            }
        };
        let invoked = Instant::now();
        let patch = patch.to_string();
        let arguments = [
            "patch", kind, name, "-n", namespace, "--type", form, "-p", &patch,
        ];
        bed.istio.kubectl(&arguments).await?;
        let took = invoked.elapsed();
        Ok(Switched { invoked, took })
    }

    /// Whom to ask: one client with a kept connection for each proxy. Behind a Service the clients
    /// themselves stand for proxies, and one more opens a connection for each request.
    pub(crate) async fn places(
        self,
        bed: &Bed,
        proxies: usize,
    ) -> Result<Vec<Place>, Box<dyn Error>> {
        if self != Self::Service {
            let there = bed.proxies();
            if there.len() < proxies {
                return Err(format!("the bed has {} proxies, not {proxies}", there.len()).into());
            }
            let place = |(name, http): (String, String)| {
                let place = Place::parse(&format!("http://{http}/"))?;
                Ok(place.named(name).asking_for("shop.example")?)
            };
            return there.into_iter().take(proxies).map(place).collect();
        }
        let path = "jsonpath={.spec.clusterIP}";
        let address = bed
            .istio
            .kubectl(&["get", "service", SELECTED, "-n", "default", "-o", path])
            .await?;
        let place = Place::parse(&format!("http://{address}/"))?;
        let kept = (0..proxies).map(|client| place.clone().named(format!("client-{client}")));
        let anew = place.clone().named("new connections").anew();
        Ok(kept.chain([anew]).collect())
    }
}

/// A patch that was made.
pub(crate) struct Switched {
    /// When kubectl was started.
    pub(crate) invoked: Instant,
    /// How long it took.
    pub(crate) took: Duration,
}

fn deployment(color: &str) -> serde_json::Value {
    let labels = json!({ "app": SELECTED, "version": color });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": format!("{SELECTED}-{color}"), "namespace": "default" },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "app",
                        "image": "cutover.local/app:bed",
                        "imagePullPolicy": "Never",
                        "args": ["serve", "--listen=:8080", format!("--color={color}"), "--build=v1"],
                        "readinessProbe": {
                            "httpGet": { "path": "/ready", "port": 8080 }, "periodSeconds": 1,
                        },
                    }],
                },
            },
        },
    })
}
