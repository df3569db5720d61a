//! `cutover explain`: where a request would go, and why, by what decides in the filter.

mod request;
mod why;

use crate::{
    args,
    failure::Failure,
    output::Report,
    source::{self, Source},
};
use clap::Args;
use cutover_control::InWords;
use cutover_core::{Color, Generation, Outcome, Plan, RouteBy, Service, decide, headers, token};
use request::Told;
use serde_json::{Value, json};
use std::{
    cell::RefCell, env, ffi::OsString, fmt::Write as _, fs, io::Read as _,
    os::unix::ffi::OsStrExt as _, path::PathBuf,
};

const EXAMPLE: &str = "\
Example:
  cutover explain envoy/cutover.json --host shop.example.com --path /cart
  cutover explain -t envoy/cutover.json -H 'x-cutover-override: green'
  curl -sv localhost:10000 2>&1 >/dev/null | cutover explain --request -

The configuration is an ECDS file, a plugin configuration alone, or --target. What Envoys show is \
not asked: `cutover status` tells whether they have the same. Before the instant of a staged switch it tells \
what is true now, and what from then on. A preview token of key ID is checked \
with the variable CUTOVER_KEY_<ID>, as Envoy has it.

Exit codes: 0 explained, also if the request is refused; 2 bad use or configuration; 3 a key is \
needed that is not set here";

/// Tell where a request would go, and why, by what decides in the filter
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Explain {
    /// The configuration, instead of a target; `-` reads standard input
    file: Option<PathBuf>,
    #[command(flatten)]
    target: args::Target,
    /// A request header; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<OsString>,
    /// The host that is asked for
    #[arg(long, value_name = "HOST")]
    host: Option<OsString>,
    /// The path that is asked for
    #[arg(long, value_name = "PATH")]
    path: Option<OsString>,
    /// The method; nothing depends on it
    #[arg(long, value_name = "METHOD")]
    method: Option<OsString>,
    /// The head of a request as it is sent, or as `curl -v` prints it; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
}

impl Explain {
    pub(crate) async fn run(&self) -> Result<Report, Failure> {
        let dash =
            |path: &Option<PathBuf>| path.as_ref().is_some_and(|path| path.as_os_str() == "-");
        if dash(&self.file) && dash(&self.request) {
            return Err(
                Failure::usage("standard input cannot be both configuration and request")
                    .hint("name a file for one of them"),
            );
        }
        let source = if let Some(path) = &self.file {
            let (name, bytes) = source::bytes(path)?;
            source::parse(name, &bytes)?
        } else {
            source::of_target(&self.target.open().await?).await?
        };
        let Source {
            name, plugin, plan, ..
        } = source;
        let (plan, absent) = with_keys(plan, &plugin)?;
        let mut request = self.request()?;
        request.arrive(&plan);
        let outcome = decide(&plan, &request);
        if let Some(id) = why::needs_key(&outcome, &request, &absent) {
            let variable = token::variable(&id);
            return Err(Failure::environment(format!(
                "cannot be told: the request has a token of key `{id}`, and {variable} is not set here"
            ))
            .hint(format!("set {variable} to the key that Envoy has")));
        }
        Ok(report(&name, &plan, &request, &outcome))
    }

    fn request(&self) -> Result<Told, Failure> {
        let mut told = match &self.request {
            None => Told::default(),
            Some(path) => {
                let mut bytes = Vec::new();
                let read = if path.as_os_str() == "-" {
                    std::io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
                } else {
                    fs::read(path).map(|content| bytes = content)
                };
                read.map_err(|error| {
                    Failure::usage(format!("{} cannot be read: {error}", path.display()))
                        .hint("name a file with the head of a request, or `-`")
                })?;
                Told::parse(&bytes).map_err(|line| {
                    Failure::usage(format!(
                        "{}: `{line}` is no line of a request",
                        path.display()
                    ))
                    .hint(
                        "it begins with a line such as `GET / HTTP/1.1`; headers are `name: value`",
                    )
                })?
            }
        };
        for header in &self.headers {
            told.add_line(header.as_bytes()).map_err(|line| {
                Failure::usage(format!("`{line}` is no header")).hint("a header is 'name: value'")
            })?;
        }
        for (name, value) in [
            (":authority", &self.host),
            (":path", &self.path),
            (":method", &self.method),
        ] {
            if let Some(value) = value {
                told.set(name, value.as_bytes());
            }
        }
        Ok(told)
    }
}

/// Looks up the keys of overrides. Those that are not there get a place holder, and are told.
fn with_keys(plan: Plan, plugin: &str) -> Result<(Plan, Vec<String>), Failure> {
    const PLACE_HOLDER: [u8; 32] = [0; 32];
    let absent = RefCell::new(Vec::new());
    let plan = plan.bind(plugin, |id| {
        let value = env::var_os(token::variable(id)).map(|value| value.as_bytes().to_vec());
        Some(value.unwrap_or_else(|| {
            absent.borrow_mut().push(id.to_owned());
            PLACE_HOLDER.to_vec()
        }))
    });
    let plan = plan.map_err(|invalid| {
        Failure::usage(
            invalid
                .problem()
                .replace("the VM's environment", "the environment"),
        )
        .hint("openssl rand -hex 32 makes a good key; Envoy needs the same")
    })?;
    Ok((plan, absent.into_inner()))
}

fn report(name: &str, plan: &Plan, request: &Told, outcome: &Outcome<'_>) -> Report {
    let why = why::in_words(plan, request, outcome);
    let mut json = json!({ "file": name, "why": why });
    let (mut head, now, next) = told(plan, outcome);
    merge(&mut json, now);
    let staged = service(outcome).and_then(|service| request.once_it_rules(service));
    if let Some((later, due)) = staged {
        let (then, mut details, _) = told(plan, &decide(plan, &later));
        let _ = write!(head, "\nfrom {} on: {then}", InWords(due.at()));
        merge(&mut details, json!({ "at": due.at(), "hold": due.hold() }));
        merge(&mut json, json!({ "then": details }));
    }
    Report::good(format!("{head}\nwhy: {why}"), json).next(next)
}

/// The service that has decided.
fn service<'p>(outcome: &'p Outcome<'p>) -> Option<&'p Service> {
    match outcome {
        Outcome::Unclaimed => None,
        Outcome::Answer(answer) => Some(answer.service()),
        Outcome::Hold(held) => Some(held.service),
        Outcome::Route(decision) => Some(decision.service),
    }
}

/// What becomes of a request in words and in JSON, and what to do next.
fn told(plan: &Plan, outcome: &Outcome<'_>) -> (String, Value, String) {
    match outcome {
        Outcome::Unclaimed => (
            "no service: it goes where it would have gone".to_owned(),
            json!({ "outcome": "unclaimed" }),
            why::mend_host(plan),
        ),
        Outcome::Answer(answer) => {
            let (service, status, body) = (answer.service().name(), answer.status(), answer.body());
            let head = format!("{status} from the filter, for service {service}\nbody: {body}");
            (
                head.trim_end().to_owned(),
                json!({ "outcome": "answered", "service": service, "status": status, "body": body }),
                why::mend_answer(answer),
            )
        }
        Outcome::Hold(held) => {
            let service = held.service.name();
            (
                format!("held, for service {service}"),
                json!({ "outcome": "held", "service": service }),
                String::new(),
            )
        }
        Outcome::Route(decision) => {
            let (header, value) = match decision.route() {
                (RouteBy::Cluster, cluster) => (headers::CLUSTER, cluster),
                (RouteBy::Header, value) => (headers::COLOR, value),
            };
            let (color, service) = (decision.color, decision.service.name());
            let head = format!(
                "{color}, for service {service}\nroute: {header}: {value}\ndecision: {}",
                decision.header()
            );
            let json = json!({
                "outcome": "routed",
                "service": service,
                "color": color,
                "generation": decision.generation,
                "reason": decision.reason.as_str(),
                "refused": decision.refused.map(|refusal| refusal.to_string()),
                "route": { "header": header, "value": value },
                "decision": decision.header(),
            });
            (
                head,
                json,
                seen_by_envoys(decision.color, decision.generation),
            )
        }
    }
}

fn seen_by_envoys(color: Color, generation: Option<Generation>) -> String {
    match generation {
        Some(_) => "`cutover status` shows whether every Envoy has this configuration".to_owned(),
        None => format!(
            "give the service a `generation`: without it each worker goes to {color} by itself"
        ),
    }
}

fn merge(json: &mut Value, more: Value) {
    if let (Value::Object(json), Value::Object(more)) = (json, more) {
        json.extend(more);
    }
}
