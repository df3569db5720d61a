//! What the file says, what each proxy shows, and whether the two agree.

use crate::{Admin, AdminError, FileTarget, FlipError, Seen, Stats, service_of};
use cutover_core::{Color, Generation, Plan, Switch};
use std::net::SocketAddr;

/// The file and the proxies at one look.
#[derive(Clone, Debug)]
pub struct Status {
    /// The plan in the file.
    pub plan: Plan,
    /// The file's `version_info`.
    pub version: Option<String>,
    /// What each Envoy shows, in the order of the request.
    pub proxies: Vec<ProxyStatus>,
}

/// One Envoy.
#[derive(Clone, Debug)]
pub struct ProxyStatus {
    /// Its admin address.
    pub admin: SocketAddr,
    /// Version of Envoy and what it shows, or why it cannot be asked.
    pub answer: Result<(String, Stats), AdminError>,
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
            (Some(shown), _) if shown < file_generation => Self::Behind,
            (Some(shown), _) if shown > file_generation => Self::Ahead,
            (Some(_), active) if active == Some(file.active) => Self::Agrees,
            _ => Self::Conflict,
        }
    }

    /// True when nothing is wrong.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Agrees | Self::PerWorker)
    }

    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::PerWorker => "per worker",
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
        let (_, stats) = self.answer.as_ref().ok()?;
        let seen = stats.services.get(service).cloned().unwrap_or_default();
        let agreement = Agreement::of(file, &seen);
        Some(Shows { seen, agreement })
    }

    /// The active color that the Envoy shows of a service.
    pub fn active(&self, service: &str) -> Option<Color> {
        self.answer.as_ref().ok()?.1.services.get(service)?.active
    }
}

/// Reads the file and asks every Envoy, all at once.
pub async fn status(
    target: &FileTarget,
    service: Option<&str>,
    admins: &[SocketAddr],
) -> Result<Status, FlipError> {
    let document = target.read()?;
    let plan = document.plan()?;
    if service.is_some() {
        service_of(&plan, service)?;
    }
    let asked = admins.iter().map(|&address| {
        let admin = Admin::with_names(address, document.names().clone());
        async move {
            let answer = async { Ok((admin.version().await?, admin.stats(service).await?)) }.await;
            ProxyStatus {
                admin: address,
                answer,
            }
        }
    });
    let proxies = futures_util::future::join_all(asked).await;
    Ok(Status {
        version: document.version_info().map(str::to_owned),
        plan,
        proxies,
    })
}
