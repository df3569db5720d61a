//! The fleets that are measured: Envoys on this machine with a file for all, and Envoys under istiod.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cutover_harness::{LocalFleet, LocalPlan, Place, Waits, WrongClock};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::named_by;

/// The longest time that a push takes to an Envoy on this machine.
const SKEW: Duration = Duration::from_secs(2);
/// How wrong clocks are at most.
const CLOCKS_NS: i64 = 10_000_000;
/// Delays and clocks come from it.
const SEED: u64 = 7;

/// A fleet.
pub(crate) enum Bed {
    Local(Box<Local>),
    Istio(Istio),
}

/// Envoys on this machine; they end with this.
pub(crate) struct Local {
    fleet: LocalFleet,
    _folder: tempfile::TempDir,
}

/// A bed of `scripts/istio-up`, as its `bed.json` tells it.
pub(crate) struct Istio {
    json: Value,
    proxies: usize,
}

impl Local {
    pub(crate) async fn start(proxies: u32) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let plan = LocalPlan {
            envoy: named_by("CUTOVER_ENVOY")?,
            module: named_by("CUTOVER_MODULE")?,
            folder: folder.path().to_owned(),
            proxies,
            workers: 1,
            skew: SKEW,
            seed: SEED,
            clock: Some(named_by("CUTOVER_CLOCK_LIBRARY")?),
        };
        let mut fleet = LocalFleet::start(plan).await?;
        let clocks = WrongClock::scattered(fleet.admins().len(), CLOCKS_NS, SEED);
        for (index, clock) in clocks.into_iter().enumerate() {
            fleet.set_clock(index, clock)?;
        }
        Ok(Self {
            fleet,
            _folder: folder,
        })
    }
}

impl Bed {
    /// Takes a bed that is up, installs the plugin in it, and makes its clocks wrong.
    pub(crate) async fn istio(folder: &Path, proxies: u32) -> Result<Self, Box<dyn Error>> {
        let json: Value = serde_json::from_slice(&std::fs::read(folder.join("bed.json"))?)?;
        let bed = Istio {
            json,
            proxies: usize::try_from(proxies)?,
        };
        let there = bed.each("name");
        if there.len() < bed.proxies {
            return Err(format!("the bed has {} proxies, not {proxies}", there.len()).into());
        }
        let clocks = WrongClock::scattered(bed.proxies, CLOCKS_NS, SEED);
        for (name, clock) in there.iter().zip(clocks) {
            clock.write(&folder.join(format!("{name}.clock")))?;
        }
        bed.install(&named_by("CUTOVER_MODULE")?).await?;
        Ok(Self::Istio(bed))
    }

    /// What the tables call it.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            Self::Local(_) => "Envoys with a file, pushes within 2 s",
            Self::Istio(_) => "Envoys under istiod",
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::Istio(_) => "istio",
        }
    }

    pub(crate) fn proxies(&self) -> usize {
        match self {
            Self::Local(local) => local.fleet.admins().len(),
            Self::Istio(bed) => bed.proxies,
        }
    }

    pub(crate) fn places(&self) -> Result<Vec<Place>, Box<dyn Error>> {
        match self {
            Self::Local(local) => Ok(local.fleet.places()?),
            Self::Istio(bed) => {
                let there = bed.each("name").into_iter().zip(bed.each("http"));
                let place = |(name, http): (String, String)| {
                    let place = Place::parse(&format!("http://{http}/"))?;
                    Ok(place.named(name).asking_for("shop.example")?)
                };
                there.take(bed.proxies).map(place).collect()
            }
        }
    }

    pub(crate) fn admins(&self) -> Vec<String> {
        match self {
            Self::Local(local) => local
                .fleet
                .admins()
                .iter()
                .map(ToString::to_string)
                .collect(),
            Self::Istio(bed) => bed.each("admin").into_iter().take(bed.proxies).collect(),
        }
    }

    pub(crate) fn target(&self) -> String {
        match self {
            Self::Local(local) => format!("file:{}", local.fleet.target().path().display()),
            Self::Istio(_) => "k8s:shop/fleet".to_owned(),
        }
    }

    pub(crate) fn kubeconfig(&self) -> Option<PathBuf> {
        match self {
            Self::Local(_) => None,
            Self::Istio(bed) => bed.text("kubeconfig").ok().map(PathBuf::from),
        }
    }

    /// How long requests were inside the Envoys, where these write it down.
    pub(crate) fn waits(&self) -> Result<Option<Waits>, Box<dyn Error>> {
        match self {
            Self::Local(local) => Ok(Some(local.fleet.waits()?)),
            Self::Istio(_) => Ok(None),
        }
    }
}

impl Istio {
    fn text(&self, key: &str) -> Result<&str, Box<dyn Error>> {
        let value = self.json.get(key).and_then(Value::as_str);
        value.ok_or_else(|| format!("bed.json has no {key}").into())
    }

    fn each(&self, key: &str) -> Vec<String> {
        let proxies = self.json.get("proxies").and_then(Value::as_array);
        let texts = proxies
            .into_iter()
            .flatten()
            .filter_map(|proxy| proxy.get(key)?.as_str());
        texts.map(str::to_owned).collect()
    }

    async fn install(&self, module: &Path) -> Result<(), Box<dyn Error>> {
        let plugin = json!({
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "TrafficExtension",
            "metadata": { "name": "fleet", "namespace": "shop" },
            "spec": {
                "selector": { "matchLabels": { "istio": "ingressgateway" } },
                "wasm": {
                    "url": format!("file://{}", module.display()),
                    "pluginName": "cutover",
                    "failStrategy": "FAIL_RELOAD",
                    "pluginConfig": {
                        "services": { "shop": {
                            "hosts": ["shop.example"],
                            "active": "blue",
                            "generation": 1,
                            "blue": { "header": "blue" },
                            "green": { "header": "green" },
                        } },
                        "expose": { "response_header": true },
                    },
                },
            },
        });
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), plugin.to_string())?;
        // The one of a measurement before has newer generations.
        let get = ["get", "trafficextension", "fleet", "-n", "shop"];
        if self.kubectl(&get).await.is_ok() {
            return Ok(());
        }
        let path = file.path().to_string_lossy();
        self.kubectl(&["apply", "--server-side", "-f", &path]).await
    }

    async fn kubectl(&self, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
        let output = Command::new(Path::new(self.text("programs")?).join("kubectl"))
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", self.text("kubeconfig")?)
            .env("HOME", "/nonexistent")
            .kill_on_drop(true)
            .output()
            .await?;
        if output.status.success() {
            return Ok(());
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!("kubectl {}: {complaint}", arguments.join(" ")).into())
    }
}
