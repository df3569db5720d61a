//! Writing a switch again, or its cancel: over what was staged, and over nothing else.

use super::FlipError;
use crate::{
    Document, Entry, FileTarget, Interrupt, KubeTarget, Locked, State, Target, TargetError,
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

/// A write that can be made.
enum Ready<'t> {
    File(&'t FileTarget, Locked, Document),
    Plugin(&'t KubeTarget, Document),
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
    /// again until then or until somebody insists on a stop, and at least once; the journal has the first try.
    pub(super) async fn over(
        &self,
        staged: Generation,
        changes: &[(String, Switch)],
        begun: &[Entry],
        until: Instant,
        interrupt: &Interrupt,
    ) -> Result<Put, Hindrance> {
        let mut begun = begun;
        loop {
            let failed = match self.ready(staged, changes).await {
                Ok(ready) => match self.once(ready, std::mem::take(&mut begun)).await {
                    Ok(put) => return Ok(put),
                    Err(failed) => failed,
                },
                Err(Hindrance::Failed(failed)) => failed,
                Err(overtaken) => return Err(overtaken),
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

    /// What is to be written, over what is there now.
    async fn ready(
        &self,
        staged: Generation,
        changes: &[(String, Switch)],
    ) -> Result<Ready<'_>, Hindrance> {
        match &self.target {
            Target::File(file) => {
                let lock = write::lock(file, write::LOCK_PATIENCE_ON_THE_WAY_BACK).await?;
                let document = rewritten(&lock.read()?, staged, changes)?;
                Ok(Ready::File(file, lock, document))
            }
            Target::Kube(kube) => {
                let document = rewritten(&kube.read().await?, staged, changes)?;
                Ok(Ready::Plugin(kube, document))
            }
        }
    }

    async fn once(&self, ready: Ready<'_>, begun: &[Entry]) -> Result<Put, FlipError> {
        match ready {
            Ready::File(file, lock, document) => {
                let (begun, bytes) = (begun.to_vec(), document.to_bytes());
                write::to_file(file, lock, false, begun, bytes).await
            }
            Ready::Plugin(kube, document) => {
                let how = How {
                    gated: false,
                    takes_fields: self.how.takes_fields,
                };
                write::to_plugin(kube, how, begun, &document).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ResourceOptions, resource};
    use cutover_core::Color;
    use serde_json::json;

    fn has(generation: u64) -> Document {
        let configuration =
            json!({ "active": "green", "generation": generation, "blue": "a", "green": "b" });
        let file = resource::render(&ResourceOptions {
            module: "cutover.wasm".into(),
            configuration,
            environment: vec![],
        });
        Document::parse(file.as_bytes()).unwrap()
    }

    #[test]
    fn only_what_was_staged_is_written_over() {
        let staged = Generation::new(7).unwrap();
        let cancel = Switch {
            generation: Generation::new(8).ok(),
            active: Color::Blue,
            previous: None,
            activation: None,
        };
        let changes = [("default".to_owned(), cancel)];
        // Its own write may have been made though no answer came.
        for generation in [7, 8] {
            let document = rewritten(&has(generation), staged, &changes).ok().unwrap();
            assert_eq!(document.plan().unwrap().services()[0].switch(), &cancel);
        }
        for generation in [1, 9] {
            let Err(Hindrance::Overtaken(found)) = rewritten(&has(generation), staged, &changes)
            else {
                panic!("somebody else wrote {generation}")
            };
            assert_eq!(found.generation.map(Generation::get), Some(generation));
        }
    }
}
