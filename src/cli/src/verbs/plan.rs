//! `cutover plan`, and what `--dry-run` and the question of `flip` show.

use super::flip::{nobody_to_ask, state};
use crate::{
    args::{self, DryRun},
    failure::{Exit, Failure},
    output::{Report, object},
    table::table,
};
use clap::Args;
use cutover_control::{
    Aim, Document, FlipError, InWords, KubeTarget, Outlook, PlanRequest, Schedule, Sight, State,
    Target, USUAL_HOLD_MS, USUAL_LEAD, UnknownService, When, plan, together, usual_margin,
};
use cutover_core::{Activation, Color, Generation, Switch, fleet::OnLag};
use serde_json::{Value, json};
use std::fmt::Write as _;

const EXAMPLE: &str = "\
Example:
  cutover plan
  cutover plan green --service shop -o json

For each service: the switch that a flip would write, what each Envoy shows, and whether the flip \
would be refused, and why. Nothing is written, and nobody has to answer a question. Without COLOR \
it is the one that is not active.

Exit codes: 0 the flip would go through as far as can be seen, else what the flip would exit with: \
1 refused, 2 bad use or configuration, 3 an Envoy or the file could not be reached";

/// Show what a flip would change, and whether it would be refused
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Plan {
    /// The color to switch to; else the one that is not active
    #[arg(value_parser = args::color(), value_name = "COLOR")]
    color: Option<Color>,
    #[command(flatten)]
    target: args::Target,
    #[command(flatten)]
    envoys: args::Envoys,
    /// Only this service
    #[arg(short, long, value_name = "NAME")]
    service: Option<String>,
}

impl Plan {
    pub(crate) async fn run(self) -> Result<Report, Failure> {
        let target = self.target.open().await?;
        let fleet = self.envoys.fleet(&self.target, &target).await?;
        let request = PlanRequest {
            services: self.service.into_iter().collect(),
            aim: self.color.map_or(Aim::Other, Aim::To),
            expect_generation: None,
            generation: None,
            schedule: (fleet.now().len() > 1).then(|| usual_schedule(&target)),
            fleet,
            force: false,
            take_fields: false,
            by_this_tool: true,
        };
        let mut outlooks = plan(&target, &request)
            .await
            .map_err(|error| Failure::of_flip(error, &target))?;
        let mut nobody = vec![];
        if request.fleet.is_empty() {
            for _ in &outlooks {
                nobody.push(nobody_to_ask(&self.target, &target, &request.fleet)?);
            }
        }
        Ok(report(&mut outlooks, nobody, &request, "", &target))
    }
}

/// What a flip does where nobody says when.
fn usual_schedule(target: &Target) -> Schedule {
    Schedule {
        when: When::In(USUAL_LEAD),
        hold_ms: None,
        margin: usual_margin(target),
        on_lag: OnLag::Cancel,
    }
}

/// What a flip or a rollback would do; `said` is what else it was told.
pub(super) async fn foresee(
    target: &Target,
    request: &PlanRequest,
    said: &str,
    server: Option<Server<'_>>,
) -> Result<Report, Failure> {
    let asked = PlanRequest {
        // It is asked below, for its answer.
        by_this_tool: request.by_this_tool && server.is_none(),
        ..request.clone()
    };
    let mut outlooks = named(target, &asked)
        .await
        .map_err(|error| Failure::of_flip(error, target))?;
    let mut answer = None;
    let may_be_asked = outlooks.iter().all(|one| one.obstacle.is_none())
        && outlooks.iter().any(|one| one.after.is_some());
    if let Some(server) = server.filter(|_| may_be_asked)
        && let Some(document) = together(&outlooks)
        && let Some(first) = outlooks.first_mut()
    {
        match server.asked(&document).await {
            Ok((document, taken)) => {
                first.warnings.extend(taken);
                answer = Some(document);
            }
            Err(error) => first.obstacle = Some(error),
        }
    }
    let mut report = report(&mut outlooks, vec![], request, said, target);
    if let Some(document) = answer {
        let _ = writeln!(report.text, "the API server takes it: {}", target.noun());
        let object = document.manifest();
        if let Value::Object(json) = &mut report.json {
            json.insert("server".to_owned(), json!({ "object": object }));
        }
    }
    Ok(report)
}

/// The API server, where it shall say what it makes of a switch.
pub(super) struct Server<'t> {
    kube: &'t KubeTarget,
    takes_fields: bool,
}

impl<'t> Server<'t> {
    /// What it would make of the configuration, and whose fields that takes.
    pub(super) async fn asked(
        &self,
        document: &Document,
    ) -> Result<(Document, Vec<String>), FlipError> {
        Ok(self.kube.try_out(document, self.takes_fields).await?)
    }

    /// None where only this tool is asked.
    pub(super) fn of(
        target: &'t Target,
        dry_run: DryRun,
        takes_fields: bool,
    ) -> Result<Option<Self>, Failure> {
        match (dry_run, target.kube()) {
            (DryRun::Client, _) => Ok(None),
            (DryRun::Server, Some(kube)) => Ok(Some(Self { kube, takes_fields })),
            (DryRun::Server, None) => Err(Failure::usage(
                "--dry-run=server goes with a target in a cluster, and this one is a file",
            )
            .hint("--dry-run shows what would be written to the file")),
        }
    }
}

/// What a person has to see before they agree: the switches as they are, and the outlook; none where
/// nothing would be written. Fails as the flip would.
pub(super) async fn look_at(
    target: &Target,
    request: &PlanRequest,
) -> Result<(Vec<(String, State)>, Option<String>), Failure> {
    let mut outlooks = named(target, request)
        .await
        .map_err(|error| Failure::of_flip(error, target))?;
    let mut texts = vec![];
    for outlook in &mut outlooks {
        if let Some(obstacle) = outlook.obstacle.take() {
            return Err(Failure::of_flip(obstacle, target));
        }
        if let Some(after) = &outlook.after {
            let mut text = in_words(outlook, Some(after), request.schedule.as_ref());
            for warning in &outlook.warnings {
                let _ = writeln!(text, "warning: {warning}");
            }
            texts.push(text);
        }
    }
    let states = outlooks.iter();
    let states = states.map(|outlook| (outlook.service.clone(), outlook.state()));
    let text = (!texts.is_empty()).then(|| texts.join("\n"));
    Ok((states.collect(), text))
}

/// The services that are named; the only one, where none is.
pub(super) async fn named(
    target: &Target,
    request: &PlanRequest,
) -> Result<Vec<Outlook>, FlipError> {
    let outlooks = plan(target, request).await?;
    if outlooks.len() > 1 && request.services.is_empty() {
        let known = outlooks.into_iter().map(|outlook| outlook.service);
        return Err(UnknownService::Several {
            known: known.collect(),
        }
        .into());
    }
    Ok(outlooks)
}

/// `nobody` has what each flip would fail with for want of an Envoy.
fn report(
    outlooks: &mut [Outlook],
    nobody: Vec<Failure>,
    request: &PlanRequest,
    said: &str,
    target: &Target,
) -> Report {
    let mut nobody = nobody.into_iter();
    let aim = request.aim;
    let mut exit = Exit::Good;
    let (mut text, mut services) = (String::new(), vec![]);
    let mut next = None;
    let verb = if aim == Aim::Back { "rollback" } else { "flip" };
    let has_name = !request.services.is_empty() || outlooks.len() > 1;
    let schedule = request.schedule.as_ref();
    for outlook in outlooks {
        if !text.is_empty() {
            text.push('\n');
        }
        text += &in_words(outlook, outlook.after.as_ref(), schedule);
        for warning in &outlook.warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        let for_want_of_one = nobody.next();
        let obstacle = outlook.obstacle.take();
        let obstacle = obstacle.map(|error| Failure::of_flip(error, target));
        let obstacle = obstacle.or(for_want_of_one);
        let step = match &obstacle {
            Some(failure) => {
                let _ = writeln!(text, "a {verb} would fail: {}", failure.message);
                let hint = failure.hint.as_deref().unwrap_or_default();
                // Of a plan that goes without saying.
                let hint = hint.strip_prefix("nothing was written; ").unwrap_or(hint);
                hint.to_owned()
            }
            None if outlook.after.is_none() => "nothing is to be done".to_owned(),
            None => {
                let _ = writeln!(text, "a {verb} would go through");
                let color = match aim {
                    Aim::Back => String::new(),
                    Aim::To(_) | Aim::Other => format!(" {}", outlook.to),
                };
                let service = if has_name {
                    format!(" --service {}", outlook.service)
                } else {
                    String::new()
                };
                format!("cutover {verb}{color}{service}{said}")
            }
        };
        if let Some(failure) = &obstacle
            && failure.kind as u8 > exit as u8
        {
            exit = failure.kind;
            next = Some(step.clone());
        }
        next.get_or_insert(step);
        services.push(as_json(outlook, obstacle.as_ref()));
    }
    let report = Report::new(exit, text, json!({ "services": services }));
    match next {
        Some(step) => report.next(step),
        None => report,
    }
}

fn in_words(outlook: &Outlook, after: Option<&Switch>, schedule: Option<&Schedule>) -> String {
    let Outlook { service, to, .. } = outlook;
    let before = &outlook.before;
    let mut text = match after {
        None if before.active == *to => format!("{service} is {to} already\n"),
        Some(_) if before.active == *to => format!("{service}: {to} would be pushed again\n"),
        None | Some(_) => format!("{service}: {} -> {to}\n", before.active),
    };
    if let Some(after) = after {
        for (sign, switch) in [('-', before), ('+', after)] {
            let _ = writeln!(text, "  {sign} active: {}", switch.active);
            if let Some(generation) = switch.generation {
                let or_later = if sign == '+' { " or later" } else { "" };
                let _ = writeln!(text, "  {sign} generation: {generation}{or_later}");
            }
            if let Some(due) = switch.activation {
                let _ = match schedule.filter(|_| sign == '+') {
                    Some(schedule) => writeln!(text, "{}", foretold(schedule)),
                    None => writeln!(
                        text,
                        "  {sign} activate_at: {}\n  {sign} hold: {} ms",
                        InWords(due.at()),
                        due.hold()
                    ),
                };
            }
            if let Some(previous) = switch.previous {
                let (generation, active) = (previous.generation, previous.active);
                let _ = writeln!(text, "  {sign} previous: {active}, generation {generation}");
            }
        }
    }
    if outlook.envoys.is_empty() {
        let _ = writeln!(
            text,
            "\nNobody was asked: this is {} alone.",
            outlook.document.noun()
        );
        return text;
    }
    let head = ["ENVOY", "ACTIVE", "GENERATION"].map(str::to_owned);
    let mut rows = vec![
        [
            head.to_vec(),
            vec![format!("ENDPOINTS OF {}", to.as_str().to_uppercase())],
        ]
        .concat(),
    ];
    rows.extend(outlook.envoys.iter().map(row));
    text + "\n" + &table(&rows)
}

/// When a switch will activate, which depends on when it is written, and for how long requests will wait.
fn foretold(schedule: &Schedule) -> String {
    let at = match schedule.when {
        When::In(lead) => format!("{lead:?} after it is written"),
        When::At(at) => InWords(at).to_string(),
    };
    let hold = match schedule.hold_ms {
        Some(hold) => format!("{hold} ms"),
        None => format!("{USUAL_HOLD_MS} ms, or longer if the clocks ask for it"),
    };
    format!("  + activate_at: {at}\n  + hold: {hold}")
}

fn row(sight: &Sight) -> Vec<String> {
    let admin = sight.proxy.to_string();
    match &sight.answer {
        Err(_) => vec![admin, "no answer".to_owned()],
        Ok((seen, endpoints)) => vec![
            admin,
            seen.active.map_or("-", Color::as_str).to_owned(),
            match seen.generation {
                None => "-".to_owned(),
                Some(0) => "per worker".to_owned(),
                Some(generation) => generation.to_string(),
            },
            endpoints
                .as_ref()
                .map_or_else(|| "-".to_owned(), ToString::to_string),
        ],
    }
}

fn as_json(outlook: &Outlook, obstacle: Option<&Failure>) -> Value {
    let switch = |switch: &Switch| {
        json!({
            "active": switch.active,
            "generation": switch.generation,
            "activate_at": switch.activation.map(Activation::at),
            "hold": switch.activation.map(Activation::hold),
            "previous": switch.previous.map(|p| state(p.active, Some(p.generation))),
        })
    };
    let envoys = outlook.envoys.iter().map(|sight| {
        let mut envoy = object(sight.proxy.to_json());
        envoy.extend(object(match &sight.answer {
            Err(error) => json!({ "error": error.to_string() }),
            Ok((seen, endpoints)) => json!({
                "active": seen.active,
                "generation": seen.generation,
                "endpoints": endpoints.as_ref().map(|endpoints| json!({
                    "healthy": endpoints.healthy, "unhealthy": endpoints.unhealthy,
                })),
            }),
        }));
        envoy
    });
    json!({
        "service": outlook.service,
        "to": outlook.to,
        "before": switch(&outlook.before),
        "after": outlook.after.as_ref().map(switch),
        "envoys": envoys.collect::<Vec<_>>(),
        "obstacle": obstacle.map(Failure::to_json),
        "warnings": outlook.warnings,
    })
}

/// The generation of a switch as a number; none when it has none.
pub(super) fn number(generation: Option<Generation>) -> String {
    generation.map_or_else(|| "-".to_owned(), |generation| generation.to_string())
}
