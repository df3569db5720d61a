//! The write itself: a file is replaced, a plugin gets its new switch by server-side apply.

use super::{FlipError, Written};
use crate::{Document, Entry, FileTarget, Journal, Kind, KubeTarget, Locked, TargetError};
use cutover_kube::{Apply, ApplyError};
use std::time::Instant;
use tokio::task::spawn_blocking;

/// How a plugin is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// What cannot be noted is not done.
    pub(super) gated: bool,
    /// Takes fields of the switch that others own.
    pub(super) takes_fields: bool,
}

/// Notes what is about to happen, and replaces the file.
pub(super) async fn to_file(
    target: &FileTarget,
    lock: Locked,
    gated: bool,
    mut written: Written,
    begun: Entry,
    bytes: Vec<u8>,
) -> Result<(Written, Entry), FlipError> {
    let journal = Journal::of(target);
    // On a thread of its own: a sync to disk takes milliseconds that other tasks would wait.
    let replaced = spawn_blocking(move || {
        match journal.append(&begun) {
            Err(error) if gated => return Err(error.into()),
            Err(error) => written.warnings.push(error.to_string()),
            Ok(()) => {}
        }
        written.invoked = Instant::now();
        let replaced = lock.replace(&bytes);
        written.written = Instant::now();
        if let Err(error) = replaced {
            // It may have failed only to make sure that the new file outlives a power failure.
            if lock.read().is_ok_and(|found| found.to_bytes() == bytes) {
                written.warnings.push(error.to_string());
                return Ok((written, begun));
            }
            // Nobody is left to tell if that fails: the next writer's line tells, too.
            let _ = journal.append(&begun.ended(Kind::Failed, written.took()));
            return Err(FlipError::from(error));
        }
        Ok((written, begun))
    });
    replaced
        .await
        .map_err(std::io::Error::other)
        .map_err(|source| TargetError::Io {
            action: "replaced",
            path: target.path().to_owned(),
            source,
        })?
}

/// Notes what is about to happen, and applies the switch to the plugin as it was read.
pub(super) async fn to_plugin(
    target: &KubeTarget,
    how: How,
    mut written: Written,
    begun: Entry,
    document: &Document,
) -> Result<(Written, Entry), FlipError> {
    let Some((plugin, change)) = document.change() else {
        return Err(TargetError::Gone(target.plugin().to_string()).into());
    };
    if how.gated {
        // A refusal that can be had beforehand leaves nothing in the journal.
        target.try_out(document, how.takes_fields).await?;
    }
    match target.note(&begun).await {
        Err(error) if how.gated => return Err(error.into()),
        Err(error) => written.warnings.push(error.to_string()),
        Ok(()) => {}
    }
    if how.takes_fields {
        written.warnings.extend(taken(plugin, change));
    }
    let apply = Apply {
        force: how.takes_fields,
        dry_run: false,
    };
    written.invoked = Instant::now();
    let applied = target.cluster().apply(plugin, change, apply).await;
    written.written = Instant::now();
    if let Err(error) = applied {
        // Where no answer came it may have been written: a beginning without an end says so.
        if !matches!(error, ApplyError::Unanswered(_)) {
            let _ = target
                .note(&begun.ended(Kind::Failed, written.took()))
                .await;
        }
        return Err(TargetError::from(error).into());
    }
    if let Err(error) = target.tell_begin(&begun).await {
        written.warnings.push(error);
    }
    Ok((written, begun))
}

/// Whose fields a write takes, and what that means.
pub(crate) fn taken(
    plugin: &cutover_kube::Plugin,
    change: &cutover_kube::SwitchChange,
) -> Vec<String> {
    let mut owners: Vec<cutover_kube::Manager> = vec![];
    for field in plugin.contested(change) {
        if !owners.contains(&field.manager) {
            owners.push(field.manager);
        }
    }
    let word = |owner: &cutover_kube::Manager| {
        let again = if owner.tool().is_gitops() {
            ", which will write it back from Git unless it is told not to"
        } else {
            ""
        };
        format!("the switch is taken from {owner}{again}")
    };
    owners.iter().map(word).collect()
}
