//! Envoy as a child process that cannot outlive its owner.

pub(crate) mod launcher;
mod threads;

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use cutover_control::{Admin, Bootstrap};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpSocket;

/// How long a start may take: compiling the module on a busy machine is most of it.
const START: Duration = Duration::from_mins(1);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Lines of its log that an error shows.
const LOG_LINES: usize = 12;

/// An Envoy that does not start, or does not do what it is told.
#[derive(Debug, thiserror::Error)]
pub enum EnvoyError {
    /// It could not be started, or its files could not be written.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// It ended by itself.
    #[error("Envoy ended by itself ({status}); the end of its log:\n{log}")]
    Exited {
        /// How.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// It runs, but is not ready for traffic.
    #[error("Envoy is not ready after {} s; the end of its log:\n{log}", waited.as_secs())]
    NotReady {
        /// How long was waited.
        waited: Duration,
        /// The last lines of its log.
        log: String,
    },
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> EnvoyError {
    let what = what.into();
    move |source| EnvoyError::Io { what, source }
}

/// A running Envoy; it is killed and reaped when this is dropped.
#[derive(Debug)]
#[must_use = "Envoy is killed when this is dropped"]
pub struct Envoy {
    binary: PathBuf,
    folder: PathBuf,
    workers: u32,
    environment: Vec<(OsString, OsString)>,
    child: Child,
    admin: Admin,
    listeners: Vec<SocketAddr>,
    /// Bound to the listeners' ports and never listening: without them the kernel may give a port
    /// to an outgoing connection while Envoy is down, and Envoy could not come back to it.
    _ports: Vec<TcpSocket>,
}

impl Envoy {
    /// Starts an Envoy and waits until it is ready.
    ///
    /// `folder` is where its files go, and its working directory. The admin interface and the
    /// listeners of `bootstrap` are replaced by as many on free ports of the loopback address.
    /// `edit` may change the bootstrap's text before it is written.
    ///
    /// # Errors
    /// When it cannot be started, ends by itself, or is not ready in a minute.
    pub async fn start(
        binary: &Path,
        folder: &Path,
        workers: u32,
        bootstrap: Bootstrap,
        edit: impl FnOnce(String) -> String,
    ) -> Result<Self, EnvoyError> {
        Self::start_with(&[], binary, folder, workers, bootstrap, edit).await
    }

    /// The same with an environment, which is empty else.
    ///
    /// # Errors
    /// As [`Envoy::start`].
    pub async fn start_with(
        environment: &[(OsString, OsString)],
        binary: &Path,
        folder: &Path,
        workers: u32,
        bootstrap: Bootstrap,
        edit: impl FnOnce(String) -> String,
    ) -> Result<Self, EnvoyError> {
        let mut ports = Vec::new();
        let mut listeners = Vec::new();
        for _ in 0..bootstrap.listeners.len().max(1) {
            let (port, address) = reserve_port().map_err(io_error("no free port"))?;
            ports.push(port);
            listeners.push(address);
        }
        let bootstrap = Bootstrap {
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            listeners: listeners.clone(),
            ..bootstrap
        };
        let file = folder.join("envoy.yaml");
        std::fs::write(&file, edit(bootstrap.render()))
            .map_err(io_error(format!("cannot write {}", file.display())))?;
        // Envoy runs in another folder than the one that a relative path is relative to.
        let binary = binary.canonicalize();
        let binary = binary.map_err(io_error("cannot find Envoy"))?;
        let child = launch(&binary, folder, workers, environment)?;
        let mut envoy = Self {
            binary,
            folder: folder.to_owned(),
            workers,
            environment: environment.to_owned(),
            child,
            // Replaced as soon as Envoy says where its admin interface is.
            admin: Admin::new(bootstrap.admin),
            listeners,
            _ports: ports,
        };
        envoy.until_ready().await?;
        Ok(envoy)
    }

    /// Kills it without warning and starts it again on the same ports.
    ///
    /// # Errors
    /// As [`Envoy::start`].
    pub async fn restart(&mut self) -> Result<(), EnvoyError> {
        self.kill().map_err(io_error("cannot kill Envoy"))?;
        self.child = launch(&self.binary, &self.folder, self.workers, &self.environment)?;
        self.until_ready().await
    }

    async fn until_ready(&mut self) -> Result<(), EnvoyError> {
        let deadline = Instant::now() + START;
        let announced = self.folder.join(ADMIN_ADDRESS);
        loop {
            if let Some(status) = self.child.try_wait().map_err(io_error("cannot wait"))? {
                return Err(EnvoyError::Exited {
                    status,
                    log: self.log_end(),
                });
            }
            let address = std::fs::read_to_string(&announced).ok();
            if let Some(address) = address.and_then(|text| text.trim().parse::<SocketAddr>().ok()) {
                self.admin = Admin::new(address);
                if self.admin.is_ready().await {
                    return Ok(());
                }
            }
            if Instant::now() > deadline {
                return Err(EnvoyError::NotReady {
                    waited: START,
                    log: self.log_end(),
                });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.remove_shared_memory();
        Ok(())
    }

    /// Hot restart keeps a file in shared memory that outlives an Envoy that is killed.
    fn remove_shared_memory(&self) {
        let id = std::fs::read_to_string(self.folder.join(BASE_ID)).unwrap_or_default();
        if let Ok(id) = id.trim().parse::<u64>() {
            // Envoy leaves room for ten restarts: its names hold ten times the id.
            let file = format!("/dev/shm/envoy_shared_memory_{}", id.saturating_mul(10));
            drop(std::fs::remove_file(file));
        }
    }

    /// Stops it where it stands (SIGSTOP): its sockets stay open and nobody answers.
    ///
    /// # Errors
    /// When it is gone.
    pub fn pause(&self) -> io::Result<()> {
        Ok(kill_process(self.pid(), Signal::STOP)?)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it is gone.
    pub fn resume(&self) -> io::Result<()> {
        Ok(kill_process(self.pid(), Signal::CONT)?)
    }

    /// Starves one worker of CPU time: pins it to one CPU beside busy threads, then frees it.
    ///
    /// # Errors
    /// When there is no such worker, or its threads cannot be moved.
    pub async fn starve(&self, worker: u32, time: Duration) -> io::Result<()> {
        let pid = self.child.id();
        tokio::task::spawn_blocking(move || threads::starve(pid, worker, time))
            .await
            .map_err(io::Error::other)?
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Its admin interface; another one after a restart.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Where its listeners listen, in order; the same after a restart.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// Worker threads.
    pub fn workers(&self) -> u32 {
        self.workers
    }

    /// Resident memory in bytes (`VmRSS`); none when it is gone.
    pub fn resident_memory(&self) -> Option<u64> {
        threads::resident_memory(self.child.id())
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The last lines of its log.
    pub fn log_end(&self) -> String {
        let log = std::fs::read(self.folder.join(LOG)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines
            .get(lines.len().saturating_sub(LOG_LINES)..)
            .unwrap_or_default()
            .join("\n")
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill, and it is reaped already.
        drop(self.kill());
    }
}

const ADMIN_ADDRESS: &str = "admin-address.txt";
const BASE_ID: &str = "base-id.txt";
const LOG: &str = "envoy.log";

fn launch(
    binary: &Path,
    folder: &Path,
    workers: u32,
    environment: &[(OsString, OsString)],
) -> Result<Child, EnvoyError> {
    // What a killed predecessor left would be taken for the new one's word.
    for old in [ADMIN_ADDRESS, BASE_ID] {
        match std::fs::remove_file(folder.join(old)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(format!("cannot remove {old}"))(error));
            }
            _ => {}
        }
    }
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(LOG))
        .map_err(io_error("cannot open Envoy's log"))?;
    let log_again = log
        .try_clone()
        .map_err(io_error("cannot open Envoy's log"))?;
    let mut command = Command::new(binary);
    command
        .args([
            "-c",
            "envoy.yaml",
            "--use-dynamic-base-id",
            "--log-level",
            "warning",
        ])
        .args([
            "--base-id-path",
            BASE_ID,
            "--admin-address-path",
            ADMIN_ADDRESS,
        ])
        .args(["--concurrency", &workers.to_string()])
        // Access logs are read while it runs; Envoy's own interval is 10 s.
        .args(["--file-flush-interval-msec", "50"])
        .current_dir(folder)
        // Ctrl-C in a terminal is for this process, which ends its children in order.
        .process_group(0)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_again);
    launcher::spawn(command).map_err(io_error(format!("cannot start {}", binary.display())))
}

/// Binds a free port so that Envoy, and nobody else, can listen on it.
fn reserve_port() -> io::Result<(TcpSocket, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}
