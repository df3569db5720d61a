//! What lies in the state folder when Envoy starts.

use crate::{failure::Failure, preview_rule::PreviewRule};
use cutover_control::{
    Bootstrap, Document, FlipError, Found, Journal, Origin, ResourceOptions, RestoreError, State,
    StateFolder, resource,
    state::{BOOTSTRAP, LOG, MODULE},
};
use cutover_core::{Color, Plan};
use serde_json::Value;
use std::{fs, io};

/// What an `up` was asked to start.
#[derive(Debug)]
pub(crate) struct Wanted<'w> {
    pub(crate) initial: Color,
    pub(crate) module: &'w [u8],
    pub(crate) rule: &'w PreviewRule,
    pub(crate) bootstrap: Bootstrap,
}

/// What is there now.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) document: Document,
    pub(crate) plan: Plan,
    /// What whoever starts it has to know of the configuration.
    pub(crate) notes: Vec<String>,
}

/// Writes module and bootstrap anew, and the configuration where it has to be. The switch stays.
pub(crate) fn write(folder: &StateFolder, wanted: Wanted<'_>) -> Result<Written, Failure> {
    let render = |configuration: &Value| {
        resource::render(&ResourceOptions {
            module: MODULE.into(),
            configuration: configuration.clone(),
            environment: wanted.rule.environment(),
        })
    };
    let mut notes = vec![];
    let restored = folder.restore(wanted.initial, |state| {
        let generation = state.generation.map_or(1, cutover_core::Generation::get);
        render(&wanted.rule.configuration(state.active.as_str(), generation))
    });
    let restored = restored.map_err(|error| told(error, folder))?;
    if let Origin::Journal {
        damaged,
        state,
        certain,
    } = &restored.origin
    {
        let what = match damaged {
            None => "was lost".to_owned(),
            Some(aside) => format!("was torn, and is now {}", aside.display()),
        };
        let doubt = if *certain {
            ""
        } else {
            " (that flip may never have been done: whoever made it died meanwhile)"
        };
        notes.push(format!(
            "{} {what}: {} is active again, as the journal has it{doubt}. What else was changed in that \
             file by hand is gone",
            folder.target().path().display(),
            state.active,
        ));
    }
    let mut document = restored.document;
    let configuration: Value = serde_json::from_slice(document.configuration()).unwrap_or_default();
    if configuration.get("services").is_some() {
        // Somebody wrote this: it is theirs, but for what would let strangers in.
        let open = |service: &Value| service.pointer("/override/unsigned") == Some(&true.into());
        let services = configuration.get("services").and_then(Value::as_object);
        let open = services.and_then(|all| all.iter().find(|(_, service)| open(service)));
        if let (Some((name, _)), false) = (open, wanted.rule.is_local()) {
            return Err(Failure::usage(format!(
                "service `{name}` lets whoever reaches Envoy choose the color, and Envoy would listen beyond \
                 this machine"
            ))
            .hint("in the configuration, put `keys` in place of `override.unsigned`"));
        }
    } else if let Some(changed) = wanted.rule.put_into(&configuration) {
        let text = render(&changed);
        folder.target().replace(text.as_bytes())?;
        document = Document::parse(text.as_bytes()).map_err(|invalid| {
            Failure::environment(format!("the configuration cannot be written: {invalid}"))
        })?;
    }
    let plan = document.plan().map_err(FlipError::from)?;
    let active = plan.services().first().map(|s| s.switch().active);
    folder.write(MODULE, wanted.module)?;
    let bootstrap = Bootstrap {
        active_at_install: active.unwrap_or(wanted.initial),
        ..wanted.bootstrap
    };
    folder.write(BOOTSTRAP, bootstrap.render().as_bytes())?;
    // Made by whoever flips first, the lock of the configuration would be theirs: after a flip by
    // root nobody else could.
    let _ = folder.target().lock();
    keep_one_log(folder).map_err(|error| {
        let path = folder.file(LOG);
        Failure::environment(format!("{} cannot be written: {error}", path.display()))
    })?;
    Ok(Written {
        document,
        plan,
        notes,
    })
}

/// What a start would do, in words, and the switch it would serve by; nothing is written.
pub(crate) fn foresee(
    folder: &StateFolder,
    initial: Color,
) -> Result<(&'static str, Option<State>), Failure> {
    let found = folder.find(initial).map_err(|error| told(error, folder))?;
    Ok(match found {
        Found::Whole(document) => {
            let plan = document.plan().map_err(FlipError::from)?;
            let first = plan.services().first().map(|one| one.switch().into());
            ("kept", first)
        }
        Found::Nothing {
            state, recalled, ..
        } => {
            let what = if recalled.is_some() {
                "restored from its journal"
            } else {
                "new"
            };
            (what, Some(state))
        }
    })
}

/// The log of the run before is kept, those before it are not.
fn keep_one_log(folder: &StateFolder) -> io::Result<()> {
    match fs::rename(folder.file(LOG), folder.file("envoy.log.1")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn told(error: RestoreError, folder: &StateFolder) -> Failure {
    let message = error.to_string();
    let path = folder.target().path().display().to_string();
    match error {
        RestoreError::Target(error) => error.into(),
        RestoreError::State(error) => error.into(),
        RestoreError::Config { .. } => Failure::usage(message)
            .hint(format!("`cutover lint {path}` checks it; Envoy was not started")),
        RestoreError::Journal(_) => Failure::environment(message)
            .hint("look at the rights and the space of the state folder"),
        RestoreError::NoTrace { .. } => Failure::environment(message).hint(format!(
            "put {path} back from a backup; to begin anew, remove the folder and say --initial COLOR"
        )),
        RestoreError::Services { .. } => Failure::environment(message).hint(format!(
            "put {path} back from a backup; {} has its last switches",
            Journal::of(&folder.target()).path().display()
        )),
        RestoreError::Generation(_) => Failure::usage(message),
    }
}
