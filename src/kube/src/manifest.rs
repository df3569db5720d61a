//! An object as it belongs into Git.

use serde_json::{Map, Value};

/// Annotations that tools leave on an object: they are no part of what its owner wrote.
const LEFT_BY_TOOLS: [&str; 6] = [
    "kubectl.kubernetes.io/",
    "argocd.argoproj.io/tracking-id",
    "argocd.argoproj.io/installation-id",
    "kustomize.toolkit.fluxcd.io/checksum",
    "meta.helm.sh/",
    "config.k8s.io/owning-inventory",
];

/// Labels of the same sort.
const LABELS_LEFT_BY_TOOLS: [&str; 4] = [
    "kustomize.toolkit.fluxcd.io/name",
    "helm.toolkit.fluxcd.io/name",
    "argocd.argoproj.io/instance",
    "applyset.kubernetes.io/part-of",
];

/// `apiVersion`, `kind`, name, namespace, labels, annotations and the specification, in that order.
pub(crate) fn for_git(object: &Value) -> Value {
    let of = |path: &str| object.pointer(path).cloned();
    let without = |path: &str, prefixes: &[&str]| {
        let kept: Map<_, _> = object
            .pointer(path)?
            .as_object()?
            .iter()
            .filter(|(key, _)| !prefixes.iter().any(|prefix| key.starts_with(prefix)))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        (!kept.is_empty()).then_some(Value::Object(kept))
    };
    let metadata = members([
        ("name", of("/metadata/name")),
        ("namespace", of("/metadata/namespace")),
        ("labels", without("/metadata/labels", &LABELS_LEFT_BY_TOOLS)),
        (
            "annotations",
            without("/metadata/annotations", &LEFT_BY_TOOLS),
        ),
    ]);
    members([
        ("apiVersion", of("/apiVersion")),
        ("kind", of("/kind")),
        ("metadata", Some(metadata)),
        ("spec", of("/spec")),
    ])
}

fn members<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    members
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect::<Map<_, _>>()
        .into()
}
