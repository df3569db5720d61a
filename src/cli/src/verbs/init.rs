//! `cutover init`: everything that Envoy needs, in one folder that can be moved.

use crate::{failure::Failure, module::module, output::Report, preview_rule::PreviewRule};
use clap::Args;
use cutover_control::{
    Bootstrap, Document, Endpoint, FileTarget, Health, HealthPath, ResourceOptions, resource,
};
use cutover_core::{Color, Generation, token};
use serde_json::json;
use std::{
    fmt::Write as _,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

const EXAMPLE: &str = "\
Example:
  cutover init envoy --blue 127.0.0.1:8081 --green 127.0.0.1:8082
  cd envoy && envoy -c envoy.yaml

Without --override-key clients may reach the other color unsigned, if Envoy listens on loopback \
only; else not at all. Paths in the files are relative, so that the folder can be moved.

Exit codes: 0 written, 2 something is there already or cannot be used, 3 the folder cannot be \
written";

/// Write the files that Envoy starts with: bootstrap, filter configuration, module
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Init {
    /// The folder to write into
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The application that is blue
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    blue: Endpoint,
    /// The application that is green
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8082")]
    green: Endpoint,
    /// Where Envoy takes traffic; may be given several times
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:10000")]
    listen: Vec<SocketAddr>,
    /// Where Envoy's admin interface listens: keep it on loopback
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9901")]
    admin: SocketAddr,
    /// Check the health of both applications: GET this path, 200 to 299 is well
    #[arg(long, value_name = "PATH")]
    health: Option<HealthPath>,
    /// Preview needs a token signed by the key in Envoy's environment variable `CUTOVER_KEY_<ID>`;
    /// may be given several times
    #[arg(long, value_name = "ID")]
    override_key: Vec<String>,
    /// Another module than the one that this tool carries
    #[arg(long, value_name = "PATH")]
    wasm: Option<PathBuf>,
    /// Replace files that are there. The active color stays, and a newer generation carries it
    #[arg(long)]
    force: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
}

impl Init {
    pub(crate) fn run(self) -> Result<Report, Failure> {
        let rule = PreviewRule::new(&self.override_key, &self.listen)?;
        let module = module(self.wasm.as_deref())?;
        let (active, generation) = self.switch()?;
        let bootstrap = Bootstrap {
            admin: self.admin,
            listeners: self.listen.clone(),
            blue: self.blue.clone(),
            green: self.green.clone(),
            active_at_install: active,
            health: self.health.clone().map(Health::Http),
            ..Bootstrap::default()
        }
        .render();
        let resource = resource::render(&ResourceOptions {
            module: "cutover.wasm".into(),
            configuration: rule.configuration(active.as_str(), generation.get()),
            environment: rule.environment(),
        });
        // The configuration last: its rename makes a running Envoy read it.
        let files: [(&str, &[u8]); 3] = [
            ("cutover.wasm", &module),
            ("envoy.yaml", bootstrap.as_bytes()),
            ("cutover.json", resource.as_bytes()),
        ];
        if !self.force {
            let there = files
                .iter()
                .map(|(name, _)| self.dir.join(name))
                .find(|path| path.exists());
            if let Some(path) = there {
                let message = format!("{} is there already; nothing was written", path.display());
                return Err(Failure::usage(message).hint("--force replaces it"));
            }
        }
        if self.dry_run {
            return Ok(self.foresee(&files));
        }
        write_all(&self.dir, &files).map_err(|(path, error)| {
            Failure::environment(format!("{} cannot be written: {error}", path.display()))
                .hint("look at the rights and the space of its folder, or name another one")
        })?;
        Ok(self.report(&rule, active, generation))
    }

    /// Blue and 1 in a new folder. Over an old configuration, whatever is active there stays active,
    /// under a generation that its Envoys take for newer.
    fn switch(&self) -> Result<(Color, Generation), Failure> {
        let old = FileTarget::new(self.dir.join("cutover.json"));
        let plan = old
            .read()
            .ok()
            .as_ref()
            .map(Document::plan)
            .and_then(Result::ok);
        let switch = plan
            .as_ref()
            .and_then(|plan| plan.services().first())
            .map(|s| *s.switch());
        let last = switch.and_then(|switch| switch.generation);
        let generation = Generation::after(last, 0).map_err(|used_up| {
            Failure::usage(format!("cutover.json: {used_up}")).hint("name another folder")
        })?;
        Ok((
            switch.map_or(Color::Blue, |switch| switch.active),
            generation,
        ))
    }

    /// Where a client on this machine finds Envoy.
    fn url(&self) -> String {
        let first = self
            .listen
            .first()
            .copied()
            .unwrap_or_else(|| ([127, 0, 0, 1], 10_000).into());
        match first.ip() {
            ip if ip.is_unspecified() => format!("http://127.0.0.1:{}", first.port()),
            _ => format!("http://{first}"),
        }
    }

    /// What would be written: the texts whole, of the module its size.
    fn foresee(&self, files: &[(&str, &[u8])]) -> Report {
        let (mut text, mut json) = (String::new(), vec![]);
        for (name, content) in files {
            let path = self.dir.join(name);
            let would = if path.exists() { "replace" } else { "write" };
            let shown = str::from_utf8(content).ok();
            let _ = writeln!(
                text,
                "would {would} {} ({} bytes)",
                path.display(),
                content.len()
            );
            json.push(json!({
                "file": path.display().to_string(),
                "bytes": content.len(),
                "replaces": path.exists(),
                "content": shown,
            }));
        }
        let texts = files
            .iter()
            .filter_map(|(name, content)| Some((name, str::from_utf8(content).ok()?)));
        for (name, content) in texts {
            let _ = write!(text, "\n--- {name}\n{content}");
        }
        Report::good(text, json!({ "files": json, "written": false }))
            .next("the same without --dry-run writes them")
    }

    fn report(&self, rule: &PreviewRule, active: Color, generation: Generation) -> Report {
        let dir = self.dir.display();
        let target = std::path::absolute(self.dir.join("cutover.json"));
        let target = target.unwrap_or_else(|_| self.dir.join("cutover.json"));
        let url = self.url();
        let mut text = format!(
            "Wrote {dir}/envoy.yaml, {dir}/cutover.json and {dir}/cutover.wasm: {active} is active.\n\n"
        );
        if !self.override_key.is_empty() {
            text += "Make a key; Envoy and `cutover preview` need the same in their environment:\n";
            for id in &self.override_key {
                let variable = token::variable(id);
                let _ = writeln!(text, "  export {variable}=\"$(openssl rand -hex 32)\"");
            }
            text += "\n";
        }
        let _ = write!(
            text,
            "Start Envoy in that folder:\n\
             \x20 (cd {dir} && envoy -c envoy.yaml)\n\n\
             Then, in another terminal:\n\
             \x20 export CUTOVER_TARGET=file:{} CUTOVER_ADMIN={}\n\
             \x20 curl {url}\n",
            target.display(),
            self.admin,
        );
        let other = active.other();
        if rule.lets_some_in() {
            let _ = writeln!(text, "  cutover preview {other} --url {url}");
        }
        let _ = write!(
            text,
            "  cutover flip {other}\n  cutover status\n  cutover rollback\n"
        );
        if !rule.lets_some_in() {
            let _ = write!(
                text,
                "\nClients cannot reach {other} before the flip: Envoy listens beyond loopback, and no key \
                 was named.\n--override-key ID lets those in who have a token of `cutover preview`.\n",
            );
        }
        let files = ["envoy.yaml", "cutover.json", "cutover.wasm"];
        let json = json!({
            "files": files.map(|name| self.dir.join(name).display().to_string()),
            "target": format!("file:{}", target.display()),
            "admin": self.admin.to_string(),
            "listen": self.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "active": active,
            "generation": generation,
        });
        Report::good(text, json).next(format!("(cd {dir} && envoy -c envoy.yaml)"))
    }
}

fn write_all(dir: &Path, files: &[(&str, &[u8])]) -> Result<(), (PathBuf, io::Error)> {
    fs::create_dir_all(dir).map_err(|error| (dir.to_owned(), error))?;
    for (name, content) in files {
        let path = dir.join(name);
        let beside = dir.join(format!(".{name}.tmp"));
        fs::write(&beside, content)
            .and_then(|()| fs::rename(&beside, &path))
            .map_err(|error| (path, error))?;
    }
    Ok(())
}
