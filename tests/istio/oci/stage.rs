//! Three proxies, each with an agent of its own and the module from a registry; they differ in the failStrategy.

use super::traffic::Traffic;
use crate::bed::{Bed, deadline};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What the plugins of the proxies say, in their order.
const STRATEGIES: [&str; 3] = ["FAIL_RELOAD", "FAIL_CLOSE", "FAIL_OPEN"];

/// What a request gets from a proxy of each strategy, in that order, when its agent could not get the module: nothing,
/// or what the route says that catches all.
pub(crate) const WITHOUT_THE_MODULE: [&str; 3] = ["403", "403", "blue"];

/// What it gets when the module decides, and green is active.
pub(crate) const GREEN: [&str; 3] = ["green"; 3];

/// What it gets when blue is active. From the proxy that fails open it does not tell who decided.
pub(crate) const BLUE: [&str; 3] = ["blue"; 3];

/// Where a plugin takes the module from.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) url: String,
    pub(crate) policy: &'static str,
    pub(crate) sha256: Option<String>,
}

/// The stage.
#[derive(Debug)]
pub(crate) struct Stage {
    traffic: Vec<Traffic>,
    bed: Bed,
    packaged: TempDir,
    generation: u64,
}

impl Stage {
    /// Starts the bed, packages the module, and pushes it with its bill of materials.
    pub(crate) fn open() -> Self {
        let bed = Bed::up(&["--agent", "--proxies", "3", "--workers", "1"]);
        let proxies = bed.proxies().into_iter();
        let traffic = proxies.map(|(_, address)| Traffic::to(address.parse().unwrap()));
        let stage = Self {
            traffic: traffic.collect(),
            bed,
            packaged: tempfile::tempdir().unwrap(),
            generation: 0,
        };
        stage.package(&cutover_tests::module(), "good");
        stage.push("good/image", "cutover:1");
        stage.push("good/sbom", "cutover:1.sbom");
        stage
    }

    /// Packages a module under a name.
    pub(crate) fn package(&self, module: &Path, name: &str) {
        let package = Command::new(cutover_tests::root().join("scripts/package-oci"))
            .arg("--to")
            .arg(self.path(name))
            .arg("--module")
            .arg(module)
            .output();
        let package = package.unwrap();
        let said = String::from_utf8_lossy(&package.stderr);
        assert!(package.status.success(), "{said}");
    }

    /// A path of what was packaged.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.packaged.path().join(name)
    }

    /// The digest that was printed for a module that was packaged.
    pub(crate) fn digest(&self, name: &str) -> String {
        let digest = fs::read_to_string(self.path(name).join("digest"));
        digest.unwrap().trim_end().to_owned()
    }

    pub(crate) fn registry(&self) -> &str {
        self.bed.text("/registry")
    }

    /// Runs crane, which has to succeed; what it says.
    #[track_caller]
    pub(crate) fn crane(arguments: &[&str]) -> String {
        let output = Command::new(Bed::program("crane"))
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "crane {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Pushes a layout.
    pub(crate) fn push(&self, layout: &str, to: &str) {
        let to = format!("{}/{to}", self.registry());
        Self::crane(&["push", self.path(layout).to_str().unwrap(), &to]);
    }

    /// The image by its digest, as the docs say.
    pub(crate) fn pinned(&self) -> Image {
        self.image(&format!("cutover@{}", self.digest("good")))
    }

    /// An image by what stands behind the name of the registry.
    pub(crate) fn image(&self, reference: &str) -> Image {
        Image {
            url: format!("oci://{}/{reference}", self.registry()),
            policy: "IfNotPresent",
            sha256: None,
        }
    }

    /// Writes the plugins of all proxies, with a generation that is newer.
    pub(crate) fn apply(&mut self, image: &Image, active: &str) {
        self.apply_to(&[0, 1, 2], image, active);
    }

    /// Writes the plugins of some proxies.
    pub(crate) fn apply_to(&mut self, proxies: &[usize], image: &Image, active: &str) {
        self.generation += 1;
        let plugins: Vec<_> = proxies
            .iter()
            .map(|proxy| self.plugin(*proxy, image, active))
            .collect();
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": plugins });
        self.bed.apply(&list, &[]);
    }

    fn plugin(&self, proxy: usize, image: &Image, active: &str) -> Value {
        let mut spec = json!({
            "selector": { "matchLabels": { "proxy": format!("proxy-{proxy}") } },
            "url": image.url,
            "imagePullPolicy": image.policy,
            "failStrategy": STRATEGIES.get(proxy),
            "pluginName": "cutover",
            "pluginConfig": { "services": { "shop": {
                "hosts": ["shop.example"],
                "active": active,
                "generation": self.generation,
                "blue": { "header": "blue" },
                "green": { "header": "green" },
            } } },
        });
        if let (Some(sha256), Some(spec)) = (&image.sha256, spec.as_object_mut()) {
            spec.insert("sha256".to_owned(), json!(sha256));
        }
        json!({
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "WasmPlugin",
            "metadata": { "name": format!("oci-{proxy}"), "namespace": "shop" },
            "spec": spec,
        })
    }

    /// Waits for a condition.
    #[track_caller]
    pub(crate) fn wait_until(&self, condition: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !condition(self) {
            assert!(began.elapsed() < deadline(), "it never came");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until each proxy gives its answer of these, and gives no other any more for 20 requests.
    #[track_caller]
    pub(crate) fn become_and_stay(&self, answers: [&str; 3]) {
        let began = Instant::now();
        loop {
            for traffic in &self.traffic {
                traffic.forget();
            }
            while self.traffic.iter().any(|traffic| traffic.count() < 20) {
                thread::sleep(Duration::from_millis(20));
            }
            let now: Vec<_> = self.traffic.iter().map(Traffic::changes).collect();
            if now
                .iter()
                .zip(answers)
                .all(|(now, answer)| now == &[answer])
            {
                return;
            }
            assert!(
                began.elapsed() < deadline(),
                "{now:?} instead of {answers:?}"
            );
        }
    }

    /// All that was answered while something happened that ended in these answers: nothing but those before it and these.
    #[track_caller]
    pub(crate) fn while_it_became(&mut self, answers: [&str; 3], happens: impl FnOnce(&mut Self)) {
        let before: Vec<_> = self.traffic.iter().map(Traffic::changes).collect();
        let mut all: Vec<BTreeSet<String>> = vec![BTreeSet::new(); before.len()];
        for traffic in &self.traffic {
            traffic.forget();
        }
        happens(self);
        let began = Instant::now();
        loop {
            for (all, traffic) in all.iter_mut().zip(&self.traffic) {
                all.extend(traffic.changes());
            }
            let last = |traffic: &Traffic| traffic.changes().pop();
            if self
                .traffic
                .iter()
                .map(last)
                .eq(answers.map(|answer| Some(answer.to_owned())))
            {
                break;
            }
            assert!(
                began.elapsed() < deadline(),
                "{all:?} instead of {answers:?}"
            );
            thread::sleep(Duration::from_millis(20));
        }
        for ((all, before), answer) in all.iter().zip(&before).zip(answers) {
            let other: Vec<_> = all
                .iter()
                .filter(|one| *one != answer && !before.contains(one))
                .collect();
            assert!(
                other.is_empty(),
                "{other:?} on the way from {before:?} to {answer}"
            );
        }
        self.become_and_stay(answers);
    }

    /// Ends a process of the bed, at once.
    pub(crate) fn kill(&mut self, process: &str) {
        self.bed.tell(&["stop", process, "--kill"]);
    }

    /// Starts it again, on the same ports.
    pub(crate) fn start(&mut self, process: &str) {
        self.bed.tell(&["start", process]);
    }

    /// Replaces proxies by new ones: neither Envoy nor agent remembers a module.
    pub(crate) fn replace(&mut self, proxies: &[usize]) {
        for proxy in proxies {
            let name = format!("proxy-{proxy}");
            self.bed.tell(&["stop", &name]);
            self.bed.tell(&["start", &name]);
        }
    }

    /// What the Envoy of a proxy shows at a path of its admin interface. It is silent while it compiles a module.
    pub(crate) fn admin(&self, proxy: usize, path: &str) -> String {
        let admins = self.bed.admins();
        let address: SocketAddr = admins.split(',').nth(proxy).unwrap().parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let began = Instant::now();
        loop {
            match runtime.block_on(async { cutover_control::Admin::new(address).get(path).await }) {
                Ok(shown) => return String::from_utf8_lossy(&shown).into_owned(),
                Err(error) => assert!(began.elapsed() < deadline(), "{error}"),
            }
        }
    }

    /// The values of the gauges of the build that runs in a proxy.
    pub(crate) fn builds(&self, proxy: usize) -> Vec<u64> {
        let stats = self.admin(proxy, "/stats?usedonly&filter=module_build$");
        let values = stats
            .lines()
            .map(|line| line.rsplit_once(": ").unwrap().1.parse());
        values.map(Result::unwrap).collect()
    }

    /// The file that a proxy has loaded the module from, by the name that its agent gave it, and what is in it.
    pub(crate) fn loaded(&self, proxy: usize) -> (String, Vec<u8>) {
        let dump: Value =
            serde_json::from_str(&self.admin(proxy, "/config_dump?resource=ecds_filters")).unwrap();
        let path = dump
            .pointer("/configs/0/ecds_filter/typed_config/config/vm_config/code/local/filename");
        let path = path
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{dump:#}"));
        let data = format!("/processes/proxy-{proxy}/folders/~1var~1lib~1istio~1data");
        let inside = path.strip_prefix("/var/lib/istio/data/").unwrap();
        let content = fs::read(Path::new(self.bed.text(&data)).join(inside)).unwrap();
        (inside.rsplit('/').next().unwrap().to_owned(), content)
    }

    /// What the agent of a proxy logged of modules that it could not get.
    pub(crate) fn logged(&self, proxy: usize) -> String {
        fs::read_to_string(self.bed.text(&format!("/processes/proxy-{proxy}/log"))).unwrap()
    }
}
