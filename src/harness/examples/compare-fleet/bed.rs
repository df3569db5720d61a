//! The fleets that are measured: Envoys on this machine with a file for all, and Envoys under istiod.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cutover_harness::{LocalFleet, LocalPlan, Place, Waits, WrongClock};
use serde_json::json;

use crate::istio::IstioBed;
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

/// A bed of `scripts/istio-up`, and how many of its proxies are measured.
pub(crate) struct Istio {
    bed: IstioBed,
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
        let bed = Istio {
            bed: IstioBed::read(folder)?,
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
                there.map(place).collect()
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
            Self::Istio(bed) => bed.each("admin"),
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
            Self::Istio(bed) => bed.bed.text("kubeconfig").ok().map(PathBuf::from),
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
    fn each(&self, key: &str) -> Vec<String> {
        let all = self.bed.each(key).into_iter();
        all.take(self.proxies).collect()
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
        // The one of a measurement before has newer generations.
        let get = ["get", "trafficextension", "fleet", "-n", "shop"];
        if self.bed.kubectl(&get).await.is_ok() {
            return Ok(());
        }
        self.bed.apply(&plugin).await
    }
}
