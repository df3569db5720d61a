//! Writing a switch again, or its cancel: over what was staged, and over nothing else.

use super::FlipError;
use crate::{
    Document, Entry, Interrupt, State, Target, TargetError,
    flip::write::{self, How, Put},
    service_of,
};
use cutover_core::{Generation, Switch};
use cutover_kube::ApplyError;
use std::time::{Duration, Instant};

/// The pause before a write is tried again that could not be made.
const PAUSE: Duration = Duration::from_millis(100);

/// What writes.
pub(super) struct Pen {
    pub(super) target: Target,
    pub(super) how: How,
    pub(super) reason: Option<String>,
}

/// Why a write over a staged switch was not made.
pub(super) enum Hindrance {
    /// Somebody else wrote over it.
    Overtaken(State),
    /// It cannot be written.
    Failed(FlipError),
}

impl<E: Into<FlipError>> From<E> for Hindrance {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Pen {
    /// Writes these switches where the configuration still has that generation of each service. It is tried
    /// again until then or until somebody insists on a stop, and at least once.
    pub(super) async fn over(
        &self,
        staged: Generation,
        changes: &[(String, Switch)],
        begun: &[Entry],
        until: Instant,
        interrupt: &Interrupt,
    ) -> Result<Put, Hindrance> {
        loop {
            let failed = match self.once(staged, changes, begun).await {
                Err(Hindrance::Failed(failed)) => failed,
                other => return other,
            };
            let may_pass = matches!(
                failed,
                FlipError::Target(
                    TargetError::Locked { .. }
                        | TargetError::Io { .. }
                        | TargetError::Find(_)
                        | TargetError::Apply(
                            ApplyError::Outdated(_)
                                | ApplyError::Unanswered(_)
                                | ApplyError::Cluster(_)
                        )
                )
            );
            if !may_pass || Instant::now() >= until || interrupt.is_insisted() {
                return Err(Hindrance::Failed(failed));
            }
            tokio::select! {
                () = interrupt.insisted() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    async fn once(
        &self,
        staged: Generation,
        changes: &[(String, Switch)],
        begun: &[Entry],
    ) -> Result<Put, Hindrance> {
        match &self.target {
            Target::File(file) => {
                let lock = write::lock(file, write::LOCK_PATIENCE_ON_THE_WAY_BACK).await?;
                let document = rewritten(&lock.read()?, staged, changes)?;
                let (begun, bytes) = (begun.to_vec(), document.to_bytes());
                Ok(write::to_file(file, lock, false, begun, bytes).await?)
            }
            Target::Kube(kube) => {
                let document = rewritten(&kube.read().await?, staged, changes)?;
                let how = How {
                    gated: false,
                    takes_fields: self.how.takes_fields,
                };
                Ok(write::to_plugin(kube, how, begun, &document).await?)
            }
        }
    }
}

/// A document with other switches, where it has that generation of each of them; or has them already,
/// because a write without an answer was made all the same.
fn rewritten(
    document: &Document,
    staged: Generation,
    changes: &[(String, Switch)],
) -> Result<Document, Hindrance> {
    let plan = document.plan()?;
    for (name, switch) in changes {
        let found = service_of(&plan, Some(name))?.switch();
        if found.generation != Some(staged) && found.generation != switch.generation {
            return Err(Hindrance::Overtaken(found.into()));
        }
    }
    Ok(with(document, changes)?)
}

/// The same document with other switches, checked.
pub(super) fn with(
    document: &Document,
    changes: &[(String, Switch)],
) -> Result<Document, FlipError> {
    let mut switched = document.clone();
    for (service, switch) in changes {
        switched = switched.with_switch(service, switch);
    }
    switched.plan()?;
    Ok(switched)
}
