//! `cutover verify --url`: a load on proxies that are there already, and flips of their target.

use super::{Bar, Verify, as_json, certify, command, stop_on_signal};
use crate::{
    args,
    failure::{Exit, Failure},
    output::{Events, Report},
    proof, question, signals,
    verbs::plan,
};
use clap::Args;
use cutover_control::{
    Aim, Fleet, FlipError, FlipRequest, Flipped, Interrupt, Outlook, PlanRequest, Target,
    UnknownService, Written, flip,
};
use cutover_core::Generation;
use cutover_harness::{
    CancellationToken, FleetError, FleetPlan, FleetSummary, InvalidPlace, NotedFlip, Phase, Place,
    Progress as _, Snapshot,
};
use cutover_report::Judged;
use serde_json::json;
use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

/// How answers come to tell what was decided.
const TELLS: &str = "say `\"expose\": {\"response_header\": true}` in the configuration, or let the application \
                     repeat the request header x-cutover-decision as x-backend-decision; --host NAME asks for \
                     another host";

/// Proxies that are there already
#[derive(Debug, Args)]
#[command(next_help_heading = "Proxies that are there already")]
pub(super) struct OfFleet {
    /// Start nothing: ask the proxy at this address; may be given several times, or as a list with
    /// commas
    #[arg(
        id = "url",
        long = "url",
        value_name = "URL",
        value_delimiter = ',',
        conflicts_with_all = ["proxies", "workers", "listeners", "seed", "no_weather", "scope", "wasm"]
    )]
    urls: Vec<String>,
    /// A proxy that may come later: it is asked from its first answer on
    #[arg(
        long = "late-url",
        value_name = "URL",
        value_delimiter = ',',
        requires = "url"
    )]
    late: Vec<String>,
    /// The host that requests ask for, instead of the URL's
    #[arg(long, value_name = "NAME", requires = "url")]
    host: Option<String>,
    /// HTTP/2 without TLS, instead of HTTP/1.1 on kept connections
    #[arg(long, requires = "url")]
    http2: bool,
    /// Kept connections to each proxy, which share its rate [default: 1]
    #[arg(long, value_name = "N", requires = "url", value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: Option<u32>,
    /// The service; may be left out when the configuration has only one
    #[arg(short, long, value_name = "NAME", requires = "url")]
    service: Option<String>,
    /// Do not ask before the first flip; needed where there is no terminal
    #[arg(short, long, requires = "url")]
    yes: bool,
    #[command(flatten)]
    target: args::Target,
    #[command(flatten)]
    envoys: args::Envoys,
}

impl OfFleet {
    /// Whether proxies were named.
    pub(super) fn is_there(&self) -> bool {
        !self.urls.is_empty()
    }

    fn places(&self, urls: &[String]) -> Result<Vec<Place>, Failure> {
        let place = |url: &String| {
            let place = Place::parse(url.trim())?;
            match &self.host {
                Some(host) => place.asking_for(host),
                None => Ok(place),
            }
        };
        let places: Result<_, InvalidPlace> = urls.iter().map(place).collect();
        places.map_err(|error| {
            Failure::usage(error.to_string())
                .hint("a proxy is http://HOST:PORT/PATH; --host NAME is what requests ask for")
        })
    }
}

/// What is flipped, and who is asked whether it is done.
struct Switched {
    target: Target,
    fleet: Fleet,
    outlook: Outlook,
    deadline: Duration,
}

pub(super) async fn run(verify: &Verify, events: &Events) -> Result<Report, Failure> {
    let of_fleet = &verify.fleet;
    let places = of_fleet.places(&of_fleet.urls)?;
    let late = of_fleet.places(&of_fleet.late)?;
    let target = of_fleet.target.open().await?;
    let found = of_fleet.envoys.fleet_by_now(&of_fleet.target, &target);
    let (fleet, unseen) = found.await?;
    if let Some(why) = unseen {
        events.say(&format!("warning: no proxy can be asked: {why}"));
    }
    let request = PlanRequest {
        services: of_fleet.service.clone().into_iter().collect(),
        aim: Aim::Other,
        expect_generation: None,
        generation: None,
        fleet: fleet.clone(),
        force: false,
        take_fields: false,
        by_this_tool: true,
        // Each flip is judged as the push that it is.
        schedule: None,
    };
    let outlooks = plan::named(&target, &request).await;
    let outlooks = outlooks.map_err(|error| Failure::of_flip(error, &target))?;
    // There is always one: a configuration without any service is refused.
    let Some(mut outlook) = outlooks.into_iter().next() else {
        let nobody = UnknownService::Several { known: vec![] };
        return Err(Failure::of_flip(nobody.into(), &target));
    };
    if let Some(obstacle) = outlook.obstacle.take() {
        return Err(Failure::of_flip(obstacle, &target));
    }
    let switched = Switched {
        target,
        fleet,
        outlook,
        deadline: verify.deadline,
    };
    agree(verify, &switched, events).await?;

    verify.folders()?;
    let history = verify.out.join("history.jsonl");
    let proxies = places.len();
    let load_plan = fleet_plan(verify, &switched, places, &history);
    let per_second = load_plan.per_second;
    let mut load = cutover_harness::Fleet::start(load_plan)
        .await
        .map_err(|error| failed(&error))?;
    for place in late {
        load.join(place).map_err(|error| failed(&error))?;
    }
    let strangers = switched.strangers(&load)?;
    let details = json!({ "flips": verify.flips, "proxies": proxies });
    events.emit("started", details, "");
    let bar = Bar::new(verify.flips, format!("{proxies} proxies"), events);
    let stop = CancellationToken::new();
    let signals = tokio::spawn(stop_on_signal(stop.clone(), bar.shown.clone()));
    let troubles = switched
        .back_and_forth(verify, &mut load, &bar, &stop)
        .await;
    bar.show(&snapshot(
        Phase::Finishing,
        verify.flips,
        verify.flips,
        &load,
    ));
    let summary = load.finish().await.map_err(|error| failed(&error))?;
    signals.abort();
    bar.shown.finish_and_clear();
    let come = summary.never_came.iter();
    let come = come.map(|proxy| format!("{proxy} has never answered"));
    let strained = strained(&summary, per_second * proxies_counted(proxies));
    let troubles: Vec<String> = strangers
        .into_iter()
        .chain(troubles)
        .chain(come)
        .chain(strained)
        .collect();
    for trouble in &troubles {
        let details = json!({ "trouble": trouble });
        events.emit("trouble", details, &format!("note: {trouble}"));
    }
    let judged = certify(&history)?;
    let kept = verify.keep(&judged, &history)?;
    Ok(report(
        &judged,
        &summary,
        &troubles,
        stop.is_cancelled(),
        &kept,
    ))
}

/// Asks before real traffic is switched.
async fn agree(verify: &Verify, switched: &Switched, events: &Events) -> Result<(), Failure> {
    if verify.fleet.yes {
        return Ok(());
    }
    if !question::somebody_is_there() {
        return Err(Failure::usage(
            "the flips switch the traffic of proxies that are there already, and nobody is there to be asked",
        )
        .hint("nothing was written; --yes answers beforehand"));
    }
    let question = format!(
        "flip {} {} times, beginning with {}?",
        switched.outlook.service, verify.flips, switched.outlook.to
    );
    question::ask(events, &question, &signals::interrupt()?).await
}

fn fleet_plan(
    verify: &Verify,
    switched: &Switched,
    places: Vec<Place>,
    history: &Path,
) -> FleetPlan {
    let proxies = u32::try_from(places.len()).unwrap_or(u32::MAX);
    let mut plan = FleetPlan::new(places, history);
    plan.command = command(None);
    plan.service.clone_from(&switched.outlook.service);
    plan.flips = Some(verify.flips);
    plan.http2 = verify.fleet.http2;
    plan.window = verify.window;
    if let Some(rate) = verify.rate {
        plan.per_second = f64::from(rate) / f64::from(proxies.max(1));
    }
    plan.clients = verify.fleet.connections.unwrap_or(1);
    plan
}

fn proxies_counted(proxies: usize) -> f64 {
    f64::from(u32::try_from(proxies).unwrap_or(u32::MAX))
}

/// Clients that were busy waiting when the next request was due: what they sent was less than wanted.
fn strained(summary: &FleetSummary, per_second: f64) -> Option<String> {
    let made = f64::from(u32::try_from(summary.contents.requests).unwrap_or(u32::MAX));
    let seconds = summary.lasted.as_secs_f64();
    (made < 0.8 * per_second * seconds).then(|| {
        format!(
            "{:.0} of {per_second:.0} requests a second were made: the connections waited for answers; \
             --connections opens more, --rate asks for less",
            made / seconds
        )
    })
}

fn snapshot(phase: Phase, flips: u32, of: u32, load: &cutover_harness::Fleet) -> Snapshot {
    let tally = load.tally();
    Snapshot {
        phase,
        flips,
        of,
        requests: tally.requests(),
        failed: tally.failed(),
    }
}

impl Switched {
    /// Proxies that answer with another generation than the target has, in words. Where all of them
    /// do, they are somebody else's.
    fn strangers(&self, load: &cutover_harness::Fleet) -> Result<Vec<String>, Failure> {
        let generation = self.outlook.before.generation.map_or(0, Generation::get);
        let shows = load.shows();
        let strangers: Vec<String> = shows
            .iter()
            .filter_map(|shows| Some((&shows.proxy, shows.generation?)))
            .filter(|(_, shown)| *shown != generation)
            .map(|(proxy, shown)| {
                format!("{proxy} answers with generation {shown}, and the target has {generation}")
            })
            .collect();
        match strangers.first() {
            Some(first) if strangers.len() == shows.len() => Err(Failure::usage(first.clone())
                .hint("nothing was written; is this the target of these proxies?")),
            _ => Ok(strangers),
        }
    }

    /// All flips, and one more back to the color that was active before where that is another; what
    /// did not go as planned, in words.
    async fn back_and_forth(
        &self,
        verify: &Verify,
        load: &mut cutover_harness::Fleet,
        bar: &Bar,
        stop: &CancellationToken,
    ) -> Vec<String> {
        let mut troubles = Vec::new();
        let before = self.outlook.before.active;
        let mut active = before;
        for flips in 0..verify.flips {
            let until = Instant::now() + verify.pause;
            stop.run_until_cancelled(load.linger()).await;
            while Instant::now() < until && !stop.is_cancelled() {
                bar.show(&snapshot(Phase::Load, flips, verify.flips, load));
                let left = until.saturating_duration_since(Instant::now());
                tokio::time::sleep(left.min(Duration::from_millis(100))).await;
            }
            if stop.is_cancelled() {
                break;
            }
            bar.show(&snapshot(Phase::Flip, flips, verify.flips, load));
            let to = active.other();
            match self.flip(to, false, load, &mut troubles).await {
                Ok(()) => active = to,
                Err(error) => {
                    troubles.push(format!("flip {flips} to {to}: {error}"));
                    break;
                }
            }
        }
        if active != before {
            load.linger().await;
            // It is the way back: nothing stands in its way.
            match self.flip(before, true, load, &mut troubles).await {
                Ok(()) => troubles.push(format!("one flip more went back to {before}")),
                Err(error) => troubles.push(format!(
                    "the traffic stays at {active}, for the flip back failed: {error}"
                )),
            }
        }
        troubles
    }

    /// One flip, until every proxy answers with it.
    async fn flip(
        &self,
        to: cutover_core::Color,
        force: bool,
        load: &mut cutover_harness::Fleet,
        troubles: &mut Vec<String>,
    ) -> Result<(), FlipError> {
        let request = FlipRequest {
            service: Some(self.outlook.service.clone()),
            to,
            expect_generation: None,
            agreed: None,
            generation: None,
            fleet: self.fleet.clone(),
            deadline: self.deadline,
            force,
            take_fields: false,
            reason: Some("cutover verify".to_owned()),
            interrupt: Interrupt::default(),
            steps: None,
        };
        let (written, shown) = match flip(&self.target, &request).await {
            Ok(Flipped { written, shown, .. }) => (written, shown),
            Err(error @ FlipError::NotDone { .. }) => {
                troubles.push(error.to_string());
                let FlipError::NotDone { written, .. } = error else {
                    return Err(error);
                };
                (*written, vec![])
            }
            Err(error) => return Err(error),
        };
        let Written {
            generation,
            invoked,
            ..
        } = written;
        // The tool says done when the last Envoy shows it.
        let acknowledged = shown.iter().map(|shown| shown.at).max();
        load.note(NotedFlip {
            generation,
            color: color(to),
            invoked,
            acknowledged,
        })
        .await;
        if let Err(lagging) = load.shown_by_all(generation, self.deadline).await {
            troubles.push(format!(
                "{} s after the flip to {to}: {lagging}",
                self.deadline.as_secs_f32()
            ));
        }
        Ok(())
    }
}

fn color(color: cutover_core::Color) -> cutover_history::Color {
    match color {
        cutover_core::Color::Blue => cutover_history::Color::Blue,
        cutover_core::Color::Green => cutover_history::Color::Green,
    }
}

fn failed(error: &FleetError) -> Failure {
    let (kind, hint) = match error {
        FleetError::Nobody | FleetError::Twice(_) => (Exit::Usage, "--url names each proxy once"),
        FleetError::Silent { .. } => (
            Exit::Environment,
            "nothing was written; is it up? one that comes later is named by --late-url",
        ),
        FleetError::Status { .. } => (
            Exit::Environment,
            "nothing was written; name a path that answers, and --host NAME for its host",
        ),
        FleetError::Unsaid { .. } | FleetError::Colorless { .. } | FleetError::Torn(..) => {
            return Failure::usage(error.to_string()).hint(format!("nothing was written; {TELLS}"));
        }
        FleetError::History { .. } => (
            Exit::Environment,
            "is there space left on its disk? --out DIR names another folder",
        ),
    };
    Failure::new(kind, error.to_string()).hint(hint)
}

fn report(
    judged: &Judged,
    summary: &FleetSummary,
    troubles: &[String],
    interrupted: bool,
    (path, page): &(std::path::PathBuf, Option<std::path::PathBuf>),
) -> Report {
    let certificate = &judged.certificate;
    let mut text = proof::in_words(certificate);
    let history = summary.history.display().to_string();
    let _ = write!(
        text,
        "\ncertificate: {}   history: {history}",
        path.display()
    );
    let mut json = as_json(certificate);
    if let Some(object) = json.as_object_mut() {
        if let Some(page) = page {
            let _ = write!(text, "\nreport: {}", page.display());
            object.insert("report_file".to_owned(), page.display().to_string().into());
        }
        object.insert(
            "certificate_file".to_owned(),
            path.display().to_string().into(),
        );
        object.insert("history_file".to_owned(), history.into());
        let lasted = u64::try_from(summary.lasted.as_millis()).unwrap_or(u64::MAX);
        object.insert("lasted_ms".to_owned(), json!(lasted));
        object.insert("interrupted".to_owned(), interrupted.into());
        object.insert("troubles".to_owned(), troubles.into());
    }
    let next = proof::next(&certificate.verdict, path, page.as_deref());
    Report::new(proof::exit(&certificate.verdict), text, json).next(next)
}
