//! Envoy, from its launch to its end.

use super::shim;
use crate::failure::Failure;
use cutover_control::{
    Admin, Document, Names, StateFolder,
    state::{ADMIN_ADDRESS, BOOTSTRAP, LOG},
};
use cutover_harness::spawn;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// How long a start may take: compiling the module on a busy machine is most of it.
const START: Duration = Duration::from_mins(1);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How long an Envoy may take to end once it is told to.
const END: Duration = Duration::from_secs(5);
/// Lines of its log that a failure shows.
const LOG_LINES: usize = 12;
/// Envoy holds this file locked as long as it lives, and it holds Envoy's process id.
const PID_FILE: &str = "envoy.pid";

/// How an Envoy is started.
#[derive(Debug)]
pub(crate) struct Launch<'l> {
    pub(crate) binary: &'l Path,
    pub(crate) folder: &'l StateFolder,
    /// What the filter is called in its stats.
    pub(crate) names: Vec<Names>,
    /// All that it finds in its environment.
    pub(crate) environment: Vec<(String, OsString)>,
    /// What becomes of its standard output: of its access log, where it has one there.
    pub(crate) output: Output,
}

/// Where standard output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Log,
    Inherited,
}

/// A running Envoy; it is killed and reaped when this is dropped.
#[derive(Debug)]
#[must_use = "Envoy is killed when this is dropped"]
pub(crate) struct Proxy {
    child: Child,
    /// True once it has ended.
    end: watch::Receiver<bool>,
    admin: Admin,
    names: Vec<Names>,
    folder: StateFolder,
}

/// The right to start an Envoy in a folder: no other runs there.
#[derive(Debug)]
pub(crate) struct Berth(File);

impl Berth {
    /// Waits until the Envoy of an `up` that was killed is gone.
    pub(crate) async fn of(folder: &StateFolder) -> Result<Self, Failure> {
        outlive_predecessor(folder).await.map(Self)
    }
}

impl Proxy {
    /// Starts an Envoy in a folder where everything lies ready.
    pub(crate) fn launch(launch: Launch<'_>, Berth(pid_file): Berth) -> Result<Self, Failure> {
        let folder = launch.folder;
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: io::Error| Failure::environment(format!("{what}: {error}"))
        };
        // Envoy runs in another folder than the one that a relative path is relative to.
        let binary = launch
            .binary
            .canonicalize()
            .map_err(failed("Envoy cannot be found"))?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.file(LOG))
            .map_err(failed("Envoy's log cannot be written"))?;
        let mut command = shim::command(&binary);
        command
            .args(["-c", BOOTSTRAP, "--admin-address-path", ADMIN_ADDRESS])
            .args(["--log-level", "warning", "--disable-hot-restart"])
            // Since 1.40 Envoy begins to say goodbye before its listeners are closed, at random over this
            // time. It shall not, until it is told to: then each answer does.
            .args(["--drain-strategy", "gradual", "--drain-time-s", "86400"])
            .args(["--file-flush-interval-msec", "1000"])
            .current_dir(folder.path())
            // Ctrl-C in a terminal is for this process, which lets Envoy end in order.
            .process_group(0)
            .env_clear()
            .envs(launch.environment)
            .stdin(pid_file)
            .stdout(match launch.output {
                Output::Inherited => Stdio::inherit(),
                Output::Log => log
                    .try_clone()
                    .map_err(failed("Envoy's log cannot be written"))?
                    .into(),
            })
            .stderr(log);
        let child = spawn(command).map_err(failed("Envoy cannot be started"))?;
        let end = end_of(&child);
        Ok(Self {
            child,
            end,
            // Replaced as soon as Envoy says where its admin interface is.
            admin: Admin::new(std::net::SocketAddr::from(([127, 0, 0, 1], 0))),
            names: launch.names,
            folder: folder.clone(),
        })
    }

    /// Waits until Envoy takes traffic by this configuration.
    pub(crate) async fn until_ready(&mut self, document: &Document) -> Result<(), Failure> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().ok().flatten() {
                return Err(self.died(status, "before it was ready"));
            }
            if self.is_ready(document).await? {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        let seconds = START.as_secs();
        let message = format!("Envoy is not ready after {seconds} s{}", self.log_end());
        Err(Failure::environment(message).hint("the machine may be too busy; start it again"))
    }

    /// True once Envoy may take traffic, with this configuration or before it has read any.
    pub(crate) async fn is_live(&mut self) -> bool {
        let address = fs::read_to_string(self.folder.file(ADMIN_ADDRESS)).ok();
        let Some(address) = address.and_then(|text| text.trim().parse().ok()) else {
            return false;
        };
        if self.admin.address() != address {
            self.admin = Admin::with_names(address, &self.names);
        }
        self.admin.is_ready().await
    }

    async fn is_ready(&mut self, document: &Document) -> Result<bool, Failure> {
        if !self.is_live().await {
            return Ok(false);
        }
        let Ok(stats) = self.admin.stats(None).await else {
            return Ok(false);
        };
        if stats.config_refused + stats.update_rejected + stats.config_fail > 0 {
            let path = self.folder.target().path().display().to_string();
            let message = format!("Envoy does not take {path}{}", self.log_end());
            return Err(Failure::environment(message)
                .hint(format!("`cutover lint {path}` checks the configuration")));
        }
        Ok(stats.version.as_deref() == document.version_info())
    }

    /// Waits until it ends by itself, which it should not.
    pub(crate) async fn ended(&mut self) -> Failure {
        let _ = self.end.wait_for(|ended| *ended).await;
        match self.child.wait() {
            Ok(status) => self.died(status, "by itself"),
            Err(error) => Failure::environment(format!("Envoy cannot be waited for: {error}")),
        }
    }

    fn died(&self, status: ExitStatus, when: &str) -> Failure {
        let log = self.log_end();
        let message = format!("Envoy ended {when} ({status}){log}");
        // The wording is Envoy's own (1.40), for an extension that it was built without.
        let lacks = |extension: &str| {
            log.to_lowercase().contains("registered implementation") && log.contains(extension)
        };
        if lacks("wasm") {
            return Failure::environment(format!(
                "this Envoy was built without Wasm, which the filter needs{log}"
            ))
            .hint("--envoy PATH or CUTOVER_ENVOY names another; official builds have Wasm");
        }
        if log.contains("Address already in use") {
            return Failure::environment(message)
                .hint("something else took the port meanwhile; --listen IP:PORT names another");
        }
        Failure::environment(message).hint(format!(
            "all of its log is in {}",
            self.folder.file(LOG).display()
        ))
    }

    /// The last lines of its log, as the end of a sentence.
    fn log_end(&self) -> String {
        let log = fs::read(self.folder.file(LOG)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        let from = lines.len().saturating_sub(LOG_LINES);
        match lines.get(from..).unwrap_or_default() {
            [] => "; its log is empty".to_owned(),
            end => format!("; the end of its log:\n{}", end.join("\n")),
        }
    }

    /// Ends it now (SIGTERM), whatever it is doing.
    pub(crate) async fn stop(mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        // An Envoy that hangs is killed when this is dropped.
        let _ = timeout(END, self.end.wait_for(|ended| *ended)).await;
    }

    pub(crate) fn admin(&self) -> &Admin {
        &self.admin
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// Becomes true when the child ends. It is left for `Child` to reap.
fn end_of(child: &Child) -> watch::Receiver<bool> {
    let (tell, end) = watch::channel(false);
    let id = WaitId::Pid(Pid::from_child(child));
    thread::spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        // An error other than an interruption means that it was reaped already.
        while matches!(waitid(id.clone(), options), Err(rustix::io::Errno::INTR)) {}
        let _ = tell.send(true);
    });
    end
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill, and it is reaped already.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Waits until the Envoy of an `up` that was killed is gone, and takes its pid file, locked.
///
/// The kernel ends an Envoy with its `up`, but takes a moment; and it does not where the binary has
/// capabilities of its own (`setcap`), for that clears the request (prctl(2)). The lock belongs to
/// Envoy's standard input, so that whoever holds it is that Envoy, whatever became of its pid.
async fn outlive_predecessor(folder: &StateFolder) -> Result<File, Failure> {
    let path = folder.file(PID_FILE);
    let failed = |error: io::Error| {
        Failure::environment(format!("{} cannot be used: {error}", path.display()))
            .hint("look at the rights of the state folder")
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    let start = Instant::now();
    let mut killed = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        if start.elapsed() > END / 5 && !killed {
            let pid = fs::read_to_string(&path).map_err(failed)?;
            let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
            killed = pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok());
        }
        if start.elapsed() > END {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            return Err(Failure::environment(format!(
                "the Envoy of an `up` that was killed still runs (process {holder})"
            ))
            .hint("end that process, and start again"));
        }
        sleep(LOOK).await;
    }
}
