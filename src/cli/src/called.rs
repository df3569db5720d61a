//! How the tool is called: by its own name, or as a plugin of kubectl.

use serde_json::Value;
use std::{env, path::Path, sync::LazyLock};

/// What kubectl looks for on the PATH to know `kubectl cutover`.
const PLUGIN: &str = "kubectl-cutover";

static IS_PLUGIN: LazyLock<bool> = LazyLock::new(|| {
    let called = env::args_os().next();
    let name = called.as_ref().and_then(|path| Path::new(path).file_stem());
    name.is_some_and(|name| name == PLUGIN)
});

/// True where this is `kubectl cutover`.
pub(crate) fn is_kubectl_plugin() -> bool {
    *IS_PLUGIN
}

/// A text in which commands of the tool can be typed as it was called.
pub(crate) fn as_called(text: &str) -> String {
    if is_kubectl_plugin() {
        for_kubectl(text)
    } else {
        text.to_owned()
    }
}

/// The same for all texts of a value.
pub(crate) fn value_as_called(value: Value) -> Value {
    if !is_kubectl_plugin() {
        return value;
    }
    match value {
        Value::String(text) => for_kubectl(&text).into(),
        Value::Array(list) => list.into_iter().map(value_as_called).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| (key, value_as_called(value)))
            .collect(),
        other => other,
    }
}

/// Puts `kubectl` before each command: `cutover` at the beginning of a line, of a quoted command, or of
/// a next step, with a verb behind it.
fn for_kubectl(text: &str) -> String {
    const VERBS: [&str; 14] = [
        "check", "explain", "flip", "history", "init", "lint", "man", "plan", "preview",
        "rollback", "status", "up", "verify", "wait",
    ];
    let mut result = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("cutover ") {
        result += before;
        let begins = before.is_empty() || before.ends_with(['`', '\n', '\'', '(']);
        let begins = begins
            || before.ends_with("  ")
            || before.ends_with("next: ")
            || before.ends_with("| ");
        let word = after.split(|c: char| !c.is_ascii_lowercase()).next();
        if begins && word.is_some_and(|word| VERBS.contains(&word)) {
            result += "kubectl ";
        }
        result += "cutover ";
        rest = after;
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(for_kubectl(text), expected);
    }

    #[test]
    fn commands_are_shown_as_they_can_be_typed() {
        check(
            "next: cutover flip green\nor `cutover wait`, after `cutover rollback --service a`",
            "next: kubectl cutover flip green\nor `kubectl cutover wait`, after `kubectl cutover rollback --service a`",
        );
        check(
            "Example:\n  cutover plan\n",
            "Example:\n  kubectl cutover plan\n",
        );
    }

    #[test]
    fn what_is_no_command_stays() {
        check(
            "the plugin `cutover` of cutover runs",
            "the plugin `cutover` of cutover runs",
        );
        check(
            "ConfigMap shop/web.cutover-journal",
            "ConfigMap shop/web.cutover-journal",
        );
    }
}
