//! `cutover preview`: the header that reaches a color before it has traffic.

use crate::{args, failure::Failure, output::Report};
use cutover_control::{Admin, service_of};
use cutover_core::token;
use serde_json::json;
use std::{env, fs, path::Path, time::SystemTime};

pub(crate) const EXAMPLE: &str = "\
Example:
  cutover preview green --target file:envoy/cutover.json --for 15m
  cutover preview green --key-file k1.key -o json | jq -r .value

It signs with the key that Envoy has, from CUTOVER_KEY_<ID> in the environment or from a file. Where \
the configuration asks for no signature, the value is the bare color. A token that was made is \
good until its time is over: to revoke it, take its key out of the configuration.

Exit codes: 0 made, 2 bad use, no key, or the configuration has no override";

pub(crate) async fn run(preview: &args::Preview) -> Result<Report, Failure> {
    let target = preview.target.open().await?;
    let document = target.read().await?;
    let plan = document.plan();
    let plan = plan.map_err(|invalid| Failure::of_flip(invalid.into(), &target))?;
    let service =
        service_of(&plan, preview.service.as_deref()).map_err(cutover_control::FlipError::from)?;
    let (color, name) = (preview.to.color, service.name());
    let Some(rule) = service.overrides() else {
        let target = &preview.target;
        let of_up = target.state_folder()?.is_some() || target.running()?.is_some();
        let hint = if of_up {
            "start `cutover up` with --override-key ID, and the key in CUTOVER_KEY_<ID>"
        } else {
            "put an `override` into its configuration; `cutover init --override-key ID` writes one"
        };
        return Err(Failure::usage(format!("service `{name}` has no override")).hint(hint));
    };
    let Some(word) = rule.value(color) else {
        return Err(
            Failure::usage(format!("no override of service `{name}` leads to {color}"))
                .hint("`override.values` says which colors can be reached"),
        );
    };
    if service.is_closed(color) {
        return Err(Failure::usage(format!(
            "{color} of service `{name}` is closed: it answers 503"
        ))
        .hint("take the color out of `closed` first"));
    }
    let (value, expiry) = match rule.key_ids() {
        None => (word.to_owned(), None),
        Some(ids) => {
            let (id, key) = key(preview, &ids)?;
            let now = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            let expiry = (now + preview.life).as_secs();
            (
                token::sign(&id, &key, name, color, word, expiry),
                Some(expiry),
            )
        }
    };
    let url = url(preview).await;
    let path = rule
        .paths()
        .first()
        .filter(|_| is_bare(&url))
        .map_or("", String::as_str);
    let url = format!("{}{path}", url.trim_end_matches('/'));
    let host =
        host(service.hosts()).map(|host| format!("-H {} ", quoted(&format!("Host: {host}"))));
    let proof = match (rule.header(), rule.cookie()) {
        (Some(header), _) => format!("-H {}", quoted(&format!("{header}: {value}"))),
        (None, cookie) => {
            format!(
                "-b {}",
                quoted(&format!("{}={value}", cookie.unwrap_or_default()))
            )
        }
    };
    let curl = format!(
        "curl {}{proof} {}",
        host.unwrap_or_default(),
        bare_or_quoted(&url)
    );
    let until = expiry.and_then(|s| jiff::Timestamp::from_second(i64::try_from(s).ok()?).ok());
    let validity = match &until {
        Some(until) => format!("# reaches {color} of {name} until {until}"),
        None => format!("# reaches {color} of {name}; no signature is asked for"),
    };
    let json = json!({
        "service": name,
        "color": color,
        "header": rule.header(),
        "cookie": rule.cookie(),
        "value": value,
        "expires": until.map(|until| until.to_string()),
        "paths": rule.paths(),
        "curl": curl,
    });
    // Such as `cutover preview green | sh` reads.
    let report = Report::good(format!("{validity}\n{curl}"), json);
    let report = Report {
        next_mark: "# next: ",
        ..report
    };
    let more = if plan.services().len() > 1 {
        format!(" --service {name}")
    } else {
        String::new()
    };
    Ok(report.next(if color == service.switch().active {
        format!("{color} has all traffic already: `cutover status` shows it")
    } else {
        format!("look at {color}, then `cutover flip {color}{more}`")
    }))
}

/// As it was named; else where the Envoy of the `up` that lives here listens, else where `init` lets
/// one listen.
async fn url(preview: &args::Preview) -> String {
    if let Some(url) = &preview.url {
        return url.clone();
    }
    let admin = preview
        .target
        .running()
        .ok()
        .flatten()
        .and_then(|up| up.admin);
    let listeners = match admin {
        Some(admin) => Admin::new(admin).listeners().await.unwrap_or_default(),
        None => vec![],
    };
    match listeners.first() {
        Some((_, address)) if address.ip().is_unspecified() => {
            format!("http://127.0.0.1:{}", address.port())
        }
        Some((_, address)) => format!("http://{address}"),
        None => "http://127.0.0.1:10000".to_owned(),
    }
}

/// A host that reaches the service; none where every host does.
fn host(hosts: &[String]) -> Option<String> {
    let any = hosts.iter().any(|host| host == "*");
    let host = hosts.first().filter(|_| !any)?;
    Some(host.replacen('*', "preview", 1))
}

/// A word for a POSIX shell, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A URL that a shell leaves alone stays as it is.
fn bare_or_quoted(url: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/%+@,=".contains(c);
    if url.chars().all(plain) {
        url.to_owned()
    } else {
        quoted(url)
    }
}

/// True for a URL without a path.
fn is_bare(url: &str) -> bool {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme
        .split_once('/')
        .is_none_or(|(_, path)| path.is_empty())
}

/// The key to sign with: the one that was named, else the first whose bytes are at hand.
fn key(preview: &args::Preview, ids: &[&str]) -> Result<(String, token::Key), Failure> {
    let listed = ids.join(", ");
    if let Some(id) = preview.key.as_deref().filter(|id| !ids.contains(id)) {
        return Err(
            Failure::usage(format!("the configuration has no key `{id}`"))
                .hint(format!("its keys are {listed}")),
        );
    }
    let wanted: Vec<_> = ids
        .iter()
        .copied()
        .filter(|id| preview.key.as_deref().is_none_or(|k| k == *id))
        .collect();
    let (id, bytes) = match (&preview.key_file, wanted.as_slice()) {
        (Some(path), [id]) => (*id, read_key(path)?),
        (Some(_), _) => {
            return Err(Failure::usage("which key the file holds is not clear")
                .hint(format!("say --key ID; the configuration has {listed}")));
        }
        (None, wanted) => {
            let set = wanted.iter().find_map(|id| {
                let value = env::var_os(token::variable(id))?;
                Some((*id, value.into_encoded_bytes()))
            });
            set.ok_or_else(|| {
                let variables: Vec<_> = wanted.iter().map(|id| token::variable(id)).collect();
                Failure::usage(format!(
                    "no key to sign with: {} is not set",
                    variables.join(" or ")
                ))
                .hint("set it to the key that Envoy has, or say --key-file PATH")
            })?
        }
    };
    let key = token::Key::new(&bytes).map_err(|short| {
        Failure::usage(format!("key `{id}`: {short}")).hint("openssl rand -hex 32 makes a good one")
    })?;
    Ok((id.to_owned(), key))
}

fn read_key(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = fs::read(path).map_err(|error| {
        Failure::usage(format!("{} cannot be read: {error}", path.display()))
            .hint("name a file with the key that Envoy has, or set CUTOVER_KEY_<ID>")
    })?;
    // As `$(cat FILE)` would put it into Envoy's environment.
    while bytes
        .last()
        .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    {
        bytes.pop();
    }
    Ok(bytes)
}
