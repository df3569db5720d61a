//! Which object a name means.

use crate::{
    Cluster, ClusterError, InvalidPlugin, Kind, ObjectName, Plugin, call::Failed, plugin::api_path,
};
use serde_json::Value;

/// A name that does not lead to one plugin.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Both kinds have that name.
    #[error(
        "there are a WasmPlugin and a TrafficExtension {namespace}/{name}: say which, as in {namespace}/wasmplugin/{name}"
    )]
    Ambiguous {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
    },
    /// Nothing has that name.
    #[error("there is no {what} {namespace}/{name}{}", others(.known))]
    Missing {
        /// The kinds that were looked for.
        what: &'static str,
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
        /// Those of the namespace that have a configuration of Cutover, as they can be typed.
        known: Vec<String>,
    },
    /// The cluster knows neither kind.
    #[error(
        "the cluster has no {0} (extensions.istio.io/v1alpha1): the custom resource definitions of Istio are not installed"
    )]
    NotInstalled(&'static str),
    /// What has that name is not a plugin with a module.
    #[error("{kind} {namespace}/{name}: {reason}")]
    Invalid {
        /// The kind.
        kind: Kind,
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
        /// Why.
        reason: InvalidPlugin,
    },
    /// The API server does not say.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

fn others(known: &[String]) -> String {
    match known {
        [] => ", and no other plugin of the namespace has a configuration of Cutover".to_owned(),
        some => format!("; with a configuration of Cutover: {}", some.join(", ")),
    }
}

/// What is behind a path.
enum There {
    Object(Value),
    Nothing,
    NoSuchKind,
}

impl Cluster {
    /// Finds a plugin: of the kind that is named, or of whichever there is.
    pub async fn find(&self, name: &ObjectName) -> Result<Plugin, FindError> {
        let namespace = name.namespace.as_deref();
        let namespace = namespace.unwrap_or_else(|| self.default_namespace());
        let kinds = name.kind.map_or(Kind::ALL.to_vec(), |kind| vec![kind]);
        let what = match name.kind {
            None => "WasmPlugin or TrafficExtension",
            Some(kind) => kind.as_str(),
        };
        let (mut found, mut known_kinds) = (Vec::new(), 0);
        let mut forbidden = None;
        for kind in &kinds {
            match self.look(*kind, namespace, &name.name).await {
                Ok(There::Object(object)) => {
                    let plugin = Plugin::from_object(object);
                    found.push(plugin.map_err(|reason| FindError::Invalid {
                        kind: *kind,
                        namespace: namespace.to_owned(),
                        name: name.name.clone(),
                        reason,
                    })?);
                    known_kinds += 1;
                }
                Ok(There::Nothing) => known_kinds += 1,
                Ok(There::NoSuchKind) => {}
                // Rights may be given for one kind alone.
                Err(ClusterError::Forbidden(why)) => {
                    forbidden.get_or_insert(why);
                }
                Err(error) => return Err(error.into()),
            }
        }
        match (found.len(), forbidden) {
            (0, Some(why)) => Err(ClusterError::Forbidden(why).into()),
            (0, None) if known_kinds == 0 => Err(FindError::NotInstalled(what)),
            (0, None) => Err(FindError::Missing {
                what,
                namespace: namespace.to_owned(),
                name: name.name.clone(),
                known: self.known(namespace).await,
            }),
            (1, _) => found.pop().ok_or(FindError::NotInstalled(what)),
            _ => Err(FindError::Ambiguous {
                namespace: namespace.to_owned(),
                name: name.name.clone(),
            }),
        }
    }

    /// Reads a plugin again; none when it is gone, or another one took its name.
    pub async fn read(&self, plugin: &Plugin) -> Result<Option<Plugin>, ClusterError> {
        let found = self.look(plugin.kind, &plugin.namespace, &plugin.name);
        let There::Object(object) = found.await? else {
            return Ok(None);
        };
        let found = Plugin::from_object(object).ok();
        Ok(found.filter(|found| plugin.uid.is_empty() || found.uid == plugin.uid))
    }

    /// The plugins of a namespace that have a configuration of Cutover.
    pub async fn plugins(&self, namespace: &str) -> Result<Vec<Plugin>, ClusterError> {
        let mut all = Vec::new();
        for kind in Kind::ALL {
            let list: Result<Value, _> = self.get(&api_path(kind, namespace, None)).await;
            let list = match list {
                Ok(list) => list,
                Err(failed) if failed.code() == 404 => continue,
                Err(failed) => return Err(failed.into()),
            };
            let items = list.get("items").and_then(Value::as_array);
            all.extend(items.into_iter().flatten().filter_map(|item| {
                // Items of a list do not say what they are.
                let mut item = item.clone();
                let object = item.as_object_mut()?;
                object.insert("apiVersion".to_owned(), list.get("apiVersion")?.clone());
                object.insert("kind".to_owned(), kind.as_str().into());
                Plugin::from_object(item).ok().filter(Plugin::is_ours)
            }));
        }
        Ok(all)
    }

    /// For a message: without it when it cannot be had.
    async fn known(&self, namespace: &str) -> Vec<String> {
        let plugins = self.plugins(namespace).await.unwrap_or_default();
        plugins.iter().map(Plugin::typed).collect()
    }

    async fn look(&self, kind: Kind, namespace: &str, name: &str) -> Result<There, ClusterError> {
        match self.get(&api_path(kind, namespace, Some(name))).await {
            Ok(object) => Ok(There::Object(object)),
            Err(failed) if failed.code() == 404 => Ok(missing(&failed)),
            Err(failed) => Err(failed.into()),
        }
    }
}

/// A 404 of an object names the object; one of an API that is not there does not.
fn missing(failed: &Failed) -> There {
    let details = failed
        .status
        .as_ref()
        .and_then(|status| status.details.as_ref());
    if details.is_some_and(|details| !details.name.is_empty()) {
        There::Nothing
    } else {
        There::NoSuchKind
    }
}
