//! Runs the tool in a folder of its own, with nothing of this machine's environment.

use cutover_control::{Document, ResourceOptions, resource};
use serde_json::{Value, json};
use std::{
    ffi::OsStr,
    fmt::{self, Write as _},
    fs,
    io::{BufRead as _, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

pub(crate) const SERVER_INFO: &str = r#"{"version": "c0ffee/1.40.0/Clean/RELEASE/BoringSSL"}"#;

/// A folder with the tool in it.
pub(crate) struct Stage {
    folder: TempDir,
}

/// What came of one run of the tool.
#[must_use]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    /// A stage with the configuration `cutover.json`.
    pub(crate) fn with(configuration: &Value) -> Self {
        let stage = Self::new();
        stage.write("cutover.json", &ecds(configuration));
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The plugin configuration in `cutover.json`.
    pub(crate) fn configuration(&self) -> Value {
        let document = Document::parse(self.read("cutover.json").as_bytes()).unwrap();
        serde_json::from_slice(document.configuration()).unwrap()
    }

    /// The tool, ready to be started.
    pub(crate) fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command
            .env_clear()
            .current_dir(self.folder.path())
            .args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let output = self
            .command(arguments)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        self.ran(output)
    }

    /// What came of a run that was started by [`command`](Self::command).
    pub(crate) fn ran(&self, output: Output) -> Ran {
        let text = |bytes: Vec<u8>| {
            // The folder's real name is another one each time.
            let folder = self.folder.path().to_string_lossy().into_owned();
            String::from_utf8(bytes).unwrap().replace(&folder, "[DIR]")
        };
        Ran {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Flips `cutover.json`, asking these Envoys.
    pub(crate) fn flip(&self, arguments: &[&str], envoys: &[&Server]) -> Ran {
        let output = self.to_flip(arguments, envoys).output().unwrap();
        self.ran(output).naming(envoys)
    }

    /// The same, ready to be started.
    pub(crate) fn to_flip(&self, arguments: &[&str], envoys: &[&Server]) -> Command {
        let admins: Vec<_> = envoys
            .iter()
            .map(|envoy| envoy.address.to_string())
            .collect();
        let mut command = self.command(arguments);
        command.env("CUTOVER_TARGET", "file:cutover.json");
        if !admins.is_empty() {
            command.env("CUTOVER_ADMIN", admins.join(","));
        }
        command
    }
}

impl Ran {
    /// The same with names for the Envoys, whose ports are others each time.
    pub(crate) fn naming(mut self, envoys: &[&Server]) -> Self {
        for (envoy, name) in envoys.iter().zip(["[ENVOY-1]", "[ENVOY-2]", "[ENVOY-3]"]) {
            let admin = envoy.address.to_string();
            self.stdout = self.stdout.replace(&admin, name);
            self.stderr = self.stderr.replace(&admin, name);
        }
        self
    }

    /// Standard output as one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code: {}", self.code.unwrap_or(-1))?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "\n--- {name}\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}

/// Waits for a condition, not for a time.
#[track_caller]
pub(crate) fn until(what: &str, is_true: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_true() {
        assert!(Instant::now() < deadline, "{what} did not come");
        thread::yield_now();
    }
}

/// An ECDS file with this plugin configuration.
pub(crate) fn ecds(configuration: &Value) -> String {
    let (module, environment) = ("cutover.wasm".into(), vec![]);
    resource::render(&ResourceOptions {
        module,
        configuration: configuration.clone(),
        environment,
    })
}

/// A small HTTP server: an application, or an admin interface that shows what it is told to show.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Shows at once what the file says, as an Envoy that works.
    pub(crate) fn following(file: &Path) -> Self {
        Self::with_clock(file, 0)
    }

    /// The same with a clock that is off by so many milliseconds.
    pub(crate) fn with_clock(file: &Path, off: i64) -> Self {
        let file = file.to_owned();
        Self::with(move |_| {
            let document = Document::parse(&fs::read(&file).unwrap()).unwrap();
            let plan = document.plan().unwrap();
            let services = plan
                .services()
                .iter()
                .map(|service| of_service(service, off));
            services.collect()
        })
    }

    /// Shows the same all the time.
    pub(crate) fn stuck(generation: u64, active: u8) -> Self {
        Self::with(move |_| shows("default", generation, active))
    }

    /// Refuses whatever comes after the first look.
    pub(crate) fn refusing(generation: u64, active: u8) -> Self {
        Self::with(move |looks| {
            let rejected = u8::from(looks > 0);
            let refused = format!(
                "extension_config_discovery.http_filter.cutover.update_rejected: {rejected}\n\
                 wasmcustom.cutover.plugin.cutover.config_refused: {rejected}\n"
            );
            shows("default", generation, active) + &refused
        })
    }

    /// Answers `/stats` with the text that `stats` makes of the number of earlier questions.
    pub(crate) fn with(stats: impl Fn(usize) -> String + Send + 'static) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), stats)
    }

    /// The same, at an address.
    pub(crate) fn at(
        address: SocketAddr,
        stats: impl Fn(usize) -> String + Send + 'static,
    ) -> Self {
        let looks = AtomicUsize::new(0);
        let body = move |path: &str| match path {
            "/server_info" => SERVER_INFO.to_owned(),
            "/clusters" => clusters(&[("a", true), ("b", true), ("g", true)]),
            // It was given nothing, so that no flip can change too much of it.
            "/config_dump" => "{}".to_owned(),
            _ => stats(looks.fetch_add(1, Ordering::Relaxed)),
        };
        Self::serving(address, move |stream, _| {
            let _ = answer(&stream, &body);
        })
    }

    /// Runs this file, with these clusters and these further stats.
    pub(crate) fn running(file: &str, own: &'static [(&str, bool)], stats: &str) -> Self {
        let document: Value = serde_json::from_str(file).unwrap();
        let version = document.get("version_info").unwrap();
        let resource = document.pointer("/resources/0").unwrap();
        let dump = json!({ "configs": [{ "version_info": version, "ecds_filter": resource }] });
        let dump = dump.to_string();
        let plan = Document::parse(file.as_bytes()).unwrap().plan().unwrap();
        let mut stats = stats.to_owned();
        for service in plan.services() {
            let switch = service.switch();
            let generation = switch.generation.map_or(0, cutover_core::Generation::get);
            stats += &shows(service.name(), generation, switch.active.number());
        }
        let ecds = "extension_config_discovery.http_filter.cutover.version_text";
        if !stats.contains(ecds) {
            writeln!(stats, "{ecds}: {version}").unwrap();
        }
        Self::answering(move |path| match path {
            "/server_info" => SERVER_INFO.to_owned(),
            "/clusters" => clusters(own),
            "/config_dump" => dump.clone(),
            _ => stats.clone(),
        })
    }

    /// Takes connections and says nothing, as a stopped Envoy; `asked` is set by the first one.
    pub(crate) fn silent(asked: &Arc<AtomicBool>) -> Self {
        let asked = Arc::clone(asked);
        Self::serving(([127, 0, 0, 1], 0).into(), move |stream, held| {
            asked.store(true, Ordering::Relaxed);
            held.push(stream);
        })
    }

    /// Answers each path.
    pub(crate) fn answering(body: impl Fn(&str) -> String + Send + 'static) -> Self {
        Self::serving(([127, 0, 0, 1], 0).into(), move |stream, _| {
            let _ = answer(&stream, &body);
        })
    }

    fn serving(
        address: SocketAddr,
        serve: impl Fn(TcpStream, &mut Vec<TcpStream>) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut held = vec![];
            for stream in listener.incoming() {
                if until.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(stream) = stream {
                    serve(stream, &mut held);
                }
            }
        });
        Self {
            address,
            over,
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        self.thread.take().map(JoinHandle::join);
    }
}

/// Clusters with one endpoint each, healthy or not, as `/clusters?format=json` has them.
pub(crate) fn clusters(clusters: &[(&str, bool)]) -> String {
    let cluster = |(name, healthy): &(&str, bool)| {
        let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": 80 } });
        let health =
            json!({ "failed_active_health_check": !healthy, "eds_health_status": "HEALTHY" });
        json!({ "name": name, "host_statuses": [{ "address": address, "health_status": health }] })
    };
    let clusters: Vec<_> = clusters.iter().map(cluster).collect();
    json!({ "cluster_statuses": clusters }).to_string()
}

/// What an Envoy that works shows of a service: until the window of its switch is over what was before.
fn of_service(service: &cutover_core::Service, off: i64) -> String {
    let switch = service.switch();
    let generation = switch.generation.map_or(0, cutover_core::Generation::get);
    let after = shows(service.name(), generation, switch.active.number());
    let (Some(due), Some(previous)) = (switch.activation, switch.previous) else {
        return after + &staged(service.name(), [0; 4]);
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = u64::try_from(now.as_micros()).unwrap();
    let now = now.saturating_add_signed(off * 1_000);
    let (at, hold) = (due.at(), u64::from(due.hold()));
    if now >= (at + hold) * 1_000 {
        return after + &staged(service.name(), [0; 4]);
    }
    let before = previous.generation.get();
    // Envoys set the clock every 20 ms.
    shows(service.name(), before, previous.active.number())
        + &staged(
            service.name(),
            [generation, at, hold, now / 20_000 * 20_000],
        )
}

fn staged(service: &str, [staged, at, hold, clock]: [u64; 4]) -> String {
    let name = format!("wasmcustom.cutover.plugin.cutover.service.{service}");
    format!(
        "{name}.staged: {staged}\n{name}.activate_at: {at}\n{name}.hold: {hold}\n{name}.clock: {clock}\n"
    )
}

pub(crate) fn shows(service: &str, generation: u64, active: u8) -> String {
    let name = format!("wasmcustom.cutover.plugin.cutover.service.{service}");
    format!("{name}.active: {active}\n{name}.generation: {generation}\n")
}

fn answer(mut stream: &TcpStream, body: impl Fn(&str) -> String) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split([' ', '?']).nth(1).unwrap_or_default();
    let body = body(path);
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
