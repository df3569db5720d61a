//! What a watch waits for, and what is still missing.

use crate::{Agreement, ModuleId, Proxy, ProxyStatus, Status};
use cutover_core::{Color, RouteBy, Service};
use std::{fmt, str::FromStr};

/// What a watch waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Every Envoy agrees with the file, runs its configuration, and has the same module.
    Settled,
    /// Every Envoy shows this color.
    Shows(Color),
    /// Every Envoy shows this generation or a newer one.
    Generation(u64),
    /// No Envoy sends requests to this color, and none is open there; the color that the file does not
    /// have for active, where none is said.
    Drained(Option<Color>),
}

/// One thing that is not so yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Who; nobody when it is none's fault.
    pub proxy: Option<Proxy>,
    /// The service, if it is about one.
    pub service: Option<String>,
    /// What, as a sentence with the Envoy in it.
    pub why: String,
    /// Nothing is wrong: it waits for an instant.
    pub is_staged: bool,
}

impl FromStr for Until {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ALLOWED: &str =
            "it is `settled`, `blue`, `green`, `generation=N`, `drained` or `drained=COLOR`";
        let (word, value) = match text.split_once('=') {
            Some((word, value)) => (word, Some(value)),
            None => (text, None),
        };
        match (word, value) {
            ("settled", None) => Ok(Self::Settled),
            ("drained", None) => Ok(Self::Drained(None)),
            ("drained", Some(color)) => {
                Ok(Self::Drained(Some(color.parse().map_err(|_| ALLOWED)?)))
            }
            ("generation", Some(number)) => {
                Ok(Self::Generation(number.parse().map_err(|_| ALLOWED)?))
            }
            (color, None) => Ok(Self::Shows(color.parse().map_err(|_| ALLOWED)?)),
            _ => Err(ALLOWED),
        }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settled => f.write_str("settled"),
            Self::Shows(color) => write!(f, "{color}"),
            Self::Generation(generation) => write!(f, "generation={generation}"),
            Self::Drained(None) => f.write_str("drained"),
            Self::Drained(Some(color)) => write!(f, "drained={color}"),
        }
    }
}

impl Until {
    /// Whether it could ever be seen: streams are counted at clusters, and a service that routes by
    /// a header does not tell which those are.
    pub fn can_be_seen(self, services: &[&Service]) -> Result<(), String> {
        let by_header = services
            .iter()
            .find(|one| one.route_by() == RouteBy::Header);
        match (self, by_header) {
            (Self::Drained(_), Some(service)) => Err(format!(
                "the streams of service `{}` cannot be counted: it routes by a header, so its clusters are \
                 not known here",
                service.name()
            )),
            _ => Ok(()),
        }
    }

    /// What is not so yet; nothing when it has come true. Without an Envoy nothing ever does.
    pub fn missing(self, status: &Status, services: &[&Service]) -> Vec<Missing> {
        let mut missing = Vec::new();
        let mut miss = |proxy: Option<&Proxy>, service: Option<&Service>, why| {
            let service = service.map(|one| one.name().to_owned());
            missing.push(Missing {
                proxy: proxy.cloned(),
                service,
                why,
                is_staged: false,
            });
        };
        let noun = status.document.noun();
        if status.proxies.is_empty() {
            miss(None, None, "no Envoy can be asked".to_owned());
        }
        for proxy in &status.proxies {
            let who = Some(&proxy.proxy);
            if let Err(error) = &proxy.answer {
                miss(who, None, error.to_string());
                continue;
            }
            for service in services {
                if let Some(why) = self.lacks(proxy, service, &noun) {
                    miss(who, Some(service), why);
                }
            }
            let wrong = [drifts(proxy, &noun), other_module(proxy, status.module)];
            for why in wrong
                .into_iter()
                .flatten()
                .filter(|_| self == Self::Settled)
            {
                miss(who, None, why);
            }
        }
        let modules = status.modules();
        if self == Self::Settled && modules.len() > 1 {
            let modules: Vec<_> = modules.iter().map(ToString::to_string).collect();
            miss(
                None,
                None,
                format!(
                    "the Envoys run different modules: {}",
                    modules.join(" and ")
                ),
            );
        }
        for missing in &mut missing {
            let named = missing.proxy.as_ref().zip(missing.service.as_deref());
            missing.is_staged = named.is_some_and(|(proxy, name)| {
                let mut proxies = status.proxies.iter();
                let proxy = proxies.find(|one| one.proxy == *proxy);
                let service = services.iter().find(|one| one.name() == name);
                let shows = proxy
                    .zip(service)
                    .and_then(|(proxy, one)| proxy.shows(name, one.switch()));
                shows.is_some_and(|shows| shows.agreement == Agreement::Staged)
            });
        }
        missing
    }

    fn lacks(self, proxy: &ProxyStatus, service: &Service, noun: &str) -> Option<String> {
        let beside = proxy.shows(service.name(), service.switch())?;
        let (admin, seen, file) = (&proxy.proxy, &beside.seen, service.switch());
        let shown = match (seen.generation, seen.active) {
            (Some(generation), Some(color)) => {
                format!("{admin} shows {color}, generation {generation}")
            }
            _ => format!("{admin} does not show service `{}`", service.name()),
        };
        let shown = match seen.staged {
            Some(staged) => format!("{shown}, and has generation {staged} staged"),
            None => shown,
        };
        match self {
            Self::Settled => {
                let file = match file.generation {
                    Some(generation) => format!("{}, generation {generation}", file.active),
                    None => file.active.to_string(),
                };
                let good = beside.agreement.is_good() && beside.agreement != Agreement::Staged;
                (!good).then(|| match beside.agreement {
                    Agreement::Missing => shown,
                    _ => format!("{shown}; {noun} has {file}"),
                })
            }
            Self::Shows(color) => (seen.active != Some(color)).then_some(shown),
            Self::Generation(wanted) => (seen.generation < Some(wanted)).then_some(shown),
            Self::Drained(color) => {
                let color = color.unwrap_or_else(|| file.active.other());
                if seen.active.is_none_or(|active| active == color) {
                    return Some(shown);
                }
                match proxy.streams(service, color) {
                    Some(0) => None,
                    Some(1) => Some(format!("{admin} has 1 stream on {color}")),
                    Some(open) => Some(format!("{admin} has {open} streams on {color}")),
                    None => Some(format!("{admin} has no cluster `{}`", service.route(color))),
                }
            }
        }
    }
}

fn drifts(proxy: &ProxyStatus, noun: &str) -> Option<String> {
    let drift = proxy.answer.as_ref().ok()?.drift.as_ref()?;
    let [first, more @ ..] = drift.as_slice() else {
        return None;
    };
    let more = match more.len() {
        0 => String::new(),
        number => format!(" and {number} more"),
    };
    Some(format!(
        "{} runs another configuration than {noun}: {first}{more}",
        proxy.proxy
    ))
}

/// An Envoy that shows no module runs one that is too old to tell: then it is another one as well.
fn other_module(proxy: &ProxyStatus, file: Option<ModuleId>) -> Option<String> {
    let (file, admin) = (file?, &proxy.proxy);
    match proxy.answer.as_ref().ok()?.stats.module {
        Some(runs) if runs == file => None,
        Some(runs) => Some(format!("{admin} runs module {runs}; the file names {file}")),
        None => Some(format!("{admin} shows no module; the file names {file}")),
    }
}

#[cfg(test)]
#[path = "until_tests.rs"]
mod tests;
