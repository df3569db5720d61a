//! `cutover up`: one machine, two applications, one Envoy.

use crate::{
    args, envoy,
    failure::Failure,
    module::module,
    output::{Events, Format, Report},
    preview_rule::PreviewRule,
    up::{
        Berth, Launch, Notify, Order, Output, Proxy, Ready, Signals, Wanted, Written, check_ports,
        drain, foresee, version_of, words, write,
    },
};
use clap::Args;
use cutover_control::{
    AccessLog, Bootstrap, Endpoint, Health, HealthPath, StateError, StateFolder, StateLock,
    bootstrap,
};
use cutover_core::{Color, token};
use serde_json::json;
use std::{
    env,
    ffi::OsString,
    net::{IpAddr, SocketAddr},
    path::{self, PathBuf},
    time::Duration,
};

const EXAMPLE: &str = "\
Example:
  cutover up --blue 127.0.0.1:8081 --green 127.0.0.1:8082 --health /healthz
  cutover flip green        (in another terminal; it finds this `up` by itself)

It stays in the foreground until SIGTERM, SIGINT or SIGHUP. Then Envoy takes no new connection, \
answers what is in flight, tells each client to go, and ends after --drain-time at the latest. A \
second signal ends it at once. SIGUSR1 opens the access log anew, for logrotate.

The active color and its generation live in the state folder, and survive a restart with other \
options. Clients may reach the other color with --override-key, or unsigned where Envoy listens on \
loopback only.

Exit codes: 0 stopped, 1 another `up` runs on the state folder, 2 bad use or configuration, 3 no \
Envoy that can be used, a port that is taken, a folder that cannot be written, or Envoy ended by \
itself";

/// Start Envoy in front of two running applications, and keep it until told to stop
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Up {
    /// The application that is blue
    #[arg(long, value_name = "HOST:PORT")]
    blue: Endpoint,
    /// The application that is green
    #[arg(long, value_name = "HOST:PORT")]
    green: Endpoint,
    /// Where Envoy takes traffic; may be given several times
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:10000", value_parser = args::address)]
    listen: Vec<SocketAddr>,
    /// Check the health of both: GET this path, 200 to 299 is well. Without it: whether they take a
    /// connection
    #[arg(long, value_name = "PATH")]
    health: Option<HealthPath>,
    #[command(flatten)]
    state: args::State,
    /// The color that is active when the state folder is new
    #[arg(long, value_name = "COLOR", default_value = "blue", value_parser = args::color())]
    initial: Color,
    /// How long requests that are in flight may take once it is told to stop
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = args::duration)]
    drain_time: Duration,
    /// Where Envoy writes a line for each request: a file, or `-` for standard output. Without it:
    /// nowhere
    #[arg(long, value_name = "PATH")]
    access_log: Option<PathBuf>,
    /// Where Envoy's admin interface listens, on loopback; port 0 is any free port
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0", value_parser = args::address)]
    admin: SocketAddr,
    /// Preview needs a token signed by the key in the environment variable `CUTOVER_KEY_<ID>`; may be
    /// given several times
    #[arg(long, value_name = "ID")]
    override_key: Vec<String>,
    /// The Envoy to start; else the one on PATH, else that of scripts/get-envoy in `.tools` of the
    /// checkout
    #[arg(long, env = "CUTOVER_ENVOY", value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// Another module than the one that this tool carries
    #[arg(long, value_name = "PATH")]
    wasm: Option<PathBuf>,
    /// Only tell what would be started; nothing is written
    #[arg(long)]
    dry_run: bool,
}

/// What runs.
struct Running {
    proxy: Proxy,
    written: Written,
    folder: StateFolder,
    /// Nobody else may run on the folder as long as this does.
    _lock: StateLock,
}

impl Up {
    pub(crate) async fn run(self, events: &Events) -> Result<Report, Failure> {
        if self.dry_run {
            return self.foresee(events).await;
        }
        let mut signals = Signals::listen()?;
        let notify = Notify::from_environment();
        let early = |signal| {
            let text = format!("stopped by {signal} before Envoy was ready");
            Ok(Report::good(text, json!({ "signal": signal, "cut": 0 })))
        };
        let started = tokio::select! {
            started = self.start(events) => started?,
            signal = signals.stop() => return early(signal),
        };
        let mut running = started;
        let told = tokio::select! {
            ready = self.until_ready(&mut running, events, &notify) => ready.map(|()| None)?,
            signal = signals.stop() => Some(signal),
        };
        let Running {
            mut proxy, _lock, ..
        } = running;
        let signal = match told {
            // It may take traffic already, though nobody was told.
            Some(signal) if !proxy.is_live().await => {
                proxy.stop().await;
                return early(signal);
            }
            Some(signal) => signal,
            None => self.until_told(&mut proxy, &mut signals, events).await?,
        };
        let time = self.drain_time;
        notify.stopping(time + Duration::from_secs(10));
        let tell = |traffic| words::draining(events, signal, time, traffic);
        let drained = drain(proxy, time, &mut signals, tell).await;
        Ok(words::stopped(events, signal, time, drained))
    }

    /// Waits until it is told to stop; says by which signal.
    async fn until_told(
        &self,
        proxy: &mut Proxy,
        signals: &mut Signals,
        events: &Events,
    ) -> Result<&'static str, Failure> {
        loop {
            let order = tokio::select! {
                order = signals.next() => order,
                failure = proxy.ended() => return Err(failure),
            };
            match order {
                Order::Stop(signal) => return Ok(signal),
                Order::ReopenLogs => self.reopen_logs(proxy, events).await,
            }
        }
    }

    /// Puts everything in place and starts Envoy; what can be refused is refused before that.
    async fn start(&self, events: &Events) -> Result<Running, Failure> {
        self.check(events.format)?;
        let rule = PreviewRule::new(&self.override_key, &self.listen)?;
        let environment = self.keys()?;
        let module = module(self.wasm.as_deref())?;
        let binary = envoy::find(self.envoy.as_deref())?;
        let version = version_of(&binary).await?;
        let folder = self.state.folder()?;
        let lock = folder.lock()?;
        let berth = Berth::of(&folder).await?;
        check_ports(self.listen.iter().chain([&self.admin]).copied())?;
        let wanted = Wanted {
            initial: self.initial,
            module: &module,
            rule: &rule,
            bootstrap: self.bootstrap()?,
        };
        let written = write(&folder, wanted)?;
        for note in &written.notes {
            events.emit(
                "restored",
                json!({ "note": note }),
                &format!("warning: {note}"),
            );
        }
        let launch = Launch {
            binary: &binary,
            folder: &folder,
            names: written.document.names().to_vec(),
            environment,
            output: match &self.access_log {
                Some(path) if path.as_os_str() == "-" => Output::Inherited,
                _ => Output::Log,
            },
        };
        let proxy = Proxy::launch(launch, berth)?;
        let details = json!({
            "envoy": binary.display().to_string(),
            "version": version.to_string(),
            "pid": proxy.pid(),
            "state": folder.path().display().to_string(),
        });
        let text = format!("started Envoy {version} (process {})", proxy.pid());
        events.emit("started", details, &text);
        Ok(Running {
            proxy,
            written,
            folder,
            _lock: lock,
        })
    }

    /// Refuses what a start would refuse, and tells what it would do.
    async fn foresee(&self, events: &Events) -> Result<Report, Failure> {
        self.check(events.format)?;
        PreviewRule::new(&self.override_key, &self.listen)?;
        self.keys()?;
        module(self.wasm.as_deref())?;
        let binary = envoy::find(self.envoy.as_deref())?;
        let version = version_of(&binary).await?;
        let folder = self.state.folder()?;
        if let Some(up) = folder.running()? {
            let (path, holder) = (folder.path().to_owned(), up.holder);
            return Err(StateError::Taken { path, holder }.into());
        }
        check_ports(self.listen.iter().chain([&self.admin]).copied())?;
        let (configuration, state) = foresee(&folder, self.initial)?;
        Ok(words::foreseen(
            &binary,
            version,
            folder.path(),
            configuration,
            state,
        ))
    }

    /// Waits until Envoy takes traffic, and tells it to whoever wants to know.
    async fn until_ready(
        &self,
        running: &mut Running,
        events: &Events,
        notify: &Notify,
    ) -> Result<(), Failure> {
        let Running {
            proxy,
            written,
            folder,
            ..
        } = running;
        proxy.until_ready(&written.document).await?;
        let ready = Ready {
            plan: &written.plan,
            colors: [&self.blue, &self.green],
            state: folder.path(),
            to_say: &self.state.to_say(),
        };
        ready.tell(events, proxy).await;
        notify.ready(&ready.status());
        Ok(())
    }

    fn check(&self, format: Format) -> Result<(), Failure> {
        if self.blue == self.green {
            return Err(Failure::usage(format!(
                "--blue and --green are the same application, {}",
                self.blue
            ))
            .hint("each version needs an address of its own"));
        }
        for (color, endpoint) in [(Color::Blue, &self.blue), (Color::Green, &self.green)] {
            let itself = self.listen.iter().find(|listen| {
                let host = endpoint.host().parse().ok();
                let any =
                    listen.ip().is_unspecified() && host.is_some_and(|ip: IpAddr| ip.is_loopback());
                listen.port() == endpoint.port() && (any || host == Some(listen.ip()))
            });
            if let Some(listen) = itself {
                return Err(Failure::usage(format!(
                    "--{color} {endpoint} is where Envoy itself would listen ({listen})"
                ))
                .hint("--listen is for clients; --blue and --green are the applications behind"));
            }
        }
        if !self.admin.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "--admin {} is not on loopback, and whoever reaches it can stop Envoy",
                self.admin
            ))
            .hint("leave it out, or say 127.0.0.1:PORT"));
        }
        let to_stdout = self
            .access_log
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-");
        if to_stdout && format != Format::Text {
            return Err(
                Failure::usage("--access-log - and -o both want standard output")
                    .hint("name a file with --access-log PATH"),
            );
        }
        Ok(())
    }

    /// The keys that clients' tokens are signed with, as Envoy finds them.
    fn keys(&self) -> Result<Vec<(String, OsString)>, Failure> {
        let key = |id: &String| {
            let variable = token::variable(id);
            let hint = format!("export {variable}=\"$(openssl rand -hex 32)\" makes one");
            let Some(value) = env::var_os(&variable) else {
                return Err(Failure::usage(format!("{variable} is not set")).hint(hint));
            };
            token::Key::new(value.as_encoded_bytes())
                .map_err(|short| Failure::usage(format!("{variable}: {short}")).hint(hint))?;
            Ok((variable, value))
        };
        self.override_key.iter().map(key).collect()
    }

    fn bootstrap(&self) -> Result<Bootstrap, Failure> {
        let access_log = match &self.access_log {
            None => AccessLog::Off,
            Some(path) if path.as_os_str() == "-" => AccessLog::Stdout,
            Some(path) => AccessLog::File(path::absolute(path).map_err(|error| {
                Failure::usage(format!("--access-log {}: {error}", path.display()))
            })?),
        };
        Ok(Bootstrap {
            author: bootstrap::Author::Up,
            admin: self.admin,
            listeners: self.listen.clone(),
            blue: self.blue.clone(),
            green: self.green.clone(),
            health: Some(self.health.clone().map_or(Health::Tcp, Health::Http)),
            access_log,
            ..Bootstrap::default()
        })
    }

    async fn reopen_logs(&self, proxy: &Proxy, events: &Events) {
        let (details, text) = match proxy.admin().post("/reopen_logs").await {
            Ok(()) => (json!({}), "log files are opened anew".to_owned()),
            Err(error) => (
                json!({ "error": error.to_string() }),
                format!("warning: log files are not opened anew: {error}"),
            ),
        };
        events.emit("logs", details, &text);
    }
}
