//! `cutover wait`.

use super::flip::{follow, nobody_to_ask, warn_if_blind};
use crate::{
    args,
    failure::{Exit, Failure, unshown, with_gone},
    output::{Events, Report},
    signals,
};
use clap::Args;
use cutover_control::{Landing, Target, WaitError, WaitRequest, Why, wait};
use serde_json::json;
use std::time::Duration;

const EXAMPLE: &str = "\
Example:
  cutover wait -t envoy/cutover.json --admin 127.0.0.1:9901,127.0.0.1:9902
  cutover wait --generation 1763722800000 --deadline 1m

Without --generation it is that of the file. An Envoy that is silent is asked again until the \
deadline. Nothing is written.

Exit codes: 0 every Envoy shows it, 1 one shows another generation (a newer one ends the wait), 2 \
bad use or configuration, 3 an Envoy was silent until the deadline, or it was interrupted";

/// Wait until every Envoy shows a generation
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Wait {
    #[command(flatten)]
    target: args::Target,
    #[command(flatten)]
    envoys: args::Envoys,
    /// The service; may be left out when the configuration has only one
    #[arg(short, long, value_name = "NAME")]
    service: Option<String>,
    /// The generation; that of the file when it is left out
    #[arg(long, value_name = "N")]
    generation: Option<u64>,
    /// How long the Envoys may take to show it
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = args::duration)]
    deadline: Duration,
}

impl Wait {
    pub(crate) async fn run(self, events: &Events) -> Result<Report, Failure> {
        let target = self.target.open().await?;
        let fleet = self.envoys.fleet(&self.target, &target).await?;
        if fleet.is_empty() && target.kube().is_some() {
            return Err(nobody_to_ask(&self.target, &target, &fleet)?);
        }
        if fleet.is_empty() {
            return Err(
                Failure::usage("no Envoy was named, so there is none to wait for")
                    .hint("say --admin HOST:PORT or set CUTOVER_ADMIN"),
            );
        }
        let (steps, told) = follow(events);
        let request = WaitRequest {
            service: self.service,
            generation: self.generation,
            fleet,
            deadline: self.deadline,
            interrupt: signals::interrupt()?,
            steps: Some(steps),
        };
        let landing = wait(&target, &request).await;
        warn_if_blind(&request.fleet, events);
        drop(request);
        let _ = told.await;
        judge(&landing?, &target)
    }
}

fn judge(landing: &Landing, target: &Target) -> Result<Report, Failure> {
    let all = landing.shown.len() + landing.missing.len();
    let what = match landing.active {
        Some(active) => format!(
            "generation {} ({active}) of {}",
            landing.generation, landing.service
        ),
        None => format!("generation {} of {}", landing.generation, landing.service),
    };
    let shown: Vec<_> = landing.shown.iter().map(|one| one.proxy.name()).collect();
    let missing: Vec<_> = (landing.missing.iter()).map(unshown).collect();
    let details = json!({
        "service": landing.service,
        "generation": landing.generation,
        "active": landing.active,
        "shown": shown,
        "missing": missing,
        "milliseconds": u64::try_from(landing.took.as_millis()).ok(),
    });
    let details = with_gone(details, &landing.gone);
    let envoys = if all == 1 { "Envoy" } else { "Envoys" };
    if landing.missing.is_empty() && landing.shown.is_empty() {
        let message = format!("{what} was shown by nobody: every Envoy went away before it could");
        return Err(Failure::environment(message)
            .hint("`cutover wait` asks those that come; `cutover status` shows whether any do")
            .details(details));
    }
    if landing.missing.is_empty() {
        let text = format!("landed: {all} {envoys} show {what}");
        let text = if all == 1 {
            text.replace(" show ", " shows ")
        } else {
            text
        };
        return Ok(Report::good(text, details).next("`cutover status` shows them"));
    }
    let reasons: Vec<_> = landing.missing.iter().map(ToString::to_string).collect();
    let before = if landing.interrupted {
        "interrupted: "
    } else {
        ""
    };
    let message = format!(
        "{before}{what} landed on {} of {all} {envoys}; missing: {}",
        shown.len(),
        reasons.join("; ")
    );
    let all_silent = landing
        .missing
        .iter()
        .all(|one| matches!(one.why, Why::Silent(_)));
    let (exit, hint) = if landing.is_superseded() {
        (
            Exit::Failed,
            "another switch came after it; `cutover history` says whose, `cutover wait` waits for that one",
        )
    } else if landing.interrupted {
        (
            Exit::Environment,
            "`cutover wait` waits on; nothing was written by this command",
        )
    } else if all_silent {
        (
            Exit::Environment,
            "is that Envoy up, and is that its admin address?",
        )
    } else {
        let hint = match target {
            Target::File(_) => {
                "does that Envoy watch the folder of this very file? `cutover status` shows more"
            }
            Target::Kube(_) => {
                "does istiod run, and is that proxy connected to it? `istioctl proxy-status` and `cutover status` show more"
            }
        };
        (Exit::Failed, hint)
    };
    Err(Failure::new(exit, message).hint(hint).details(details))
}

impl From<WaitError> for Failure {
    fn from(error: WaitError) -> Self {
        let message = error.to_string();
        match error {
            WaitError::Target(error) => error.into(),
            WaitError::Config(_) => {
                Self::usage(message).hint("`cutover lint PATH` checks the file")
            }
            WaitError::Service(_) => Self::usage(message).hint("name it with --service NAME"),
            WaitError::NoGeneration(_) => Self::usage(message)
                .hint("`cutover flip COLOR` gives it one; --generation N waits for another"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_control::{FileTarget, Proxy};
    use std::net::SocketAddr;

    #[test]
    fn nothing_has_landed_where_nobody_is_left_to_show_it() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9901));
        let landing = Landing {
            service: "shop".to_owned(),
            generation: 7,
            active: None,
            shown: vec![],
            missing: vec![],
            gone: vec![Proxy::from(address)],
            interrupted: false,
            took: Duration::ZERO,
        };
        let target = Target::File(FileTarget::new("cutover.json"));
        let failure = judge(&landing, &target).unwrap_err();
        assert_eq!(failure.kind, Exit::Environment);
    }
}
