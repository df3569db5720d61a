//! A fleet of Envoys on this machine, whose one configuration file reaches each of them when it likes, and whose clocks
//! are wrong.

mod push;
mod wait;
mod wrong;

pub use wait::{Waited, Waits};
pub use wrong::WrongClock;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cutover_control::{AccessLog, Bootstrap, FileTarget, FromClients};
use cutover_history::Color;
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};

use crate::backend::Backend;
use crate::envoy::{Envoy, EnvoyError};
use crate::fleet::{InvalidPlace, Place};
use crate::site::{State, core};
use push::Pushes;

/// The color that is active at first.
const FIRST: Color = Color::Blue;
/// Envoys that are started side by side: each compiles the module.
const AT_ONCE: usize = 2;

/// What a fleet on this machine is to be.
#[derive(Clone, Debug)]
pub struct LocalPlan {
    /// The Envoy to run.
    pub envoy: PathBuf,
    /// The module to run in it.
    pub module: PathBuf,
    /// Where its files go. The folder must be there, and empty.
    pub folder: PathBuf,
    /// Envoys, each with one listener.
    pub proxies: u32,
    /// Worker threads of each.
    pub workers: u32,
    /// The longest time that a new version of the file takes to an Envoy. Each takes its own, from 0 on.
    pub skew: Duration,
    /// Where the delays come from.
    pub seed: u64,
    /// The library that makes a clock wrong (`scripts/get-clock`); without it all clocks are right.
    pub clock: Option<PathBuf>,
}

/// Envoys on this machine with one configuration file for all of them; killed and reaped when this is dropped.
///
/// Its tasks belong to the runtime that it was started in.
#[derive(Debug)]
#[must_use = "its Envoys are killed when this is dropped"]
pub struct LocalFleet {
    plan: LocalPlan,
    target: FileTarget,
    members: Vec<Member>,
    pushes: Pushes,
    blue: Backend,
    green: Backend,
}

/// A fleet that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Envoy does not start, or is gone.
    #[error(transparent)]
    Envoy(#[from] EnvoyError),
    /// A file or a process cannot be handled.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A listener's address that nobody can ask.
    #[error(transparent)]
    Place(#[from] InvalidPlace),
}

/// One Envoy of it.
#[derive(Debug)]
struct Member {
    name: String,
    folder: PathBuf,
    envoy: Envoy,
    /// Its admin interface; the same after a restart.
    admin: SocketAddr,
    clock: WrongClock,
}

impl LocalFleet {
    /// Starts the Envoys with blue as generation 1, and returns when all take traffic.
    ///
    /// # Errors
    /// An Envoy that does not start, a file that cannot be written.
    pub async fn start(plan: LocalPlan) -> Result<Self, LocalError> {
        let module = plan.module.canonicalize()?;
        let target = FileTarget::new(plan.folder.join("cutover.json"));
        let file = State::install(&module.to_string_lossy(), 1, FIRST).file;
        std::fs::write(target.path(), &file)?;
        let (blue, green) = (
            Backend::start(Color::Blue).await?,
            Backend::start(Color::Green).await?,
        );
        let starting = (0..plan.proxies).map(|index| {
            let (plan, file) = (&plan, file.as_slice());
            let backends = (&blue, &green);
            async move { Member::start(index, plan, file, backends).await }
        });
        let members: Vec<Member> = iter(starting).buffered(AT_ONCE).try_collect().await?;
        let mut pushes = Pushes::watch(target.path(), file, plan.skew, plan.seed);
        for member in &members {
            pushes.reach(member.watched());
        }
        Ok(Self {
            plan,
            target,
            members,
            pushes,
            blue,
            green,
        })
    }

    /// The configuration file of the whole fleet.
    pub fn target(&self) -> &FileTarget {
        &self.target
    }

    /// Admin addresses, in order; the same after a restart.
    pub fn admins(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.admin).collect()
    }

    /// Where a load asks, in order.
    ///
    /// # Errors
    /// None that is known: a listener has an address.
    pub fn places(&self) -> Result<Vec<Place>, LocalError> {
        self.members.iter().map(Member::place).collect()
    }

    /// One Envoy.
    pub fn envoy(&self, index: usize) -> Option<&Envoy> {
        self.members.get(index).map(|member| &member.envoy)
    }

    /// How wrong an Envoy's clock is.
    pub fn clock(&self, index: usize) -> Option<WrongClock> {
        self.members.get(index).map(|member| member.clock)
    }

    /// Makes an Envoy's clock wrong from now on. Without the library of the plan nothing changes.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn set_clock(&mut self, index: usize, clock: WrongClock) -> io::Result<()> {
        if let Some(member) = self.members.get_mut(index) {
            clock.write(&clock_file(&member.folder))?;
            member.clock = clock;
        }
        Ok(())
    }

    /// Brings an Envoy nothing new until [`LocalFleet::let_through`], as a control plane does that has lost it.
    pub fn withhold(&mut self, index: usize) {
        self.pushes.withhold(index, true);
    }

    /// Brings it everything again, what it has missed first of all.
    pub fn let_through(&mut self, index: usize) {
        self.pushes.withhold(index, false);
    }

    /// Kills an Envoy and starts it again on its ports, with the file that it had. Says when it was killed and when it
    /// took traffic again.
    ///
    /// # Errors
    /// An Envoy that does not start again.
    pub async fn restart(&mut self, index: usize) -> Result<(Instant, Instant), LocalError> {
        let from = Instant::now();
        if let Some(member) = self.members.get_mut(index) {
            member.envoy.restart().await?;
        }
        Ok((from, Instant::now()))
    }

    /// Adds an Envoy that starts with what the fleet's file says now.
    ///
    /// # Errors
    /// As [`LocalFleet::start`].
    pub async fn add(&mut self) -> Result<Place, LocalError> {
        let index = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let file = std::fs::read(self.target.path())?;
        let member = Member::start(index, &self.plan, &file, (&self.blue, &self.green)).await?;
        self.pushes.reach(member.watched());
        let place = member.place()?;
        self.members.push(member);
        Ok(place)
    }

    /// How long requests have waited in the Envoys so far, by their access logs.
    ///
    /// # Errors
    /// A log that cannot be read.
    pub fn waits(&self) -> io::Result<Waits> {
        let mut waits = Waits::default();
        for member in &self.members {
            let log = std::fs::read_to_string(member.folder.join(ACCESS_LOG))?;
            waits.read(&log, member.clock);
        }
        Ok(waits)
    }
}

const ACCESS_LOG: &str = "access.log";

impl Member {
    async fn start(
        index: u32,
        plan: &LocalPlan,
        file: &[u8],
        (blue, green): (&Backend, &Backend),
    ) -> Result<Self, LocalError> {
        let name = format!("envoy-{index}");
        let folder = plan.folder.join(&name);
        let watched = folder.join("config");
        std::fs::create_dir_all(&watched)?;
        let ecds = watched.join("cutover.json");
        std::fs::write(&ecds, file)?;
        let clock = WrongClock::default();
        clock.write(&clock_file(&folder))?;
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let bootstrap = Bootstrap {
            admin: local,
            listeners: vec![local],
            blue: blue.address().into(),
            green: green.address().into(),
            ecds,
            active_at_install: core(FIRST),
            access_log: AccessLog::File(ACCESS_LOG.into()),
            from_clients: FromClients::Kept,
            ..Bootstrap::default()
        };
        let environment = plan.clock.as_ref().map_or_else(Vec::new, |library| {
            vec![
                (OsString::from("LD_PRELOAD"), library.into()),
                (OsString::from("CUTOVER_CLOCK"), clock_file(&folder).into()),
            ]
        });
        let (binary, workers) = (&plan.envoy, plan.workers);
        let edit = |yaml: String| wait::logged(&yaml);
        let started = Envoy::start_with(&environment, binary, &folder, workers, bootstrap, edit);
        let envoy = started.await?;
        let admin = envoy.admin().address();
        keep_admin(&folder.join("envoy.yaml"), admin)?;
        Ok(Self {
            name,
            folder,
            envoy,
            admin,
            clock,
        })
    }

    /// The file that its Envoy reads.
    fn watched(&self) -> PathBuf {
        self.folder.join("config/cutover.json")
    }

    fn place(&self) -> Result<Place, LocalError> {
        let address = self.envoy.listeners().first();
        let address = address.map_or_else(String::new, ToString::to_string);
        Ok(Place::parse(&format!("http://{address}/"))?.named(&self.name))
    }
}

fn clock_file(folder: &Path) -> PathBuf {
    folder.join("clock")
}

/// Writes the admin port that the system has given into the bootstrap, so that it is the same after a restart: a tool
/// knows an Envoy by it.
fn keep_admin(bootstrap: &Path, admin: SocketAddr) -> io::Result<()> {
    let yaml = std::fs::read_to_string(bootstrap)?;
    let port = format!("port_value: {}", admin.port());
    std::fs::write(bootstrap, yaml.replacen("port_value: 0", &port, 1))
}
