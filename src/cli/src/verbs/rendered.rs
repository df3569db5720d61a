//! `-o yaml` of a flip in a cluster: the object with its new switch, for Git.

use super::plan;
use crate::{
    failure::Failure,
    output::{Events, Format, Report},
};
use cutover_control::{Aim, PlanRequest, Target};

/// True where the object is asked for, and not what came of a flip.
pub(super) fn is_asked_for(target: &Target, events: &Events) -> bool {
    events.format == Format::Yaml && target.kube().is_some()
}

/// The object as it belongs into Git. Nothing is applied.
pub(super) async fn flip(
    target: &Target,
    request: &PlanRequest,
    events: &Events,
) -> Result<Report, Failure> {
    let mut outlook = plan::one(target, request)
        .await
        .map_err(|error| Failure::of_flip(error, target))?;
    let hindered = outlook.obstacle.take();
    if let Some(error) = hindered.filter(|_| request.aim != Aim::Back) {
        return Err(Failure::of_flip(error, target));
    }
    for warning in &outlook.warnings {
        events.say(&format!("warning: {warning}"));
    }
    let state = match &outlook.after {
        Some(after) => cutover_control::State::from(after),
        None => outlook.state(),
    };
    events.say(&format!(
        "nothing was applied: this is {} for Git, with `{}` {state}",
        target.noun(),
        outlook.service
    ));
    let manifest = outlook.document.manifest().unwrap_or_default();
    // Only a map with keys that are no strings could fail, and there is none.
    let yaml = yaml_serde::to_string(&manifest).unwrap_or_else(|error| format!("error: {error}"));
    Ok(Report::as_it_is(yaml))
}
