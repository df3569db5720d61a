//! The files of a kubeconfig, merged as kubectl merges them.

use super::{ConnectError, unreadable};
use kube::config::Kubeconfig;
use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Reads the given file, or those of `KUBECONFIG`, or `~/.kube/config`. None in a pod that has none of them.
pub(super) fn read(given: Option<&Path>) -> Result<Option<Kubeconfig>, ConnectError> {
    read_with(given, &|name| {
        env::var_os(name).filter(|value| !value.is_empty())
    })
}

fn read_with(
    given: Option<&Path>,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<Kubeconfig>, ConnectError> {
    if let Some(path) = given {
        return one(path).map(Some);
    }
    let listed: Vec<PathBuf> = variable("KUBECONFIG")
        .map(|list| env::split_paths(&list).collect())
        .unwrap_or_default();
    let listed: Vec<_> = listed
        .into_iter()
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    let home = variable("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
    let looked: Vec<_> = if listed.is_empty() {
        home.into_iter().collect()
    } else {
        listed
    };
    // As kubectl does: a file of the list that is not there is passed over.
    let there: Vec<_> = looked.iter().filter(|path| path.exists()).collect();
    if there.is_empty() {
        if variable("KUBERNETES_SERVICE_HOST").is_some() {
            return Ok(None);
        }
        let looked: Vec<_> = looked
            .iter()
            .map(|path| format!("{} is not there", path.display()))
            .collect();
        return Err(ConnectError::NoKubeconfig(match looked.as_slice() {
            [] => "neither KUBECONFIG nor HOME is set".to_owned(),
            some => some.join(", "),
        }));
    }
    let mut merged = Kubeconfig::default();
    for path in there {
        // What a file leaves empty does not hide what the next one says.
        let mut next = one(path)?;
        next.current_context = next.current_context.filter(|name| !name.is_empty());
        merged = merged
            .merge(next)
            .map_err(|error| unreadable(path, &error))?;
    }
    Ok(Some(merged))
}

fn one(path: &Path) -> Result<Kubeconfig, ConnectError> {
    // Certificates beside it are named relative to it.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Kubeconfig::read_from(absolute).map_err(|error| unreadable(path, &error))
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
