//! What a flip would find: file and Envoys at one look, and what the gates make of it.

use super::{FlipError, Schedule, change::Intent};
use crate::{
    Admin, AdminError, Document, Endpoints, Fleet, KubeTarget, Proxy, Refusal, Seen, State, Stats,
    Target,
    clock::ClockLine,
    gate::{self, Facts},
};
use cutover_core::{Color, RouteBy, Service, Switch};
use futures_util::future::{join, join_all};
use std::time::Duration;

/// Where a switch leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// To a color.
    To(Color),
    /// To the color that is not active.
    Other,
    /// To the color before; nothing is asked of it.
    Back,
}

impl Aim {
    /// A refusal that does not stop it, as a warning.
    pub(super) fn in_spite_of(self, refusal: &Refusal) -> String {
        match self {
            Self::Back => refusal.to_string(),
            Self::To(_) | Self::Other => format!("--force passes over this: {refusal}"),
        }
    }

    /// The color that a service with this switch would get.
    pub fn color(self, before: &Switch) -> Color {
        match self {
            Self::To(color) => color,
            Self::Other => before.active.other(),
            Self::Back => {
                let previous = before.previous.map(|previous| previous.active);
                previous
                    .filter(|color| *color != before.active)
                    .unwrap_or(before.active.other())
            }
        }
    }
}

/// What to look at, and whom to ask.
#[derive(Clone, Debug)]
pub struct PlanRequest {
    /// The services; all of them where none is named.
    pub services: Vec<String>,
    /// Where the switch would lead.
    pub aim: Aim,
    /// As in [`FlipRequest`](crate::FlipRequest).
    pub expect_generation: Option<u64>,
    /// As in [`FlipRequest`](crate::FlipRequest).
    pub generation: Option<u64>,
    /// As in [`FlipRequest`](crate::FlipRequest).
    pub fleet: Fleet,
    /// As in [`FlipRequest`](crate::FlipRequest).
    pub force: bool,
    /// As in [`FlipRequest`](crate::FlipRequest).
    pub take_fields: bool,
    /// Whether this tool would write it. Where Git is to have it, nobody else's fields are in its way.
    pub by_this_tool: bool,
    /// When it shall activate; at once without.
    pub schedule: Option<Schedule>,
}

/// What a flip of one service would do.
#[derive(Debug)]
pub struct Outlook {
    /// The service.
    pub service: String,
    /// What the file says now.
    pub before: Switch,
    /// The color that it would be switched to.
    pub to: Color,
    /// What would be written now; its generation grows with the clock. None when file and Envoys
    /// have it already, or when nothing could be written.
    pub after: Option<Switch>,
    /// What each Envoy shows, in the order of the fleet.
    pub envoys: Vec<Sight>,
    /// What it would fail with.
    pub obstacle: Option<FlipError>,
    /// What it would warn of.
    pub warnings: Vec<String>,
    /// What would be written; what is there, where nothing would be.
    pub document: Document,
}

/// What an Envoy shows of a service.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Which.
    pub proxy: Proxy,
    /// What it shows, and what it has behind the color that would become active: none where the
    /// route is a header, whose upstream only the proxy's own routes know, or where there is no
    /// such cluster.
    pub answer: Result<(Seen, Option<Endpoints>), AdminError>,
}

/// How long an Envoy may keep a way back waiting: the answer only helps to see a refusal, and a
/// generation that is newer than the file's.
const PATIENCE_ON_THE_WAY_BACK: Duration = Duration::from_millis(250);
/// The same of a pod, to which a tunnel has to be made first.
const PATIENCE_WITH_PODS_ON_THE_WAY_BACK: Duration = Duration::from_secs(1);

/// Says for each service what a flip would do now. Nothing is locked, and nothing written.
pub async fn plan(target: &Target, request: &PlanRequest) -> Result<Vec<Outlook>, FlipError> {
    let document = target.read().await?;
    let all = document.plan()?;
    let services: Vec<&Service> = match request.services.as_slice() {
        [] => all.services().iter().map(AsRef::as_ref).collect(),
        some => {
            let some = some.iter();
            some.map(|name| crate::service_of(&all, Some(name)))
                .collect::<Result<_, _>>()?
        }
    };
    let gated = request.aim != Aim::Back && !request.force;
    let looks = look(
        &document,
        &services,
        &request.fleet,
        request.aim,
        request.force,
    );
    let looks = looks.await;
    let journal = match target.entries().await {
        Err(_) if !gated => vec![],
        journal => journal?,
    };
    let outlooks = services.iter().map(|service| {
        let mut outlook = Outlook::of(&document, service, request.aim, &looks);
        let worked_out = || -> Result<_, FlipError> {
            let (aim, expect) = (request.aim, request.expect_generation);
            let intent = Intent::of(&document, Some(service.name()), aim, expect, None)?;
            let silent: Vec<_> = looks.iter().filter_map(Look::silence).collect();
            if aim != Aim::Back && !silent.is_empty() {
                return Err(FlipError::Unreachable(silent));
            }
            let schedule = request.schedule.as_ref();
            let due = schedule.map(|schedule| schedule.due(ClockLine::start().now()));
            let due = due.transpose()?;
            let change = intent.change(&document, expect, request.generation, due, &looks)?;
            let refusals = match &change {
                Some(_) if request.aim != Aim::Back => {
                    intent.refusals(target, &journal, &document, &looks)?
                }
                _ => nowhere(service, intent.to, &looks),
            };
            Ok((change, refusals))
        };
        match worked_out() {
            Ok((change, refusals)) => {
                if let Some(change) = change {
                    outlook.after = Some(change.switch);
                    outlook.document = change.document;
                    outlook.warnings = change.warnings;
                }
                if !gated {
                    let warnings = refusals.iter().map(|one| request.aim.in_spite_of(one));
                    outlook.warnings.extend(warnings);
                } else if !refusals.is_empty() {
                    outlook.obstacle = Some(FlipError::Refused(refusals));
                }
            }
            Err(error) => outlook.obstacle = Some(error),
        }
        outlook
    });
    let mut outlooks: Vec<_> = outlooks.collect();
    let asked = request.by_this_tool && request.aim != Aim::Back;
    if let Some(kube) = target.kube().filter(|_| asked) {
        ask_the_api_server(kube, &mut outlooks, request.take_fields).await;
    }
    Ok(outlooks)
}

/// What would be written of all of them at once.
pub fn together<'o>(outlooks: impl IntoIterator<Item = &'o Outlook>) -> Option<Document> {
    let mut outlooks = outlooks.into_iter();
    let first = outlooks.next()?.document.clone();
    let others = outlooks.filter_map(|other| Some((&other.service, other.after.as_ref()?)));
    Some(others.fold(first, |document, (service, after)| {
        document.with_switch(service, after)
    }))
}

/// Who owns the fields of a switch, and what the policies of a cluster say to it, knows the API server alone. It is asked once;
/// only where it has something to say to that, service by service.
async fn ask_the_api_server(kube: &KubeTarget, outlooks: &mut [Outlook], take_fields: bool) {
    let written = outlooks.iter().filter(|one| one.would_be_written());
    let Some(all) = together(written) else { return };
    if !take_fields && kube.try_out(&all, false).await.is_ok() {
        return;
    }
    for outlook in outlooks.iter_mut().filter(|one| one.would_be_written()) {
        match kube.try_out(&outlook.document, take_fields).await {
            Ok((_, taken)) => outlook.warnings.extend(taken),
            Err(error) => outlook.obstacle = Some(error.into()),
        }
    }
}

impl Outlook {
    fn of(document: &Document, service: &Service, aim: Aim, looks: &[Look]) -> Self {
        let before = *service.switch();
        let to = aim.color(&before);
        let sight = |look: &Look| {
            let answer = match &look.facts {
                Ok(facts) => {
                    let seen = facts.stats.services.get(service.name());
                    let endpoints = match service.route_by() {
                        RouteBy::Cluster => {
                            let clusters = facts.clusters.as_ref();
                            clusters.and_then(|all| all.get(service.route(to))).cloned()
                        }
                        RouteBy::Header => None,
                    };
                    Ok((seen.cloned().unwrap_or_default(), endpoints))
                }
                Err(error) => Err(error.clone()),
            };
            let proxy = look.admin.proxy().clone();
            Sight { proxy, answer }
        };
        Self {
            service: service.name().to_owned(),
            before,
            to,
            after: None,
            envoys: looks.iter().map(sight).collect(),
            obstacle: None,
            warnings: vec![],
            document: document.clone(),
        }
    }

    fn would_be_written(&self) -> bool {
        self.obstacle.is_none() && self.after.is_some()
    }

    /// What the file says now.
    pub fn state(&self) -> State {
        (&self.before).into()
    }
}

/// One Envoy before anything is written.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) admin: Admin,
    pub(super) facts: Result<Facts, AdminError>,
}

impl Look {
    pub(super) fn silence(&self) -> Option<AdminError> {
        self.facts.as_ref().err().cloned()
    }

    pub(super) fn stats(&self) -> Option<&Stats> {
        self.facts.as_ref().ok().map(|facts| &facts.stats)
    }

    /// The newest generation that it shows of a service, staged or not.
    pub(super) fn newest(&self, service: &str) -> Option<u64> {
        let seen = self.stats()?.services.get(service)?;
        seen.generation.max(seen.staged)
    }

    /// Generation and color that it shows of a service.
    pub(super) fn switch(&self, service: &str) -> Option<(u64, Color)> {
        let seen = self.stats()?.services.get(service)?;
        Some((seen.generation?, seen.active?))
    }
}

/// The Envoys at which nobody would answer requests to a color.
pub(super) fn nowhere(service: &Service, color: Color, looks: &[Look]) -> Vec<Refusal> {
    let at = |look: &Look| {
        let clusters = look.facts.as_ref().ok()?.clusters.as_ref()?;
        gate::nowhere(look.admin.proxy(), service, color, clusters)
    };
    looks.iter().filter_map(at).collect()
}

/// Asks all Envoys at once; on the way back only for what they show, and not for long.
pub(super) async fn look(
    document: &Document,
    services: &[&Service],
    fleet: &Fleet,
    aim: Aim,
    force: bool,
) -> Vec<Look> {
    let one = match services {
        [one] => Some(one.name()),
        _ => None,
    };
    let routes = services
        .iter()
        .filter(|service| service.route_by() == RouteBy::Cluster)
        .map(|service| service.route(aim.color(service.switch())));
    let mut clusters: Vec<_> = routes.collect();
    clusters.sort_unstable();
    clusters.dedup();
    let clusters = &clusters;
    join_all(fleet.now().into_iter().map(async |proxy| {
        let admin = Admin::with_names(proxy, document.names());
        let asked = match aim {
            Aim::Back if admin.proxy().pod().is_some() => {
                admin.with_patience(PATIENCE_WITH_PODS_ON_THE_WAY_BACK)
            }
            Aim::Back => admin.with_patience(PATIENCE_ON_THE_WAY_BACK),
            Aim::To(_) | Aim::Other => admin.clone(),
        };
        let facts = async {
            if aim == Aim::Back {
                let (stats, clusters) = join(asked.stats(one), asked.clusters(clusters)).await;
                return Ok(Facts {
                    stats: stats?,
                    running: None,
                    clusters: clusters.ok(),
                });
            }
            let stats = asked.stats(one).await?;
            if force {
                // Only to say what is passed over: what cannot be known stands in nobody's way.
                return Ok(Facts {
                    stats,
                    running: asked.running_config().await.ok().flatten(),
                    clusters: asked.clusters(clusters).await.ok(),
                });
            }
            Ok(Facts {
                stats,
                running: asked.running_config().await?,
                clusters: Some(asked.clusters(clusters).await?),
            })
        };
        let facts = facts.await;
        Look { admin, facts }
    }))
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::{Generation, Previous};

    #[test]
    fn the_way_back_leads_to_another_color() {
        let back = |active, previous: Option<Color>| {
            let generation = Generation::new(1).unwrap();
            let previous = previous.map(|active| Previous { generation, active });
            let generation = Generation::new(2).ok();
            Aim::Back.color(&Switch {
                generation,
                active,
                previous,
                activation: None,
            })
        };
        for color in Color::ALL {
            assert_eq!(back(color, None), color.other());
            assert_eq!(back(color, Some(color.other())), color.other());
            // The same color again: a push that was repeated.
            assert_eq!(back(color, Some(color)), color.other());
        }
    }
}
