//! `-o yaml` of a flip in a cluster: the object with its new switch, for Git.

use super::plan;
use crate::{
    failure::Failure,
    output::{Events, Format, Report},
};
use cutover_control::{Aim, PlanRequest, State, Target, together};

/// True where the object is asked for, and not what came of a flip.
pub(super) fn is_asked_for(target: &Target, events: &Events) -> bool {
    events.format == Format::Yaml && target.kube().is_some()
}

/// The object as it belongs into Git. Nothing is applied; the API server may be asked what it would say to that.
pub(super) async fn flip(
    target: &Target,
    request: &PlanRequest,
    server: Option<plan::Server<'_>>,
    events: &Events,
) -> Result<Report, Failure> {
    let mut outlooks = plan::named(target, request)
        .await
        .map_err(|error| Failure::of_flip(error, target))?;
    let mut states = vec![];
    for outlook in &mut outlooks {
        let hindered = outlook.obstacle.take();
        if let Some(error) = hindered.filter(|_| request.aim != Aim::Back) {
            return Err(Failure::of_flip(error, target));
        }
        for warning in &outlook.warnings {
            events.say(&format!("warning: {warning}"));
        }
        let state = match &outlook.after {
            Some(after) => State::from(after),
            None => outlook.state(),
        };
        states.push(format!("`{}` {state}", outlook.service));
    }
    events.say(&format!(
        "nothing was applied: this is {} for Git, with {}",
        target.noun(),
        states.join(" and ")
    ));
    let document = together(&outlooks);
    if let (Some(server), Some(document)) = (server, &document) {
        let asked = server.asked(document).await;
        let (_, taken) = asked.map_err(|error| Failure::of_flip(error, target))?;
        for warning in taken {
            events.say(&format!("warning: {warning}"));
        }
        events.say("the API server takes it");
    }
    let manifest = document.and_then(|document| document.manifest());
    let manifest = manifest.unwrap_or_default();
    // Only a map with keys that are no strings could fail, and there is none.
    let yaml = yaml_serde::to_string(&manifest).unwrap_or_else(|error| format!("error: {error}"));
    Ok(Report::as_it_is(yaml))
}
