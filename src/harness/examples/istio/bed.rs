//! A bed of `scripts/istio-up`, as its `bed.json` tells it.

use std::error::Error;
use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

/// A control plane that is up, and its proxies.
pub(crate) struct IstioBed {
    json: Value,
}

impl IstioBed {
    pub(crate) fn read(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let json = serde_json::from_slice(&std::fs::read(folder.join("bed.json"))?)?;
        Ok(Self { json })
    }

    pub(crate) fn text(&self, key: &str) -> Result<&str, Box<dyn Error>> {
        let value = self.json.get(key).and_then(Value::as_str);
        value.ok_or_else(|| format!("bed.json has no {key}").into())
    }

    /// What it says of each proxy under a key.
    pub(crate) fn each(&self, key: &str) -> Vec<String> {
        let proxies = self.json.get("proxies").and_then(Value::as_array);
        let texts = proxies
            .into_iter()
            .flatten()
            .filter_map(|proxy| proxy.get(key)?.as_str());
        texts.map(str::to_owned).collect()
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
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!("kubectl {}: {complaint}", arguments.join(" ")).into())
    }

    /// Applies a manifest, whoever owned its fields before.
    pub(crate) async fn apply(&self, manifest: &Value) -> Result<(), Box<dyn Error>> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), manifest.to_string())?;
        let path = file.path().to_string_lossy();
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &path])
            .await?;
        Ok(())
    }
}
