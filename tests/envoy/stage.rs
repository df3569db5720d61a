//! An Envoy between two upstreams that tell what reached them.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cutover_control::{
    AccessLog, Admin, Bootstrap, FileTarget, FromClients, ResourceOptions, Seen, Stats, resource,
};
use cutover_core::Color;
use cutover_harness::Envoy;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long anything may take before a test gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// An Envoy with two workers, and what it needs.
pub(crate) struct Stage {
    pub(crate) envoy: Envoy,
    pub(crate) target: FileTarget,
    pub(crate) blue: Upstream,
    pub(crate) green: Upstream,
    module: PathBuf,
    /// Environment of the VM: variable, value.
    keys: Vec<(&'static str, &'static str)>,
    folder: TempDir,
}

/// What to start, where it is not the usual.
pub(crate) struct Start {
    pub(crate) module: PathBuf,
    pub(crate) from_clients: FromClients,
    pub(crate) listeners: usize,
    pub(crate) keys: Vec<(&'static str, &'static str)>,
    pub(crate) edit: fn(&str) -> String,
    /// What is started in a folder.
    pub(crate) binary: fn(&Path) -> PathBuf,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            module: cutover_tests::module(),
            from_clients: FromClients::Kept,
            listeners: 1,
            keys: Vec::new(),
            edit: str::to_owned,
            binary: |_| cutover_tests::envoy(),
        }
    }
}

impl Start {
    /// Starts Envoy with this plugin configuration.
    pub(crate) async fn with(self, configuration: Value) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let ecds = folder.path().join("ecds/cutover.json");
        std::fs::create_dir(ecds.parent().unwrap()).unwrap();
        let file = resource(&self.module, &self.keys, configuration);
        std::fs::write(&ecds, file).unwrap();
        let (blue, green) = (
            Upstream::start("blue").await,
            Upstream::start("green").await,
        );
        let bootstrap = Bootstrap {
            listeners: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); self.listeners],
            blue: blue.address.into(),
            green: green.address.into(),
            ecds: ecds.clone(),
            access_log: AccessLog::File(folder.path().join("access.log")),
            from_clients: self.from_clients,
            ..Bootstrap::default()
        };
        let binary = (self.binary)(folder.path());
        let envoy = Envoy::start(&binary, folder.path(), 2, bootstrap, |yaml| {
            (self.edit)(&yaml)
        })
        .await;
        Stage {
            envoy: envoy.unwrap(),
            target: FileTarget::new(ecds),
            blue,
            green,
            module: self.module,
            keys: self.keys,
            folder,
        }
    }
}

impl Stage {
    pub(crate) async fn with(configuration: Value) -> Self {
        Start::default().with(configuration).await
    }

    /// The file that carries a plugin configuration.
    pub(crate) fn file(&self, configuration: Value) -> String {
        resource(&self.module, &self.keys, configuration)
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The same, with another module.
    pub(crate) fn file_with(&self, module: &Path, configuration: Value) -> String {
        resource(module, &self.keys, configuration)
    }

    /// Pushes a plugin configuration, and returns when Envoy's main thread is through with it.
    pub(crate) async fn push(&self, configuration: Value) {
        self.lay(self.file(configuration).as_bytes()).await;
    }

    /// Replaces the file by any bytes, and returns when Envoy's main thread is through with them.
    pub(crate) async fn lay(&self, bytes: &[u8]) {
        let before = self.stat("update_attempt").await;
        self.target.replace(bytes).unwrap();
        self.until("the file is read", async || {
            self.stat("update_attempt").await > before
        })
        .await;
    }

    /// A number of Envoy's about the filter's configuration.
    pub(crate) async fn stat(&self, name: &str) -> u64 {
        let name = format!("extension_config_discovery.http_filter.cutover.{name}");
        self.number(&name).await
    }

    /// A stat of Envoy; 0 when it is not there.
    pub(crate) async fn number(&self, name: &str) -> u64 {
        let text = self.admin("/stats").await;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map_or(0, |number| number.parse().unwrap())
    }

    /// Envoy's main thread answers nobody while it compiles a module, and on a busy machine that takes seconds.
    fn admin_interface(&self) -> Admin {
        self.envoy.admin().with_patience(DEADLINE)
    }

    /// A metric of the only service; 0 when it is not there.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let prefix = "wasmcustom.cutover.plugin.cutover.service.default";
        self.number(&format!("{prefix}.{name}")).await
    }

    pub(crate) async fn admin(&self, path: &str) -> String {
        let body = self.admin_interface().get(path).await.unwrap();
        String::from_utf8_lossy(&body).into_owned()
    }

    pub(crate) async fn stats(&self) -> Stats {
        self.admin_interface().stats(None).await.unwrap()
    }

    pub(crate) async fn seen(&self) -> Seen {
        self.admin_interface().seen("default").await.unwrap()
    }

    /// Generation and color that Envoy shows of the only service.
    pub(crate) async fn shows(&self) -> (Option<u64>, Option<Color>) {
        let seen = self.seen().await;
        (seen.generation, seen.active)
    }

    /// Waits until something is so.
    #[track_caller]
    pub(crate) fn until<'a>(
        &'a self,
        what: &'a str,
        mut is_so: impl AsyncFnMut() -> bool + 'a,
    ) -> impl Future<Output = ()> + 'a {
        let called = std::panic::Location::caller();
        async move {
            let deadline = Instant::now() + DEADLINE;
            while !is_so().await {
                let log = self.envoy.log_end();
                assert!(Instant::now() < deadline, "{called}: not so: {what}\n{log}");
                tokio::task::yield_now().await;
            }
        }
    }

    /// All that Envoy has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("envoy.log")).unwrap()
    }

    /// Waits for the line of the access log that has a text in it.
    #[track_caller]
    pub(crate) fn logged(&self, text: &'static str) -> impl Future<Output = String> + '_ {
        let wait = self.until("the access is logged", async move || {
            self.line(text).is_some()
        });
        async move {
            wait.await;
            self.line(text).unwrap()
        }
    }

    fn line(&self, text: &str) -> Option<String> {
        let log = std::fs::read_to_string(self.folder.path().join("access.log")).ok()?;
        log.lines()
            .find(|line| line.contains(text))
            .map(str::to_owned)
    }
}

fn resource(module: &Path, keys: &[(&str, &str)], configuration: Value) -> String {
    let file = resource::render(&ResourceOptions {
        module: module.to_owned(),
        configuration,
        environment: Vec::new(),
    });
    if keys.is_empty() {
        return file;
    }
    // `key_values` where the tool writes `host_env_keys`: this Envoy has an empty environment.
    let mut file: Value = serde_json::from_str(&file).unwrap();
    let keys: Value = keys
        .iter()
        .map(|(name, value)| (*name, json!(value)))
        .collect();
    file["resources"][0]["typed_config"]["config"]["vm_config"]["environment_variables"] =
        json!({ "key_values": keys });
    file.to_string()
}

/// The smallest configuration, with a generation.
pub(crate) fn switch(active: &str, generation: u64) -> Value {
    json!({ "active": active, "generation": generation, "blue": "blue", "green": "green" })
}

/// A configuration with more members.
pub(crate) fn and(mut configuration: Value, mut more: Value) -> Value {
    let members = configuration.as_object_mut().unwrap();
    members.append(more.as_object_mut().unwrap());
    configuration
}

/// Speaks HTTP/1.1 and HTTP/2; answers with its name and then the headers of the request, a line each,
/// once the request's body is complete, of which it says the length. On `/events` it repeats that whenever it
/// is told to; `/echo` sends the body back as it comes.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    begun: watch::Receiver<u64>,
    ticks: watch::Sender<u64>,
}

impl Upstream {
    async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, begun) = watch::channel(0);
        let (ticks, tick) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (requests, tick) = (requests.clone(), tick.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        requests.send_modify(|requests| *requests += 1);
                        answer(name, request, tick.clone())
                    });
                    let server = auto::Builder::new(TokioExecutor::new());
                    let connection = server.serve_connection(TokioIo::new(stream), service);
                    // It ends badly when Envoy is killed.
                    drop(connection.await);
                });
            }
        });
        Self {
            address,
            begun,
            ticks,
        }
    }

    /// Waits until the headers of so many requests have come.
    pub(crate) async fn has_begun(&self, requests: u64) {
        let mut begun = self.begun.clone();
        let wait = begun.wait_for(|begun| *begun >= requests);
        tokio::time::timeout(DEADLINE, wait).await.unwrap().unwrap();
    }

    /// Requests of which it got the headers so far.
    pub(crate) fn begun(&self) -> u64 {
        *self.begun.borrow()
    }

    /// Makes it send one more event on each stream of events.
    pub(crate) fn tick(&self) {
        self.ticks.send_modify(|ticks| *ticks += 1);
    }
}

async fn answer(
    name: &str,
    request: Request<Incoming>,
    mut tick: watch::Receiver<u64>,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let (head, body) = request.into_parts();
    let mut said = format!("{name}\n").into_bytes();
    for (name, value) in &head.headers {
        let line = [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"];
        said.extend_from_slice(&line.concat());
    }
    let said = Bytes::from(said);
    if head.uri.path() == "/events" {
        tick.mark_changed();
        let events = stream::unfold((said, tick), async |(said, mut tick)| {
            tick.changed().await.ok()?;
            Some((Ok(Frame::data(said.clone())), (said, tick)))
        });
        return Ok(Response::new(StreamBody::new(events).boxed_unsync()));
    }
    if head.uri.path() == "/echo" {
        let body = body.map_err(|error| unreachable!("{error}"));
        let response = Response::builder().header("x-by", name);
        return Ok(response.body(body.boxed_unsync()).unwrap());
    }
    let length = body.collect().await.map_or(0, |body| body.to_bytes().len());
    let said = [&said, format!("body-length: {length}\n").as_bytes()].concat();
    Ok(Response::new(Full::new(said.into()).boxed_unsync()))
}
