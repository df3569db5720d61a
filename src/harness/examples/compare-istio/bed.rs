//! A test bed as its `bed.json` tells it.

use std::error::Error;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

/// A bed that is up.
pub(crate) struct Bed {
    json: Value,
    module: PathBuf,
}

impl Bed {
    pub(crate) fn read(folder: &Path, module: &Path) -> Result<Self, Box<dyn Error>> {
        let text = std::fs::read(folder.join("bed.json"))?;
        Ok(Self {
            json: serde_json::from_slice(&text)?,
            module: module.canonicalize()?,
        })
    }

    fn text(&self, key: &str) -> Result<&str, Box<dyn Error>> {
        let value = self.json.get(key).and_then(Value::as_str);
        value.ok_or_else(|| format!("bed.json has no {key}").into())
    }

    /// Where the proxies take requests, by name.
    pub(crate) fn proxies(&self) -> Vec<(String, String)> {
        let proxies = self.json.get("proxies").and_then(Value::as_array);
        let text = |proxy: &Value, key: &str| Some(proxy.get(key)?.as_str()?.to_owned());
        let proxies = proxies.into_iter().flatten();
        proxies
            .filter_map(|proxy| Some((text(proxy, "name")?, text(proxy, "http")?)))
            .collect()
    }

    /// The module that gateways load, by its absolute path.
    pub(crate) fn module(&self) -> &Path {
        &self.module
    }

    /// Runs kubectl; gives what it prints.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
        let output = Command::new(Path::new(self.text("programs")?).join("kubectl"))
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", self.text("kubeconfig")?)
            .env("HOME", "/nonexistent")
            .kill_on_drop(true)
            .output()
            .await?;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("kubectl {}: {complaint}", arguments.join(" ")).into())
    }

    /// Applies a manifest.
    pub(crate) async fn apply(&self, manifest: &Value) -> Result<(), Box<dyn Error>> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), manifest.to_string())?;
        let path = file.path().to_string_lossy().into_owned();
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &path])
            .await?;
        Ok(())
    }
}
