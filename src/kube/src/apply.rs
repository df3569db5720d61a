//! A new switch, by server-side apply.

mod error;
mod patch;

pub use error::{ApplyError, ContestedField, Denier};

use crate::{Cluster, ClusterError, FIELD_MANAGER, FieldPath, Plugin, call::Failed};
use hyper::Method;
use serde_json::{Map, Value};

/// The fields of a service that make up its switch: nothing else is ever changed.
pub(crate) const SWITCH_FIELDS: [&str; 5] =
    ["active", "generation", "activate_at", "hold", "previous"];

/// How often a switch is sent again because something else of the object changed.
const TRIES: usize = 5;

/// The new switch of one service, whole: a field of the old one that is not here goes.
#[derive(Clone, Debug, PartialEq)]
pub struct SwitchChange {
    /// The service; none in the short form.
    pub service: Option<String>,
    /// `active`, `generation`, `activate_at`, `hold` and `previous`, as they shall stand there.
    pub switch: Map<String, Value>,
}

/// How a switch is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Apply {
    /// Takes fields that others own.
    pub force: bool,
    /// The API server checks it and says what it would be, and writes nothing.
    pub dry_run: bool,
}

impl SwitchChange {
    /// The single values, with their paths.
    pub(crate) fn leaves(&self, plugin: &Plugin) -> Vec<(FieldPath, Value)> {
        let mut leaves = Vec::new();
        let top = plugin.switch_path(self.service.as_deref());
        for (name, value) in &self.switch {
            collect(top.join(name), value, &mut leaves);
        }
        leaves
    }

    /// Whether it stands in a plugin already.
    fn is_in(&self, plugin: &Plugin) -> bool {
        self.leaves(plugin)
            .iter()
            .all(|(path, value)| path.value_in(&plugin.object) == Some(value))
    }
}

fn collect(path: FieldPath, value: &Value, leaves: &mut Vec<(FieldPath, Value)>) {
    match value {
        Value::Object(inside) if !inside.is_empty() => {
            for (name, value) in inside {
                collect(path.join(name), value, leaves);
            }
        }
        leaf => leaves.push((path, leaf.clone())),
    }
}

impl Plugin {
    /// The object with new switches, as it belongs into Git.
    pub fn manifest_with(&self, changes: &[SwitchChange]) -> Value {
        let mut object = self.object.clone();
        for change in changes {
            patch::put(&mut object, self, change);
        }
        Self {
            object,
            ..self.clone()
        }
        .manifest()
    }

    /// The fields that switches would change and that others own: what makes it a conflict, and what `force` takes.
    pub fn contested(&self, changes: &[SwitchChange]) -> Vec<ContestedField> {
        let mut contested = Vec::new();
        for (path, value) in changes.iter().flat_map(|change| change.leaves(self)) {
            if path.value_in(&self.object) == Some(&value) {
                continue;
            }
            for manager in &self.managers {
                if !manager.is_ours() && manager.owns(&path) {
                    contested.push(ContestedField {
                        path: path.to_string(),
                        manager: manager.clone(),
                    });
                }
            }
        }
        contested
    }
}

impl Cluster {
    /// Applies new switches, of different services, as field manager `cutover`, to the object as it was read: by its uid and resource version.
    ///
    /// Server-side apply takes away what its manager owned and does not say again. So all that `cutover`
    /// owns is said again as it is, the switches of the other services above all; nothing else is said.
    /// A write that left the specification as it was (a label, a status) is no reason to fail.
    pub async fn apply(
        &self,
        plugin: &Plugin,
        changes: &[SwitchChange],
        how: Apply,
    ) -> Result<Plugin, ApplyError> {
        let mut fields = changes.iter().flat_map(|change| change.switch.keys());
        if let Some(other) = fields.find(|name| !SWITCH_FIELDS.contains(&name.as_str())) {
            return Err(ApplyError::Invalid(format!(
                "`{other}` is no field of a switch"
            )));
        }
        let mut plugin = plugin.clone();
        for _ in 0..TRIES {
            let failed = match self.send(&plugin, changes, how).await {
                Ok(applied) => return Ok(applied),
                Err(failed) => failed,
            };
            let Some(status) = failed.status.as_ref().filter(|status| status.code == 409) else {
                return self.not_applied(&plugin, changes, how, failed).await;
            };
            if let Some(fields) = error::contested(status, &plugin) {
                return Err(ApplyError::Conflict(fields));
            }
            // Someone wrote it since it was read, or it is gone.
            let now = self.read(&plugin).await?.ok_or_else(|| gone(&plugin))?;
            if now.spec_version != plugin.spec_version {
                return Err(ApplyError::Outdated(Box::new(now)));
            }
            plugin = now;
        }
        Err(ApplyError::Outdated(Box::new(plugin)))
    }

    async fn send(
        &self,
        plugin: &Plugin,
        changes: &[SwitchChange],
        how: Apply,
    ) -> Result<Plugin, Failed> {
        let query = format!(
            "fieldManager={FIELD_MANAGER}&force={}{}",
            how.force,
            if how.dry_run { "&dryRun=All" } else { "" }
        );
        let path = format!("{}?{query}", plugin.api_path());
        let body = patch::of(plugin, changes);
        let object: Value = self
            .ask(Method::PATCH, &path, "application/apply-patch+yaml", &body)
            .await?;
        Plugin::from_object(object).map_err(|reason| Failed {
            error: ClusterError::Unexpected {
                server: self.server().to_owned(),
                reason: reason.to_string(),
            },
            status: None,
        })
    }

    async fn not_applied(
        &self,
        plugin: &Plugin,
        changes: &[SwitchChange],
        how: Apply,
        failed: Failed,
    ) -> Result<Plugin, ApplyError> {
        if let Some(status) = &failed.status {
            return Err(error::refused(status, failed.error, || gone(plugin)));
        }
        let ClusterError::Unreachable { sent: true, .. } = failed.error else {
            return Err(failed.error.into());
        };
        if how.dry_run {
            return Err(failed.error.into());
        }
        // It may have been written all the same: what stands there tells, if it can be seen.
        match self.read(plugin).await {
            Ok(Some(now)) if changes.iter().all(|change| change.is_in(&now)) => Ok(now),
            _ => Err(ApplyError::Unanswered(failed.error)),
        }
    }
}

fn gone(plugin: &Plugin) -> ApplyError {
    ApplyError::Gone(plugin.to_string())
}
