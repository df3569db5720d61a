//! Which Envoy a binary is.

use crate::failure::Failure;
use std::{fmt, path::Path, process::Stdio, time::Duration};
use tokio::{process::Command, time::timeout};

/// The first version that works: its proxy-wasm host has what the filter needs.
const OLDEST: Version = Version(1, 36, 0);

/// How long a binary may take to say its version.
const PATIENCE: Duration = Duration::from_secs(20);

/// Major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u32, u32, u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// Asks a binary for its version, and refuses one that is too old, or no Envoy.
pub(crate) async fn of(binary: &Path) -> Result<Version, Failure> {
    let path = binary.display();
    let hint =
        "--envoy PATH or CUTOVER_ENVOY names another; scripts/get-envoy gets one that is tested";
    let asked = Command::new(binary)
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, asked).await.map_err(|_| {
        let seconds = PATIENCE.as_secs();
        Failure::environment(format!("{path} does not say its version in {seconds} s")).hint(hint)
    })?;
    let output = output.map_err(|error| {
        Failure::environment(format!("{path} cannot be started: {error}")).hint(hint)
    })?;
    let said = String::from_utf8_lossy(&output.stdout);
    let Some(version) = parse(&said) else {
        let first = said.lines().map(str::trim).find(|line| !line.is_empty());
        let said = first.map_or_else(|| "nothing".to_owned(), |line| format!("`{line}`"));
        let message = format!("{path} is no Envoy: asked for its version it says {said}");
        return Err(Failure::environment(message).hint(hint));
    };
    if version < OLDEST {
        let message = format!("{path} is Envoy {version}, and {OLDEST} or newer is needed");
        return Err(Failure::environment(message).hint(hint));
    }
    Ok(version)
}

/// `envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`; the version may be `1.40.0-dev`.
fn parse(text: &str) -> Option<Version> {
    let (_, rest) = text.split_once("version:")?;
    let parts: Vec<_> = rest.trim().split('/').collect();
    let [_, version, _, ..] = parts.as_slice() else {
        return None;
    };
    let mut numbers = version.split(['.', '-']).map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Version(next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_second_part_of_what_envoy_says() {
        let said = "\n/usr/bin/envoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL\n\n";
        assert_eq!(parse(said), Some(Version(1, 40, 0)));
        assert_eq!(
            parse("envoy  version: 9e55/1.41.2-dev/Clean"),
            Some(Version(1, 41, 2))
        );
        assert!(parse(said) >= Some(OLDEST));
        assert!(Version(1, 9, 0) < OLDEST);
        for other in ["", "nginx version: nginx/1.22.1", "envoy  version: x/y/z"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
