//! What the file says, what each proxy shows, and whether the two agree.

use crate::{
    Admin, AdminError, Document, Endpoints, Fleet, FlipError, ModuleId, Proxy, Refusal, Revert,
    Seen, Standing, Stats, Target, drift, gate, revert::reverts, service_of, unix_ms,
};
use cutover_core::{Color, Generation, Plan, RouteBy, Service, Switch};
use std::collections::{BTreeMap, BTreeSet};

/// The file and the proxies at one look.
#[derive(Clone, Debug)]
pub struct Status {
    /// The plan in the file.
    pub plan: Plan,
    /// The file's `version_info`.
    pub version: Option<String>,
    /// The module that the file names, where it can be found: what the next push would make Envoys load.
    pub module: Option<ModuleId>,
    /// What each Envoy shows, in the order of the fleet.
    pub proxies: Vec<ProxyStatus>,
    /// What was read.
    pub document: Document,
    /// Switches that somebody took back in the cluster.
    pub reverts: Vec<Revert>,
    /// Where switches with an instant stand.
    pub standings: Vec<Standing>,
}

/// One Envoy.
#[derive(Clone, Debug)]
pub struct ProxyStatus {
    /// Which.
    pub proxy: Proxy,
    /// What it shows, or why it cannot be asked.
    pub answer: Result<Answer, AdminError>,
}

/// What an Envoy says when it is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Version of Envoy.
    pub version: String,
    /// What it shows of the filter.
    pub stats: Stats,
    /// Open requests and streams by cluster, of the clusters that a service routes to.
    pub streams: BTreeMap<String, u64>,
    /// The endpoints of these clusters; one that it does not have is absent.
    pub endpoints: BTreeMap<String, Endpoints>,
    /// Where the configuration that it runs differs from the file, outside the switches. None where
    /// that cannot be known: it was given none, or it runs an older one than it was given last.
    pub drift: Option<Vec<String>>,
}

/// What an Envoy shows of a service, beside what the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shows {
    /// The stats.
    pub seen: Seen,
    /// Whether they agree with the file.
    pub agreement: Agreement,
}

/// How what an Envoy shows relates to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// Same generation, same color.
    Agrees,
    /// Neither file nor Envoy has a generation: each worker switches for itself, and when all have
    /// cannot be seen.
    PerWorker,
    /// The Envoy has staged what the file says, and shows what was there before until its instant.
    Staged,
    /// The Envoy shows an older generation, or none.
    Behind,
    /// The Envoy shows a newer generation.
    Ahead,
    /// Same generation, other color.
    Conflict,
    /// The Envoy does not show the service.
    Missing,
}

impl Agreement {
    /// Compares a switch in the file with what an Envoy shows.
    pub fn of(file: &Switch, seen: &Seen) -> Self {
        let file_generation = file.generation.map_or(0, Generation::get);
        match (seen.generation, seen.active) {
            (None, _) => Self::Missing,
            (Some(0), active) if file_generation == 0 => {
                if active == Some(file.active) {
                    Self::PerWorker
                } else {
                    Self::Behind
                }
            }
            (Some(shown), _) if shown < file_generation => match seen.staged {
                Some(staged) if staged == file_generation => Self::Staged,
                _ => Self::Behind,
            },
            (Some(shown), _) if shown > file_generation => Self::Ahead,
            (Some(_), active) if active == Some(file.active) => Self::Agrees,
            _ => Self::Conflict,
        }
    }

    /// True when nothing is wrong.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Agrees | Self::PerWorker | Self::Staged)
    }

    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::PerWorker => "per worker",
            Self::Staged => "staged",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Conflict => "conflict",
            Self::Missing => "missing",
        }
    }
}

impl ProxyStatus {
    /// What the Envoy shows of a service; none when it cannot be asked.
    pub fn shows(&self, service: &str, file: &Switch) -> Option<Shows> {
        let seen = self
            .answer
            .as_ref()
            .ok()?
            .stats
            .services
            .get(service)
            .cloned()
            .unwrap_or_default();
        let agreement = Agreement::of(file, &seen);
        Some(Shows { seen, agreement })
    }

    /// Requests and streams that are open at a service's color. None where the Envoy cannot be asked,
    /// does not have the cluster, or routes by a header, so that it is not known which cluster it is.
    pub fn streams(&self, service: &Service, color: Color) -> Option<u64> {
        let answer = self.answer.as_ref().ok()?;
        match service.route_by() {
            RouteBy::Cluster => answer.streams.get(service.route(color)).copied(),
            RouteBy::Header => None,
        }
    }

    /// The endpoints of a service's color; none where [`streams`](Self::streams) has none.
    pub fn endpoints(&self, service: &Service, color: Color) -> Option<&Endpoints> {
        let answer = self.answer.as_ref().ok()?;
        match service.route_by() {
            RouteBy::Cluster => answer.endpoints.get(service.route(color)),
            RouteBy::Header => None,
        }
    }

    /// Why nobody answers the requests of a service: the color that the Envoy shows as active has no
    /// healthy endpoint there, or no cluster.
    pub fn nowhere(&self, service: &Service) -> Option<Refusal> {
        let active = self.active(service.name())?;
        let answer = self.answer.as_ref().ok()?;
        gate::nowhere(&self.proxy, service, active, &answer.endpoints)
    }

    /// The module that it runs.
    pub fn module(&self) -> Option<ModuleId> {
        self.answer.as_ref().ok()?.stats.module
    }

    /// The active color that the Envoy shows of a service.
    pub fn active(&self, service: &str) -> Option<Color> {
        self.answer
            .as_ref()
            .ok()?
            .stats
            .services
            .get(service)?
            .active
    }
}

impl Status {
    /// The modules that the Envoys run; more than one, and they do not decide by the same code.
    pub fn modules(&self) -> Vec<ModuleId> {
        let modules: BTreeSet<_> = self
            .proxies
            .iter()
            .filter_map(ProxyStatus::module)
            .collect();
        modules.into_iter().collect()
    }
}

/// Reads the file and asks every Envoy, all at once.
pub async fn status(
    target: &Target,
    service: Option<&str>,
    fleet: &Fleet,
) -> Result<Status, FlipError> {
    let document = target.read().await?;
    let plan = document.plan()?;
    if service.is_some() {
        service_of(&plan, service)?;
    }
    let wanted = |one: &&Service| service.is_none_or(|name| name == one.name());
    let services: Vec<&Service> = plan
        .services()
        .iter()
        .map(AsRef::as_ref)
        .filter(wanted)
        .collect();
    let (services, read) = (&services, &document);
    let asked = fleet.now().into_iter().map(|proxy| async move {
        let client = Admin::with_names(proxy.clone(), read.names());
        let answer = ask(&client, service, services, read).await;
        ProxyStatus { proxy, answer }
    });
    let proxies = futures_util::future::join_all(asked).await;
    let has_instant = services.iter().any(|one| one.switch().activation.is_some());
    let journal = if target.kube().is_some() || has_instant {
        // Without rights on the journal what the proxies show has to do.
        target.entries().await.unwrap_or_default()
    } else {
        vec![]
    };
    let mut status = Status {
        version: document.version_info().map(str::to_owned),
        module: gate::module_on_disk(target, &document).map(|(_, module)| module),
        reverts: reverts(&document, &plan, &proxies, &journal),
        plan: plan.clone(),
        proxies,
        document: document.clone(),
        standings: vec![],
    };
    let now = unix_ms();
    let standings = services.iter();
    let standings = standings.filter_map(|one| Standing::of(&status, one, &journal, now));
    status.standings = standings.collect();
    Ok(status)
}

async fn ask(
    admin: &Admin,
    service: Option<&str>,
    services: &[&Service],
    document: &Document,
) -> Result<Answer, AdminError> {
    let by_cluster = services
        .iter()
        .filter(|one| one.route_by() == RouteBy::Cluster);
    let clusters: Vec<_> = by_cluster
        .flat_map(|one| Color::ALL.map(|color| one.route(color)))
        .collect();
    let version = admin.version().await?;
    let stats = admin.stats(service).await?;
    let streams = admin.open_streams(&clusters).await?;
    let endpoints = match clusters.as_slice() {
        [] => BTreeMap::new(),
        clusters => admin.clusters(clusters).await?,
    };
    let running = admin.running_config().await?;
    let accepted = running.filter(|running| running.was_accepted(document, &stats));
    let drift = accepted.map(|running| drift(document, &running.resource));
    Ok(Answer {
        version,
        stats,
        streams,
        endpoints,
        drift,
    })
}
