//! What to do after a look.

use cutover_control::{Agreement, Operator, ProxyStatus, Status, Until};
use cutover_core::Service;

/// The next step. What is wrong comes first; else the last release is ended, or the next one begun.
pub(super) fn step(status: &Status, services: &[&Service]) -> String {
    let more = if status.plan.services().len() > 1 {
        " --service NAME"
    } else {
        ""
    };
    if let Some(step) = services.iter().find_map(|one| revive(status, one, more)) {
        return step;
    }
    if let Some(standing) = status.standings.iter().find(|one| !one.is_over) {
        let is_gone = standing.operator != Some(Operator::Lives);
        return if is_gone {
            "`cutover flip --resume` sees it through, `cutover flip --cancel` takes it back"
                .to_owned()
        } else {
            format!(
                "`cutover wait{more}` waits until it is active, `cutover flip --cancel` takes it back"
            )
        };
    }
    if let Some(revert) = status.reverts.first() {
        let active = if revert.is_kept {
            revert.from.active
        } else {
            revert.to.active
        };
        let advice = revert.advice.as_ref();
        let advice = advice.map_or_else(String::new, |advice| format!("; {advice}"));
        return format!(
            "`cutover flip {active} --force-conflicts` makes the cluster say what rules again{advice}"
        );
    }
    if let Some(silent) = status.proxies.iter().find(|proxy| proxy.answer.is_err()) {
        let admin = &silent.proxy;
        return format!(
            "is the Envoy of {admin} up? `cutover status --watch` tells when it is back"
        );
    }
    for service in services {
        for proxy in &status.proxies {
            let agreement = proxy
                .shows(service.name(), service.switch())
                .map(|shows| shows.agreement);
            let in_cluster = status.document.plugin().is_some();
            if agreement == Some(Agreement::Missing) && in_cluster {
                return "does istiod push to it? `istioctl proxy-status` and its log tell"
                    .to_owned();
            }
            if let Some(step) = agreement.and_then(|agreement| mend(agreement, service, more)) {
                return step;
            }
        }
    }
    if !Until::Settled.missing(status, services).is_empty() {
        let modules = status.modules();
        let file = status.module;
        return if modules.len() > 1 || file.is_some_and(|file| modules != [file]) {
            "give every Envoy the module that the file names, before the next flip".to_owned()
        } else if status.document.plugin().is_some() {
            "`cutover status --until settled` waits; a proxy's log says what it refused".to_owned()
        } else {
            "`cutover flip` refuses while file and Envoy differ: put the file right, or push it with --force"
                .to_owned()
        };
    }
    let [service] = services else {
        return "`cutover flip COLOR --service NAME` switches one of them".to_owned();
    };
    let (active, other) = (service.switch().active, service.switch().active.other());
    let open: u64 = status
        .proxies
        .iter()
        .filter_map(|proxy: &ProxyStatus| proxy.streams(service, other))
        .sum();
    if open > 0 && service.switch().previous.is_some() {
        return format!(
            "`cutover status --until drained` waits for what is open on {other}, beside {active}"
        );
    }
    let lives = |proxy: &ProxyStatus| {
        let endpoints = proxy.endpoints(service, other);
        endpoints.is_none_or(|endpoints| endpoints.healthy > 0)
    };
    if !status.proxies.iter().all(lives) {
        return format!(
            "start the application of {other}, the next release say; then `cutover flip {other}{more}`"
        );
    }
    // After a switch the way back is what is at hand; before the first one, or after a way back, it
    // is the way forth.
    match service.switch().previous {
        Some(previous) if previous.active == other => {
            format!("`cutover rollback{more}` goes back to {other}")
        }
        _ => format!("`cutover flip {other}{more}` switches all traffic to {other}"),
    }
}

/// What to do where nobody was asked.
pub(super) fn alone(of_up: bool) -> String {
    let step = if of_up {
        "start `cutover up`, or name the Envoys with --admin HOST:PORT"
    } else {
        "name the Envoys with --admin HOST:PORT"
    };
    step.to_owned()
}

/// What to do once a color has no request any more; none where something else was waited for.
pub(super) fn met(until: Until, services: &[&Service]) -> Option<String> {
    let Until::Drained(color) = until else {
        return None;
    };
    let [service] = services else {
        return Some("the applications of that color can be retired".to_owned());
    };
    let color = color.unwrap_or_else(|| service.switch().active.other());
    Some(format!(
        "{color} can be retired: nothing is sent there, and nothing is open"
    ))
}

/// What brings about what was waited for in vain; none where nothing but what is wrong stands in its
/// way.
pub(super) fn unmet(until: Until, status: &Status, services: &[&Service]) -> Option<String> {
    let silent = |proxy: &ProxyStatus| proxy.answer.is_err();
    if status.proxies.iter().any(silent) {
        return None;
    }
    let more = if status.plan.services().len() > 1 {
        " --service NAME"
    } else {
        ""
    };
    let lacks = |one: &&&Service| !until.missing(status, &[**one]).is_empty();
    let service = *services.iter().find(lacks)?;
    let (active, generation) = (service.switch().active, service.switch().generation);
    let noun = status.document.noun();
    match until {
        Until::Settled => None,
        Until::Shows(color) if color == active => None,
        Until::Shows(color) => Some(format!(
            "{noun} has {active}: `cutover flip {color}{more}` is what makes them show {color}"
        )),
        Until::Generation(wanted) if generation.is_some_and(|has| has.get() >= wanted) => None,
        Until::Generation(wanted) => Some(format!(
            "{noun} does not have generation {wanted} yet: `cutover history` tells who wrote last"
        )),
        Until::Drained(color) => {
            let color = color.unwrap_or_else(|| active.other());
            if color == active {
                let other = color.other();
                return Some(format!(
                    "{color} is active in {noun}: `cutover flip {other}{more}` sends requests elsewhere"
                ));
            }
            let open = |proxy: &ProxyStatus| proxy.streams(service, color);
            let open: u64 = status.proxies.iter().filter_map(open).sum();
            (open > 0).then(|| {
                format!(
                    "wait longer with a greater --deadline, or let the application of {color} end what is \
                     open there"
                )
            })
        }
    }
}

/// Where the active color has no healthy endpoint: what brings answers back.
fn revive(status: &Status, service: &Service, more: &str) -> Option<String> {
    let mut proxies = status.proxies.iter();
    let dead = proxies.find(|proxy| proxy.nowhere(service).is_some())?;
    let active = dead.active(service.name())?;
    let other = active.other();
    let lives = |proxy: &ProxyStatus| {
        let endpoints = proxy.endpoints(service, other);
        endpoints.is_some_and(|endpoints| endpoints.healthy > 0)
    };
    if !status.proxies.iter().all(lives) {
        return Some(format!(
            "start the application of {active}, or that of {other} and then `cutover flip {other}{more}`"
        ));
    }
    let file = service.switch();
    let is_way_back = file.active == active
        && file
            .previous
            .is_some_and(|previous| previous.active == other);
    Some(if is_way_back {
        format!(
            "`cutover rollback{more}` goes back to {other}, which is healthy; or start the application of \
             {active} again"
        )
    } else {
        format!(
            "`cutover flip {other}{more}` switches to {other}, which is healthy; or start the application \
             of {active} again"
        )
    })
}

fn mend(agreement: Agreement, service: &Service, more: &str) -> Option<String> {
    let active = service.switch().active;
    match agreement {
        Agreement::Agrees | Agreement::PerWorker | Agreement::Staged => None,
        Agreement::Behind => Some(format!(
            "`cutover status --until settled` waits for it; `cutover flip {active}{more}` pushes again"
        )),
        Agreement::Ahead | Agreement::Conflict => Some(format!(
            "another writer was there: `cutover history` tells who; `cutover flip {active}{more}` makes the file rule"
        )),
        Agreement::Missing => Some(
            "does that Envoy watch the folder of this very file? its log says what it refused"
                .to_owned(),
        ),
    }
}
