//! A whole run: start, load, flips and weather, stop, history.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use cutover_control::unix_ms;
use cutover_history::{Color, Contents, FORMAT, Header, Kind, Operation, Versions, Writer};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::backend::Backend;
use crate::clock::Clock;
use crate::drive::{Drive, Watch};
use crate::load;
use crate::plan::Plan;
use crate::recorder::{Tally, recording};
use crate::site::{Common, SERVICE, Site, SiteError, State};
use crate::summary::{Counter, Counts, Phase, Progress, Summary};

/// The color that is active at first.
const FIRST: Color = Color::Blue;

/// A run that could not be made or finished.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The plan asks for nothing that can be run.
    #[error("the plan has no {0}; at least one is needed")]
    Nothing(&'static str),
    /// The module cannot be read.
    #[error("cannot read the module {}: {source}", path.display())]
    Module {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The history cannot be written.
    #[error("cannot write the history {}: {source}", path.display())]
    History {
        /// Where it should go.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A backend, a folder or a thread cannot be had.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A proxy does not do what it is told.
    #[error(transparent)]
    Site(#[from] SiteError),
}

/// Makes a run and writes its history.
///
/// When it returns, also with an error, no client runs and every child is reaped. A run that was
/// ended by [`Plan::stop`] returns a summary of what it came to until then.
///
/// # Errors
/// When something cannot be started, the history cannot be written, or a proxy is lost for good.
/// What a proxy decides, however wrong, is no error but a matter of the history.
pub async fn run(plan: &Plan, progress: &dyn Progress) -> Result<Summary, RunError> {
    for (count, what) in [
        (plan.proxies, "proxies"),
        (plan.workers, "workers"),
        (plan.listeners, "listeners"),
    ] {
        if count == 0 {
            return Err(RunError::Nothing(what));
        }
    }
    let tally = Arc::new(Tally::default());
    let watch = Watch {
        progress,
        tally: Arc::clone(&tally),
        of: plan.flips,
    };
    watch.show(Phase::Starting, 0);
    let folder = tempfile::tempdir()?;
    let (module, module_sha256) = copy_module(&plan.module, folder.path())?;
    let blue = Backend::start(Color::Blue).await?;
    let green = Backend::start(Color::Green).await?;
    let clock = Clock::start();
    let started_at = jiff::Timestamp::now().to_string();
    let common = Common {
        workers: plan.workers,
        listeners: plan.listeners,
        blue: blue.address().into(),
        green: green.address().into(),
        clock,
        deadline: plan.deadline,
    };
    let first = State::install(&module.to_string_lossy(), unix_ms(), FIRST);
    let (sites, installs) = start_sites(plan, folder.path(), &first, &common).await?;

    let header = header(plan, started_at, module_sha256, &sites).await?;
    let (recorder, batches) = recording(Arc::clone(&tally));
    let history = plan.history.clone();
    let failed = |source| RunError::History {
        path: plan.history.clone(),
        source,
    };
    let writer = Writer::new(File::create(&history).map_err(failed)?, header).map_err(failed)?;
    let writing = tokio::task::spawn_blocking(move || write(writer, batches));

    let addresses: Vec<_> = sites
        .iter()
        .map(|site| site.envoy.listeners().to_vec())
        .collect();
    let stop_load = plan.stop.child_token();
    let loaded = Instant::now();
    let clients = load::start(
        &plan.load, plan.seed, &addresses, clock, &recorder, &stop_load,
    );
    let mut drive = Drive {
        plan,
        clock,
        sites,
        recorder,
        watch,
        active: FIRST,
        flips: 0,
        unacknowledged: 0,
        memory: Vec::new(),
        troubles: Vec::new(),
    };
    for install in installs {
        drive.recorder.record(install).await;
    }
    let driven = drive.all().await;
    let interrupted = plan.stop.is_cancelled();
    drive.watch.show(Phase::Finishing, drive.flips);
    stop_load.cancel();
    clients.join_all().await;
    let lasted = loaded.elapsed();
    let mut shown = Vec::new();
    for site in &drive.sites {
        shown.push(site.shown().await);
    }
    drive.recorder.flush().await;
    let Drive {
        flips,
        unacknowledged,
        memory,
        troubles,
        sites,
        recorder,
        ..
    } = drive;
    // The writer ends when nobody can record any more.
    drop(recorder);
    drop(sites);
    let (contents, counts) = writing
        .await
        .map_err(|error| failed(io::Error::other(error)))?
        .map_err(failed)?;
    driven?;
    Ok(Summary {
        history,
        contents,
        counts,
        flips,
        unacknowledged,
        memory,
        shown,
        troubles,
        interrupted,
        lasted,
    })
}

/// Copies the module, so that what is judged cannot change while it runs. Gives its SHA-256.
fn copy_module(module: &Path, folder: &Path) -> Result<(PathBuf, String), RunError> {
    let failed = |source| RunError::Module {
        path: module.to_owned(),
        source,
    };
    let bytes = std::fs::read(module).map_err(failed)?;
    let copy = folder.join("cutover.wasm");
    std::fs::write(&copy, &bytes)?;
    let mut digest = String::with_capacity(64);
    for byte in Sha256::digest(&bytes) {
        // Writing to a string can't fail.
        let _ = write!(digest, "{byte:02x}");
    }
    Ok((copy, digest))
}

/// Starts all proxies at the same time.
async fn start_sites(
    plan: &Plan,
    folder: &Path,
    first: &State,
    common: &Common,
) -> Result<(Vec<Site>, Vec<Operation>), RunError> {
    let mut starting = JoinSet::new();
    for index in 0..plan.proxies {
        let folder = folder.join(format!("proxy-{index}"));
        std::fs::create_dir(&folder)?;
        let (envoy, first, common) = (plan.envoy.clone(), first.clone(), common.clone());
        starting.spawn(async move { Site::start(index, &envoy, &folder, first, common).await });
    }
    let mut started = Vec::new();
    while let Some(site) = starting.join_next().await {
        started.push(site.map_err(io::Error::other)??);
    }
    started.sort_by_key(|(site, _)| site.index());
    Ok(started.into_iter().unzip())
}

async fn header(
    plan: &Plan,
    started_at: String,
    module_sha256: String,
    sites: &[Site],
) -> Result<Header, RunError> {
    let mut envoy = String::new();
    if let Some(site) = sites.first() {
        envoy = site
            .envoy
            .admin()
            .version()
            .await
            .map_err(SiteError::from)?;
    }
    let proxy = |site: &Site| cutover_history::Proxy {
        name: format!("envoy-{}", site.index()),
        workers: site.envoy.workers(),
        listeners: plan.listeners,
    };
    Ok(Header {
        cutover_history: FORMAT,
        seed: plan.seed,
        started_at,
        versions: Versions {
            cutover: env!("CARGO_PKG_VERSION").to_owned(),
            envoy,
        },
        module_sha256,
        service: SERVICE.to_owned(),
        scope: plan.scope,
        window_ns: crate::clock::nanos(plan.window),
        flips: Some(plan.flips),
        inferred: Vec::new(),
        proxies: sites.iter().map(proxy).collect(),
        command: plan.command.clone(),
    })
}

/// What was written, and the requests of each kind.
type Finished = (Contents, Vec<(Kind, Counts)>);

/// Writes batches until no client is left.
fn write(
    mut writer: Writer<File>,
    mut batches: mpsc::Receiver<Vec<Operation>>,
) -> io::Result<Finished> {
    let mut counter = Counter::default();
    while let Some(batch) = batches.blocking_recv() {
        for operation in &batch {
            counter.add(operation);
            writer.write(operation)?;
        }
    }
    let (contents, file) = writer.finish()?;
    file.sync_all()?;
    Ok((contents, counter.counts()))
}
