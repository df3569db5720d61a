//! The write itself: a file is replaced, a plugin gets its new switch by server-side apply.

use super::FlipError;
use crate::{Document, Entry, FileTarget, Journal, Kind, KubeTarget, Locked, TargetError};
use cutover_kube::{Apply, ApplyError};
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;

/// How long a live process may hold the lock of a file before it is told as a refusal. It is held for no
/// longer than it takes to replace a file.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// The same on the way back, and over what is staged.
pub(super) const LOCK_PATIENCE_ON_THE_WAY_BACK: Duration = Duration::from_secs(3);

const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The lock of a file, waited for.
pub(super) async fn lock(target: &FileTarget, patience: Duration) -> Result<Locked, TargetError> {
    let until = Instant::now() + patience;
    loop {
        match target.lock() {
            Err(TargetError::Locked { .. }) if Instant::now() < until => {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            other => return other,
        }
    }
}

/// How a plugin is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// What cannot be noted is not done.
    pub(super) gated: bool,
    /// Takes fields of the switch that others own.
    pub(super) takes_fields: bool,
}

/// A write that was made.
#[derive(Clone, Debug)]
pub(super) struct Put {
    /// Just before the file was replaced.
    pub(super) invoked: Instant,
    /// When the file had been replaced and synced.
    pub(super) written: Instant,
    /// What went wrong beside it.
    pub(super) warnings: Vec<String>,
}

impl Put {
    fn now() -> Self {
        let now = Instant::now();
        Self {
            invoked: now,
            written: now,
            warnings: vec![],
        }
    }
}

/// Notes what is about to happen, one entry for each service, and replaces the file.
pub(super) async fn to_file(
    target: &FileTarget,
    lock: Locked,
    gated: bool,
    begun: Vec<Entry>,
    bytes: Vec<u8>,
) -> Result<Put, FlipError> {
    let journal = Journal::of(target);
    // On a thread of its own: a sync to disk takes milliseconds that other tasks would wait.
    let replaced = spawn_blocking(move || {
        let mut put = Put::now();
        for begun in &begun {
            match journal.append(begun) {
                Err(error) if gated => return Err(error.into()),
                Err(error) => put.warnings.push(error.to_string()),
                Ok(()) => {}
            }
        }
        put.warnings.dedup();
        put.invoked = Instant::now();
        let replaced = lock.replace(&bytes);
        put.written = Instant::now();
        if let Err(error) = replaced {
            // It may have failed only to make sure that the new file outlives a power failure.
            if lock.read().is_ok_and(|found| found.to_bytes() == bytes) {
                put.warnings.push(error.to_string());
                return Ok(put);
            }
            for begun in &begun {
                // Nobody is left to tell if that fails: the next writer's line tells, too.
                let _ = journal.append(&begun.ended(Kind::Failed, put.invoked.elapsed()));
            }
            return Err(FlipError::from(error));
        }
        Ok(put)
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

/// Notes what is about to happen, one entry for each service, and applies the switches to the plugin as
/// it was read.
pub(super) async fn to_plugin(
    target: &KubeTarget,
    how: How,
    begun: &[Entry],
    document: &Document,
) -> Result<Put, FlipError> {
    let Some((plugin, changes)) = document.changes() else {
        return Err(TargetError::Gone(target.plugin().to_string()).into());
    };
    if how.gated {
        // A refusal that can be had beforehand leaves nothing in the journal.
        target.try_out(document, how.takes_fields).await?;
    }
    let mut put = Put::now();
    for begun in begun {
        match target.note(begun).await {
            Err(error) if how.gated => return Err(error.into()),
            Err(error) => put.warnings.push(error.to_string()),
            Ok(()) => {}
        }
    }
    put.warnings.dedup();
    if how.takes_fields {
        put.warnings.extend(taken(plugin, changes));
    }
    let apply = Apply {
        force: how.takes_fields,
        dry_run: false,
    };
    put.invoked = Instant::now();
    let applied = target.cluster().apply(plugin, changes, apply).await;
    put.written = Instant::now();
    if let Err(error) = applied {
        // Where no answer came it may have been written: a beginning without an end says so.
        if !matches!(error, ApplyError::Unanswered(_)) {
            for begun in begun {
                let failed = begun.ended(Kind::Failed, put.invoked.elapsed());
                let _ = target.note(&failed).await;
            }
        }
        return Err(TargetError::from(error).into());
    }
    for begun in begun {
        if let Err(error) = target.tell_begin(begun).await {
            put.warnings.push(error);
        }
    }
    put.warnings.dedup();
    Ok(put)
}

/// Whose fields a write takes, and what that means.
pub(crate) fn taken(
    plugin: &cutover_kube::Plugin,
    changes: &[cutover_kube::SwitchChange],
) -> Vec<String> {
    let mut owners: Vec<cutover_kube::Manager> = vec![];
    for field in plugin.contested(changes) {
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
