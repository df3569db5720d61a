//! What the story happens on: a plugin that is installed, a load on all gateways, the tool, and what can go wrong.

use crate::bed::{Bed, deadline};
use cutover_checker::Certificate;
use cutover_harness::{Fleet, FleetPlan, FleetSummary, NotedFlip, Place};
use cutover_history::{Color, Operation, PushKind, Reader, Scope, Writer};
use http_body_util::Empty;
use hyper::Request;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::BufReader,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::process::{Child, Command};

#[path = "stage/staged.rs"]
pub(crate) mod staged;

const HOST: &str = "shop.example";
/// Requests a second to each proxy, and to all of them: more would take the machine from the proxies.
const RATE: f64 = 40.0;
const RATE_OF_ALL: f64 = 600.0;
/// The same of pods: a request passes two sidecars of the client and the application, and the machine runs a cluster beside.
const RATE_OF_PODS: f64 = 160.0;
/// What the load claims to see: nothing that is shorter, and of pods, which share a machine with a cluster, still less.
const WINDOW: Duration = Duration::from_secs(1);
const WINDOW_OF_PODS: Duration = Duration::from_secs(2);
/// How long the load goes on between one flip and the next.
const REST: Duration = Duration::from_millis(1500);

/// The stage.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) bed: Bed,
    target: &'static str,
    fleet: Option<Fleet>,
    folder: TempDir,
}

/// What the tool said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) answer: Value,
    pub(crate) all: String,
}

impl Stage {
    /// Installs the plugin, waits until every gateway has it, and begins the load.
    pub(crate) async fn open(bed: Bed) -> Self {
        let module = cutover_tests::target().join("cutover.wasm");
        let module = module.canonicalize().unwrap();
        bed.apply(
            &json!({
                "apiVersion": "extensions.istio.io/v1alpha1",
                "kind": "TrafficExtension",
                "metadata": { "name": "story", "namespace": "shop" },
                "spec": {
                    "selector": { "matchLabels": { "istio": "ingressgateway" } },
                    "wasm": {
                        "url": format!("file://{}", module.display()),
                        "pluginName": "cutover",
                        "failStrategy": "FAIL_RELOAD",
                        "pluginConfig": {
                            "services": { "shop": {
                                "hosts": [HOST],
                                "active": "blue",
                                "generation": 1,
                                "blue": { "header": "blue" },
                                "green": { "header": "green" },
                                "override": { "header": "x-cutover-override", "unsigned": true },
                            } },
                            "expose": { "response_header": true },
                        },
                    },
                },
            }),
            &[],
        );
        let mut stage = Self {
            bed,
            target: "k8s:shop/story",
            fleet: None,
            folder: tempfile::tempdir().unwrap(),
        };
        let wait = ["wait", "--generation", "1", "--deadline", "60s"];
        stage.cutover(&wait).await.exits_with(0);
        stage.load_again().await;
        stage
    }

    /// Begins a load on all gateways of the bed; what went before is another history.
    pub(crate) async fn load_again(&mut self) {
        let places = self.bed.proxies().into_iter();
        let places = places.map(|(name, address)| place(&name, &address));
        self.load_on(places.collect(), RATE_OF_ALL, WINDOW).await;
    }

    /// A stage on which somebody else has installed the plugin, whose proxies the tool finds by itself.
    pub(crate) async fn over(bed: Bed, target: &'static str, places: Vec<Place>) -> Self {
        let mut stage = Self {
            bed,
            target,
            fleet: None,
            folder: tempfile::tempdir().unwrap(),
        };
        let wait = ["wait", "--generation", "1", "--deadline", "60s"];
        stage.cutover(&wait).await.exits_with(0);
        stage.load_on(places, RATE_OF_PODS, WINDOW_OF_PODS).await;
        stage
    }

    async fn load_on(&mut self, places: Vec<Place>, of_all: f64, window: Duration) {
        let proxies = u32::try_from(places.len()).unwrap();
        let mut plan = FleetPlan::new(places, self.history());
        "shop".clone_into(&mut plan.service);
        plan.per_second = RATE.min(of_all / f64::from(proxies));
        plan.window = window;
        // A gateway's first configuration comes in pieces: its routes may be the last of them.
        plan.patience = Duration::from_secs(20);
        self.fleet = Some(Fleet::start(plan).await.unwrap());
    }

    /// Ends the load, and says where its history is.
    pub(crate) async fn close(&mut self) -> (FleetSummary, PathBuf) {
        let fleet = self.fleet.take().unwrap();
        (fleet.finish().await.unwrap(), self.history())
    }

    fn history(&self) -> PathBuf {
        self.folder.path().join("history.jsonl")
    }

    fn fleet(&mut self) -> &mut Fleet {
        self.fleet.as_mut().unwrap()
    }

    fn load(&self) -> &Fleet {
        self.fleet.as_ref().unwrap()
    }

    /// The proxies that the load asks.
    pub(crate) fn names(&self) -> Vec<String> {
        let shows = self.load().shows().into_iter();
        shows.map(|one| one.proxy).collect()
    }

    /// How many gateways the load asks.
    pub(crate) fn proxies(&self) -> usize {
        self.load().shows().len()
    }

    /// The color that answers one request to a gateway.
    pub(crate) async fn ask(&self, proxy: usize, header: Option<(&str, &str)>) -> Color {
        let (_, address) = self.bed.proxies().swap_remove(proxy);
        let mut request = Request::get(format!("http://{address}/")).header("host", HOST);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
        let answer = client.request(request.body(Empty::new()).unwrap()).await;
        let answer = answer.unwrap();
        match answer.headers().get("x-backend-color").unwrap().as_bytes() {
            b"blue" => Color::Blue,
            b"green" => Color::Green,
            other => panic!("{other:?}"),
        }
    }

    /// Runs the tool on the plugin and all gateways of the bed.
    pub(crate) async fn cutover(&self, arguments: &[&str]) -> Said {
        let output = self.started(arguments).wait_with_output().await.unwrap();
        Said::of(arguments, &output)
    }

    /// The tool, started and not waited for; it is killed when this is dropped.
    pub(crate) fn started(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(cutover_tests::target().join("release/cutover"));
        command.args(arguments).args(["--output", "json"]);
        command.args(["--target", self.target]);
        command.env_clear().env("HOME", self.folder.path());
        let admins = self.bed.admins();
        if !admins.is_empty() {
            command.env("CUTOVER_ADMIN", admins);
        }
        command.env("KUBECONFIG", self.bed.text("/kubeconfig"));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// Runs a flip that has to succeed, notes it, and says its generation.
    pub(crate) async fn switched(&mut self, arguments: &[&str], color: Color) -> u64 {
        let invoked = Instant::now();
        let said = self.cutover(arguments).await;
        said.exits_with(0);
        let generation = said.generation();
        self.note(generation, color, invoked).await;
        generation
    }

    /// Notes a flip that all gateways show by now, as whoever asked them says.
    pub(crate) async fn note(&mut self, generation: u64, color: Color, invoked: Instant) {
        let acknowledged = Some(Instant::now());
        let shown = self.load().shown_by_all(generation, deadline()).await;
        shown.unwrap();
        assert!(
            self.all_show(generation, color),
            "{:?}",
            self.load().shows()
        );
        let flip = NotedFlip {
            generation,
            color,
            invoked,
            acknowledged,
        };
        self.fleet().note(flip).await;
        tokio::time::sleep(REST).await;
    }

    /// Whether the last answers of all gateways were decided by this switch.
    pub(crate) fn all_show(&self, generation: u64, color: Color) -> bool {
        let shows = self.load().shows();
        shows
            .iter()
            .all(|one| one.generation == Some(generation) && one.color == Some(color))
    }

    /// The generation that the API server has.
    pub(crate) fn generation(&self) -> u64 {
        let path = "--output=jsonpath={.spec.wasm.pluginConfig.services.shop.generation}";
        let (namespace, name) = self.plugin();
        let get = [
            "get",
            "--namespace",
            namespace,
            "trafficextension",
            name,
            path,
        ];
        self.bed.kubectl_says(&get).parse().unwrap()
    }

    /// The plugin and its events, as `kubectl describe` shows them.
    pub(crate) fn described(&self) -> String {
        let (namespace, name) = self.plugin();
        let describe = ["--namespace", namespace, "describe", "trafficextension"];
        self.bed.kubectl_says(&[&describe[..], &[name]].concat())
    }

    fn plugin(&self) -> (&str, &str) {
        let name = self.target.strip_prefix("k8s:").unwrap();
        name.split_once('/').unwrap()
    }

    /// Writes the switch as somebody who edits the plugin by hand.
    pub(crate) fn patch(&self, switch: &Value) {
        let patch =
            json!({ "spec": { "wasm": { "pluginConfig": { "services": { "shop": switch } } } } });
        let patch = format!("--patch={patch}");
        let (namespace, name) = self.plugin();
        let plugin = ["patch", "--namespace", namespace, "trafficextension", name];
        self.bed
            .kubectl_says(&[&plugin[..], &["--type=merge", &patch]].concat());
    }

    /// Writes the switch by server-side apply.
    fn applied(&self, manager: &str, switch: &Value) {
        let config = json!({ "services": { "shop": switch } });
        let plugin = json!({
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "TrafficExtension",
            "metadata": { "name": "story", "namespace": "shop" },
            "spec": { "wasm": { "pluginConfig": config } },
        });
        let manager = format!("--field-manager={manager}");
        self.bed.apply(&plugin, &[&manager, "--force-conflicts"]);
    }

    /// The same as a controller does it that follows Git: the whole fleet takes it.
    pub(crate) async fn applied_by(&mut self, manager: &str, switch: &Value, color: Color) {
        let invoked = Instant::now();
        self.applied(manager, switch);
        let generation = switch.get("generation").and_then(Value::as_u64).unwrap();
        let shown = self.load().shown_by_all(generation, deadline()).await;
        shown.unwrap();
        self.note(generation, color, invoked).await;
    }

    /// Waits until every gateway has refused a push since it had refused this many.
    pub(crate) async fn refused_everywhere(&self, before: &[u64]) {
        self.more_everywhere("update_rejected", before).await;
    }

    /// Waits until every gateway has taken a push since it had taken this many.
    pub(crate) async fn taken_everywhere(&self, before: &[u64]) {
        self.more_everywhere("config_reload", before).await;
    }

    /// How many pushes of the plugin each gateway has refused.
    pub(crate) async fn refused(&self) -> Vec<u64> {
        self.counted("update_rejected").await
    }

    /// How many pushes of the plugin each gateway has taken.
    pub(crate) async fn taken(&self) -> Vec<u64> {
        self.counted("config_reload").await
    }

    async fn more_everywhere(&self, stat: &str, before: &[u64]) {
        let began = Instant::now();
        loop {
            let now = self.counted(stat).await;
            if now.iter().zip(before).all(|(now, before)| now > before) {
                return;
            }
            assert!(began.elapsed() < deadline(), "{stat}: {before:?}, {now:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What Envoy counts of the plugin's configuration, at each gateway.
    async fn counted(&self, stat: &str) -> Vec<u64> {
        let path = format!("/stats?filter=^extension_config_discovery.*shop.story.{stat}$");
        let said = self.asked(&path).await.into_iter();
        said.map(|said| {
            let count = said.trim().rsplit(' ').next().unwrap();
            count.parse().unwrap_or_else(|_| panic!("{said}"))
        })
        .collect()
    }

    /// What the admin interface of each gateway says.
    async fn asked(&self, path: &str) -> Vec<String> {
        let mut answers = vec![];
        for admin in self.bed.admins().split(',') {
            let address: SocketAddr = admin.parse().unwrap();
            // Envoy's main thread answers nobody while it is busy with a push.
            let admin = cutover_control::Admin::new(address).with_patience(deadline());
            let said = admin.get(path).await;
            answers.push(String::from_utf8(said.unwrap().to_vec()).unwrap());
        }
        answers
    }

    /// Kills a process of the control plane.
    pub(crate) fn stop(&mut self, process: &str) {
        self.bed.tell(&["stop", process, "--kill"]);
    }

    /// Starts it again.
    pub(crate) fn start(&mut self, process: &str) {
        self.bed.tell(&["start", process]);
    }

    /// Lets the load make this many more requests of each gateway.
    pub(crate) async fn lives_on(&self, requests: usize) {
        let tally = self.load().tally();
        let more = u64::try_from(requests * self.proxies()).unwrap();
        let wanted = tally.requests() + more;
        let start = Instant::now();
        while tally.requests() < wanted {
            assert!(start.elapsed() < deadline(), "the load stands still");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// One more gateway.
    pub(crate) async fn one_more_gateway(&mut self) {
        let before = self.bed.proxies().len();
        self.bed.tell(&["add-proxy"]);
        let proxies = self.bed.proxies();
        assert_eq!(proxies.len(), before + 1);
        let (name, address) = proxies.last().unwrap();
        self.joined(place(name, address)).await;
    }

    /// A proxy that comes later: it is asked from its first answer on.
    pub(crate) async fn joined(&mut self, place: Place) {
        let name = place.name().to_owned();
        self.fleet().join(place).unwrap();
        let start = Instant::now();
        while !self.load().has_come(&name) {
            assert!(start.elapsed() < deadline(), "{name} does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Said {
    pub(crate) fn of(arguments: &[&str], output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (result, told) = (text(&output.stdout), text(&output.stderr));
        Self {
            code: output.status.code().unwrap(),
            answer: serde_json::from_str(&result).unwrap_or_default(),
            all: format!("{arguments:?}\n{result}{told}"),
        }
    }

    #[track_caller]
    pub(crate) fn exits_with(&self, code: i32) {
        assert_eq!(self.code, code, "{}", self.all);
    }

    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        assert!(self.all.contains(words), "no `{words}` in {}", self.all);
    }

    /// How many proxies `status` has found.
    #[track_caller]
    pub(crate) fn proxies(&self) -> usize {
        let proxies = self.answer.get("envoys").and_then(Value::as_array);
        proxies.unwrap_or_else(|| panic!("{}", self.all)).len()
    }

    /// The generation that was written.
    #[track_caller]
    pub(crate) fn generation(&self) -> u64 {
        let generation = self.answer.get("generation").and_then(Value::as_u64);
        generation.unwrap_or_else(|| panic!("{}", self.all))
    }
}

fn place(name: &str, address: &str) -> Place {
    let place = Place::parse(&format!("http://{address}/")).unwrap();
    place.asking_for(HOST).unwrap().named(name.to_owned())
}

/// What the checker makes of a history, over the fleet; or over each proxy by itself, of those that were there from the
/// beginning: what another was given before it came is not in the history.
pub(crate) fn judged(history: &Path, scope: Scope) -> Certificate {
    let open = |path: &Path| Reader::new(BufReader::new(File::open(path).unwrap())).unwrap();
    let operations: Vec<_> = open(history).map(Result::unwrap).collect();
    let mut header = open(history).header().clone();
    header.scope = scope;
    if scope == Scope::Proxy {
        let installed = operations.iter().filter(|operation| {
            matches!(operation, Operation::Push(push) if push.kind == PushKind::Install)
        });
        header.proxies.truncate(installed.count());
    }
    let proxies = u32::try_from(header.proxies.len()).unwrap();
    let other = history.with_extension("scope");
    let mut writer = Writer::new(File::create(&other).unwrap(), header).unwrap();
    for operation in operations {
        let proxy = match &operation {
            Operation::Request(request) => request.proxy,
            Operation::Push(push) => push.proxy,
            Operation::Weather(weather) => weather.proxy,
        };
        if proxy < proxies {
            writer.write(&operation).unwrap();
        }
    }
    writer.finish().unwrap();
    Certificate::of("history.jsonl", open(&other)).unwrap()
}
