//! What stands in the way of a flip, before anything is written. Nothing of this is asked on the way
//! back.

use crate::{
    Chapter, Document, Endpoints, Fate, ModuleId, Proxy, Running, State, Stats, Target,
    clock::InWords, drift, journal::Entry, other_switches,
};
use cutover_core::{Color, RouteBy, Service};
use std::{collections::BTreeMap, fmt, fs, path::PathBuf};

/// Why a flip is refused; `--force` passes over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another process waits for its Envoys to show its switch of the same service.
    UnderWay(Box<Entry>),
    /// Another switch of the service is staged, and waits for its instant.
    Staged {
        /// The service.
        service: String,
        /// What is staged.
        state: State,
        /// When it activates, in Unix milliseconds.
        at: u64,
    },
    /// An Envoy has no cluster of the color's name: it would answer 503.
    NoCluster {
        /// The Envoy.
        proxy: Proxy,
        /// The color.
        color: Color,
        /// Its cluster.
        cluster: String,
    },
    /// An Envoy has no endpoint to send the color's requests to.
    NoHealthyEndpoint {
        /// The Envoy.
        proxy: Proxy,
        /// The color.
        color: Color,
        /// Its cluster.
        cluster: String,
        /// What Envoy says of it.
        endpoints: Endpoints,
    },
    /// More than the switch would change at an Envoy.
    Drift {
        /// The Envoy.
        proxy: Proxy,
        /// Where the file differs from what the Envoy runs.
        paths: Vec<String>,
    },
    /// Other services would be switched, too.
    OtherServices {
        /// The Envoy.
        proxy: Proxy,
        /// The services.
        services: Vec<String>,
    },
    /// The Envoys run different modules: they may decide differently.
    ModulesDiffer(Vec<(Proxy, ModuleId)>),
    /// The module's file is another one than the Envoy runs: a push would load it.
    OtherModule {
        /// The Envoy.
        proxy: Proxy,
        /// What it runs; none when its module is too old to say.
        runs: Option<ModuleId>,
        /// The file.
        path: PathBuf,
        /// What the file is.
        file: ModuleId,
    },
    /// An Envoy refused the last file, or has not taken it yet: what it runs cannot be seen.
    RefusedLast {
        /// The Envoy.
        proxy: Proxy,
        /// The `version_info` that it refused.
        refused: Option<String>,
        /// The `version_info` that it runs.
        runs: Option<String>,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnderWay(entry) => write!(
                f,
                "another {} is under way: {} to {} by {}",
                entry.verb, entry.service, entry.to, entry.by
            ),
            Self::Staged { service, state, at } => write!(
                f,
                "another switch of {service} is staged: {state}, activates at {}",
                InWords(*at)
            ),
            Self::NoCluster {
                proxy,
                color,
                cluster,
            } => write!(
                f,
                "{proxy} has no cluster `{cluster}`, the route of {color}"
            ),
            Self::NoHealthyEndpoint {
                proxy,
                color,
                cluster,
                endpoints,
            } => write!(
                f,
                "{proxy} has nowhere to send {color}: cluster `{cluster}` has {endpoints}"
            ),
            Self::Drift { proxy, paths } => write!(
                f,
                "more than the switch would change at {proxy}: {}",
                few(paths)
            ),
            Self::OtherServices { proxy, services } => write!(
                f,
                "other services would be switched too at {proxy}: {}",
                few(services)
            ),
            Self::ModulesDiffer(modules) => {
                f.write_str("the Envoys run different modules: ")?;
                for (index, (proxy, module)) in modules.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{proxy} runs {module}")?;
                }
                Ok(())
            }
            Self::OtherModule {
                proxy,
                runs,
                path,
                file,
            } => {
                write!(f, "a push would change the module of {proxy}: ")?;
                match runs {
                    Some(runs) => write!(f, "it runs {runs}")?,
                    None => f.write_str("it runs one that does not show its build")?,
                }
                write!(f, ", {} is {file}", path.display())
            }
            Self::RefusedLast {
                proxy,
                refused,
                runs,
            } => {
                let version = |version: &Option<String>| {
                    version
                        .clone()
                        .unwrap_or_else(|| "without a version".to_owned())
                };
                write!(
                    f,
                    "{proxy} refused its last file ({}), or has not taken it yet, and runs an older one ({}): \
                     whether more than the switch would change cannot be seen",
                    version(refused),
                    version(runs)
                )
            }
        }
    }
}

impl Refusal {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnderWay(_) => {
                "`cutover wait` waits until it is done, `cutover rollback` goes back at once"
            }
            Self::Staged { .. } => {
                "`cutover flip --cancel` takes that one back, `cutover flip --resume` sees it through; one that is \
                 forced over it may reach some Envoys before its instant and some after it"
            }
            Self::NoCluster { .. } => {
                "give that Envoy the cluster, or name the one that it has in the configuration"
            }
            Self::NoHealthyEndpoint { .. } => {
                "start the application, and look at /clusters of that Envoy until it is healthy"
            }
            Self::Drift { .. } => {
                "push the file alone first: copy it beside itself and `mv` the copy over it; or take the \
                 change out of it"
            }
            Self::OtherServices { .. } => {
                "`cutover wait --service NAME` waits until that Envoy shows them; `cutover status` shows more"
            }
            Self::ModulesDiffer(_) => {
                "give all of them one module and restart those that run another; `cutover status` shows it"
            }
            Self::OtherModule { .. } => {
                "put back the module that runs, or restart that Envoy with the new one while nothing is \
                 flipped"
            }
            Self::RefusedLast { .. } => {
                "try again in a second; if it stays, that Envoy's log says why: mend the file, copy it beside itself \
                 and `mv` the copy over it"
            }
        }
    }

    /// A word for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UnderWay(_) => "under-way",
            Self::Staged { .. } => "staged",
            Self::NoCluster { .. } => "no-cluster",
            Self::NoHealthyEndpoint { .. } => "no-healthy-endpoint",
            Self::Drift { .. } => "drift",
            Self::OtherServices { .. } => "other-services",
            Self::ModulesDiffer(_) => "modules-differ",
            Self::OtherModule { .. } => "other-module",
            Self::RefusedLast { .. } => "refused-last",
        }
    }
}

/// What an Envoy shows, as far as the gates want to know it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) stats: Stats,
    pub(crate) running: Option<Running>,
    /// None where it was not asked, or did not say.
    pub(crate) clusters: Option<BTreeMap<String, Endpoints>>,
}

/// Why requests to a color would be answered by nobody, as far as the Envoy's clusters tell.
pub(crate) fn nowhere(
    proxy: &Proxy,
    service: &Service,
    color: Color,
    clusters: &BTreeMap<String, Endpoints>,
) -> Option<Refusal> {
    // Where a route is a header's value, the proxy's own routes say which cluster that is.
    if service.route_by() == RouteBy::Header {
        return None;
    }
    let cluster = service.route(color).to_owned();
    match clusters.get(&cluster) {
        None => Some(Refusal::NoCluster {
            proxy: proxy.clone(),
            color,
            cluster,
        }),
        Some(endpoints) if endpoints.healthy == 0 => Some(Refusal::NoHealthyEndpoint {
            proxy: proxy.clone(),
            color,
            cluster,
            endpoints: endpoints.clone(),
        }),
        Some(_) => None,
    }
}

/// What one Envoy has against a flip.
pub(crate) fn at_envoy(
    proxy: &Proxy,
    document: &Document,
    service: &Service,
    color: Color,
    facts: &Facts,
) -> Vec<Refusal> {
    let clusters = facts.clusters.as_ref();
    let nowhere = clusters.and_then(|clusters| nowhere(proxy, service, color, clusters));
    let mut refusals: Vec<_> = nowhere.into_iter().collect();
    // An Envoy that was given nothing yet runs nothing that could change.
    let Some(running) = &facts.running else {
        return refusals;
    };
    if !running.was_accepted(document, &facts.stats) {
        let (refused, runs) = if document.plugin().is_some() {
            running.not_taken(&facts.stats)
        } else {
            (running.version.clone(), facts.stats.version.clone())
        };
        refusals.push(Refusal::RefusedLast {
            proxy: proxy.clone(),
            refused,
            runs,
        });
        return refusals;
    }
    let paths = drift(document, &running.resource);
    if !paths.is_empty() {
        let proxy = proxy.clone();
        refusals.push(Refusal::Drift { proxy, paths });
    }
    let services = other_switches(document, &running.resource, service.name());
    if !services.is_empty() {
        let proxy = proxy.clone();
        refusals.push(Refusal::OtherServices { proxy, services });
    }
    refusals
}

/// What is wrong with the modules: those of the Envoys, in the order of the request, and the file
/// that a push would make them load.
pub(crate) fn modules(
    target: &Target,
    document: &Document,
    envoys: &[(&Proxy, &Facts)],
) -> Vec<Refusal> {
    let mut refusals = vec![];
    // Of one that was given nothing, or refused what it was given, nothing is known.
    let is_known = |facts: &Facts| {
        let running = facts.running.as_ref();
        running.is_some_and(|running| running.was_accepted(document, &facts.stats))
    };
    let running = envoys.iter().filter(|(_, facts)| is_known(facts));
    let shown: Vec<_> = running
        .clone()
        .filter_map(|(proxy, facts)| Some(((*proxy).clone(), facts.stats.module?)))
        .collect();
    if shown
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a.1 != b.1))
    {
        refusals.push(Refusal::ModulesDiffer(shown));
    }
    let Some((path, file)) = module_on_disk(target, document) else {
        return refusals;
    };
    let others = running.filter(|(_, facts)| facts.stats.module != Some(file));
    refusals.extend(others.map(|(proxy, facts)| Refusal::OtherModule {
        proxy: (*proxy).clone(),
        runs: facts.stats.module,
        path: path.clone(),
        file,
    }));
    refusals
}

/// The module that the configuration names, where it can be found and is one of Cutover's.
pub(crate) fn module_on_disk(target: &Target, document: &Document) -> Option<(PathBuf, ModuleId)> {
    // A relative path is relative to Envoy's folder, which is that of the file where `init` or `up`
    // wrote it; where it is another one, nothing is found and nothing concluded.
    let path = target.file()?.path().with_file_name(document.module()?);
    let module = ModuleId::of_wasm(&fs::read(&path).ok()?)?;
    Some((path, module))
}

/// Whether the journal knows of a switch of the service that another process has not ended yet.
pub(crate) fn under_way(entries: &[Entry], service: &str) -> Option<Refusal> {
    let chapters = Chapter::of(entries, |_| None).into_iter();
    let mut under_way =
        chapters.filter(|one| one.begun.service == service && one.fate == Fate::UnderWay);
    let last = under_way.next_back()?;
    Some(Refusal::UnderWay(Box::new(last.begun)))
}

/// Whether the configuration has a switch of the service whose window is not over.
pub(crate) fn staged(service: &Service, unix_ms: u64) -> Option<Refusal> {
    let switch = service.switch();
    let due = switch.activation?;
    (unix_ms < due.at() + u64::from(due.hold())).then(|| Refusal::Staged {
        service: service.name().to_owned(),
        state: switch.into(),
        at: due.at(),
    })
}

fn few(names: &[String]) -> String {
    const FEW: usize = 5;
    let mut text: Vec<_> = names.iter().take(FEW).cloned().collect();
    if names.len() > FEW {
        text.push(format!("and {} more", names.len() - FEW));
    }
    text.join(", ")
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
