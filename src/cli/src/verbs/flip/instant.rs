//! What came of a flip at one instant.

use super::warn_if_blind;
use crate::{
    failure::{Exit, Failure, unshown, with_gone},
    output::{Events, Report},
    table::table,
};
use cutover_control::{
    Ending, FlipError, InMilliseconds, InWords, InstantRequest, Lagging, Measured, Proxy,
    ResumeRequest, Scheduled, State, Target, Unshown, flip_at, resume,
};
use cutover_core::{Color, Generation};
use serde_json::{Value, json};
use std::fmt::Write as _;
use tokio::task::JoinHandle;

/// Stages a switch and sees it through.
pub(super) async fn flip(
    target: &Target,
    request: InstantRequest,
    told: JoinHandle<()>,
    events: &Events,
) -> Result<Report, Failure> {
    let scheduled = flip_at(target, &request).await;
    let was_stopped = request.interrupt.is_raised();
    warn_if_blind(&request.fleet, events);
    drop(request);
    let _ = told.await;
    came_of(scheduled, target, events, Asked::Flip { was_stopped })
}

/// Takes up a switch that is staged.
pub(super) async fn take_up(
    target: &Target,
    request: ResumeRequest,
    told: JoinHandle<()>,
    events: &Events,
) -> Result<Report, Failure> {
    let scheduled = resume(target, &request).await;
    let asked = match request.resumption {
        cutover_control::Resumption::Cancel => Asked::Cancel,
        cutover_control::Resumption::Resume => Asked::Flip {
            was_stopped: request.interrupt.is_raised(),
        },
    };
    warn_if_blind(&request.fleet, events);
    drop(request);
    let _ = told.await;
    came_of(scheduled, target, events, asked)
}

/// What somebody asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Flip { was_stopped: bool },
    Cancel,
}

fn came_of(
    scheduled: Result<Scheduled, FlipError>,
    target: &Target,
    events: &Events,
    asked: Asked,
) -> Result<Report, Failure> {
    let scheduled = scheduled.map_err(|error| Failure::of_flip(error, target))?;
    for warning in &scheduled.warnings {
        events.say(&format!("warning: {warning}"));
    }
    let told = Told::of(&scheduled);
    let (services, active, other) = (&told.services, told.active, told.active.other());
    let json = as_json(&scheduled, &told);
    match &scheduled.ending {
        Ending::Already => {
            let text = format!("{services} is {active} already, and all Envoys show it");
            let next = format!("nothing is to be done; cutover flip {other} switches to {other}");
            Ok(Report::good(text, json).next(next))
        }
        Ending::Activated => {
            let late = names(&scheduled.late);
            let envoys = match scheduled.shown.len() {
                1 => "1 Envoy".to_owned(),
                number => format!("{number} Envoys"),
            };
            let mut text = format!(
                "done: {services} is {active} on {envoys} since {}, hold {} ms, generation {}",
                told.at, told.hold, told.generation
            );
            if !late.is_empty() {
                let _ = write!(text, "; late: {late}");
            }
            if !scheduled.unseen.is_empty() {
                let _ = write!(text, "; not seen in time: {}", names(&scheduled.unseen));
            }
            let _ = write!(text, "\n\n{}", clocks(&scheduled.clocks));
            let next = format!(
                "`cutover status` shows the Envoys; `cutover rollback` goes back to {other}"
            );
            Ok(Report::good(text, json).next(next))
        }
        Ending::Missing(missing) => {
            let message = format!(
                "{services} became {active} at {}, generation {}, but {} of {} Envoys do not show it: {}",
                told.at,
                told.generation,
                missing.len(),
                missing.len() + scheduled.shown.len(),
                reasons(missing)
            );
            Err(Failure::failed(message)
                .hint("`cutover status` shows more, `cutover wait` waits on; `cutover rollback` goes back at once")
                .details(json))
        }
        Ending::Superseded { generation, by } => {
            let shows = by
                .as_ref()
                .map_or_else(|| target.noun() + " has", |proxy| format!("{proxy} shows"));
            let message = format!(
                "another switch came in between: {shows} generation {generation}, which is newer than {}",
                told.generation
            );
            Err(Failure::failed(message)
                .hint("look with `cutover history` at what the other one did")
                .details(json))
        }
        Ending::Interrupted(missing) => {
            let message = format!(
                "interrupted, too late to take it back: {services} becomes {active} at {}, generation {}; {}",
                told.at,
                told.generation,
                showing(missing, scheduled.shown.len())
            );
            Err(Failure::environment(message)
                .hint(
                    "`cutover status` shows where it stands; `cutover rollback` goes back at once",
                )
                .details(json))
        }
        Ending::Stopped {
            cancel, unheard, ..
        } => Err(stopped(*cancel, unheard, scheduled.shown.len(), &told).details(json)),
        Ending::Cancelled { .. } => cancelled(&scheduled, &told, json, asked),
    }
}

/// Told to stop a second time.
fn stopped(cancel: Option<Generation>, unheard: &[Unshown], shown: usize, told: &Told) -> Failure {
    let Told {
        services,
        active,
        at,
        generation,
        ..
    } = told;
    let keeps = active.other();
    if let Some(cancel) = cancel {
        let message = format!(
            "stopped while it was taken back: {services} stays {keeps}, generation {cancel}; {}",
            showing(unheard, shown)
        );
        return Failure::environment(message).hint(format!(
            "`cutover wait` waits until every Envoy shows it; one that has not heard of it at {at} is {active} until it does"
        ));
    }
    let message = format!(
        "stopped, and not taken back: {services} becomes {active} at {at}, generation {generation}"
    );
    Failure::environment(message)
        .hint("`cutover flip --cancel` takes it back, `cutover flip --resume` sees it through")
}

fn cancelled(
    scheduled: &Scheduled,
    told: &Told,
    json: Value,
    asked: Asked,
) -> Result<Report, Failure> {
    let Ending::Cancelled {
        generation,
        why,
        in_doubt,
        heard_after,
        unheard,
    } = &scheduled.ending
    else {
        return Ok(Report::good("", json));
    };
    let (services, keeps) = (&told.services, told.active.other());
    let because = match (why.as_slice(), asked) {
        ([], Asked::Flip { was_stopped: true }) => "interrupted: ".to_owned(),
        _ => String::new(),
    };
    let reason = match why.as_slice() {
        [] => String::new(),
        why => format!(": {}", lags(why)),
    };
    let message = if in_doubt.is_empty() && unheard.is_empty() {
        format!(
            "{because}taken back before {}: {services} stays {keeps}, generation {generation}{reason}",
            told.at
        )
    } else {
        let doubtful = if unheard.is_empty() {
            let after = heard_after.map_or_else(String::new, |after| {
                format!(", until {} after it began to activate", milliseconds(after))
            });
            format!("in doubt: {} may have switched{after}", names(in_doubt))
        } else {
            format!("in doubt: {}", reasons(unheard))
        };
        format!(
            "taken back, but not everywhere before {}: {services} stays {keeps}, generation {generation}; {doubtful}{reason}",
            told.at
        )
    };
    let doubtful = !in_doubt.is_empty() || !unheard.is_empty();
    if asked == Asked::Cancel && !doubtful {
        return Ok(Report::good(message, json).next("`cutover status` shows the Envoys"));
    }
    let exit = match asked {
        Asked::Flip { was_stopped: true } if why.is_empty() && !doubtful => Exit::Environment,
        _ => Exit::Failed,
    };
    let hint = match why.first().map(|lagging| lagging.lag) {
        _ if !unheard.is_empty() => format!(
            "one that does not hear of it may be {}; `cutover status` shows more, `cutover flip {keeps} --now` pushes again",
            told.active
        ),
        None => format!(
            "{services} was {keeps} all the time, and a rollback would go to {}; run it again when you are ready",
            told.active
        ),
        Some(cutover_core::fleet::Lag::ClockOff(clock)) if clock.is_beyond_holds() => {
            "no hold is long enough for that: set that machine's clock right".to_owned()
        }
        Some(cutover_core::fleet::Lag::ClockOff(_)) => {
            "a longer --hold, or `--hold auto`, lets it through; or set that machine's clock right".to_owned()
        }
        Some(cutover_core::fleet::Lag::Unmeasured) => {
            "is there time enough? a later --at helps; --force passes over clocks".to_owned()
        }
        Some(cutover_core::fleet::Lag::Early) => {
            "that machine's clock is ahead, or another writer was there; `cutover history` tells".to_owned()
        }
        Some(_) => "`cutover status` shows more; a later --at gives it more time, --on-lag proceed flips without it, \
                    --now pushes to each as it reaches it"
            .to_owned(),
    };
    Err(Failure::new(exit, message).hint(hint).details(json))
}

/// What is said of any ending.
struct Told {
    services: String,
    active: Color,
    generation: u64,
    at: String,
    hold: u64,
}

impl Told {
    fn of(scheduled: &Scheduled) -> Self {
        let services = scheduled.written.iter();
        let services: Vec<_> = services.map(|written| written.service.as_str()).collect();
        let first = scheduled.written.first();
        Self {
            services: services.join(" and "),
            active: first.map_or(Color::Blue, |written| written.active),
            generation: first.map_or(0, |written| written.generation),
            at: scheduled
                .due
                .map_or_else(|| "now".to_owned(), |due| InWords(due.at_ms).to_string()),
            hold: scheduled.due.map_or(0, |due| due.hold_ms),
        }
    }
}

fn as_json(scheduled: &Scheduled, told: &Told) -> Value {
    let outcome = match scheduled.ending {
        Ending::Already => "already",
        Ending::Activated => "activated",
        Ending::Missing(_) => "missing",
        Ending::Cancelled { .. } if scheduled.ending.in_doubt().is_empty() => "cancelled",
        Ending::Cancelled { .. } => "in-doubt",
        Ending::Superseded { .. } => "superseded",
        Ending::Interrupted(_) | Ending::Stopped { .. } => "interrupted",
    };
    let services = scheduled.written.iter().map(|written| {
        let before = State::from(&written.before);
        json!({
            "service": written.service,
            "before": super::state(before.active, before.generation),
        })
    });
    let (why, missing, cancel) = match &scheduled.ending {
        Ending::Cancelled {
            why,
            unheard,
            generation,
            ..
        } => (why.as_slice(), unheard.as_slice(), Some(generation)),
        Ending::Missing(missing) | Ending::Interrupted(missing) => {
            ([].as_slice(), missing.as_slice(), None)
        }
        Ending::Stopped {
            cancel, unheard, ..
        } => ([].as_slice(), unheard.as_slice(), cancel.as_ref()),
        _ => ([].as_slice(), [].as_slice(), None),
    };
    let lagging = why.iter().map(|lagging| {
        let mut json = crate::output::object(lagging.proxy.to_json());
        json.insert("why".to_owned(), lagging.to_string().into());
        json
    });
    let clocks = scheduled.clocks.iter().map(|measured| {
        let mut json = crate::output::object(measured.proxy.to_json());
        json.insert(
            "offset_ms".to_owned(),
            measured.clock.map(|clock| thousandths(clock.offset)).into(),
        );
        let error = measured
            .clock
            .map(|clock| i64::try_from(clock.error).unwrap_or(i64::MAX));
        json.insert("error_ms".to_owned(), error.map(thousandths).into());
        json
    });
    let details = json!({
        "outcome": outcome,
        "services": services.collect::<Vec<_>>(),
        "active": told.active,
        "generation": told.generation,
        "at": scheduled.due.map(|due| due.at_ms),
        "hold": scheduled.due.map(|due| due.hold_ms),
        "written": scheduled.ending != Ending::Already,
        "shown": scheduled.shown.iter().map(|one| one.proxy.name()).collect::<Vec<_>>(),
        "missing": missing.iter().map(unshown).collect::<Vec<_>>(),
        "late": all(&scheduled.late),
        "unseen": all(&scheduled.unseen),
        "lagging": lagging.collect::<Vec<_>>(),
        "cancelled_by": cancel,
        "in_doubt": all(scheduled.ending.in_doubt()),
        "clocks": clocks.collect::<Vec<_>>(),
        "warnings": scheduled.warnings,
    });
    with_gone(details, &scheduled.gone)
}

fn all(proxies: &[Proxy]) -> Vec<String> {
    proxies.iter().map(Proxy::name).map(Into::into).collect()
}

/// Microseconds as milliseconds.
fn thousandths(micros: i64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "a clock is not years off")]
    let milliseconds = micros as f64 / 1_000.0;
    milliseconds.into()
}

/// Microseconds as people read them: `1.3 ms`, `2.40 s`.
pub(super) fn milliseconds(micros: u64) -> String {
    if micros < 1_000_000 {
        let tenths = micros.div_ceil(100);
        return format!("{}.{} ms", tenths / 10, tenths % 10);
    }
    let hundredths = micros.div_ceil(10_000);
    format!("{}.{:02} s", hundredths / 100, hundredths % 100)
}

fn clocks(clocks: &[Measured]) -> String {
    let mut rows = vec![vec!["ENVOY".to_owned(), "CLOCK".to_owned()]];
    rows.extend(clocks.iter().map(|measured| {
        let clock = measured.clock.map_or_else(
            || "not measured".to_owned(),
            |clock| InMilliseconds(clock).to_string(),
        );
        vec![measured.proxy.to_string(), clock]
    }));
    table(&rows)
}

fn lags(why: &[Lagging]) -> String {
    let why: Vec<_> = why.iter().map(ToString::to_string).collect();
    why.join("; ")
}

fn reasons(missing: &[Unshown]) -> String {
    let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
    missing.join("; ")
}

fn names(proxies: &[Proxy]) -> String {
    let names: Vec<_> = proxies.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn showing(missing: &[Unshown], shown: usize) -> String {
    let all = missing.len() + shown;
    match missing {
        [] => format!("all {all} Envoys show it"),
        missing => format!(
            "{shown} of {all} Envoys show it; missing: {}",
            reasons(missing)
        ),
    }
}
