//! Twenty Envoys with skewed pushes and wrong clocks, a load on all of them, and the tool.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cutover_checker::Certificate;
use cutover_harness::{Fleet, FleetPlan, LocalFleet, LocalPlan, NotedFlip, Place, WrongClock};
use cutover_history::{Color, Reader};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, MutexGuard};

/// How many Envoys.
pub(crate) const PROXIES: u32 = 20;
/// The longest time that a push takes to one of them.
pub(crate) const SKEW: Duration = Duration::from_secs(2);
/// Requests a second to each of them.
const RATE: u32 = 30;
/// How wrong a clock is at most.
pub(crate) const CLOCKS_MS: u64 = 10;
/// All delays and clocks come from it.
const SEED: u64 = 7;
/// How long a condition is waited for.
const DEADLINE: Duration = Duration::from_mins(1);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The stage.
pub(crate) struct Stage {
    pub(crate) bed: LocalFleet,
    load: Option<Fleet>,
    folder: TempDir,
}

/// What the tool said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) answer: Value,
    pub(crate) all: String,
}

/// A switch as somebody writes it who has no tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByHand {
    pub(crate) generation: u64,
    pub(crate) color: Color,
    /// When it is to rule, Unix milliseconds.
    pub(crate) at: u64,
    /// In milliseconds.
    pub(crate) hold: u64,
}

impl Stage {
    /// Starts the Envoys and makes their clocks wrong.
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bed = folder.path().join("bed");
        std::fs::create_dir(&bed).unwrap();
        let plan = LocalPlan {
            envoy: cutover_tests::envoy(),
            module: cutover_tests::module(),
            folder: bed,
            proxies: PROXIES,
            workers: 1,
            skew: SKEW,
            seed: SEED,
            clock: Some(cutover_tests::clock_library()),
        };
        let mut bed = LocalFleet::start(plan).await.unwrap();
        let within = i64::try_from(CLOCKS_MS * 1_000_000).unwrap();
        let clocks = WrongClock::scattered(PROXIES as usize, within, SEED);
        for (index, clock) in clocks.into_iter().enumerate() {
            bed.set_clock(index, clock).unwrap();
        }
        Self {
            bed,
            load: None,
            folder,
        }
    }

    /// Begins a load on all Envoys that are there: so many requests a second to each, sent when they are due and not when
    /// the one before is answered.
    pub(crate) async fn begin(&mut self) {
        self.begin_with(Duration::from_millis(500)).await;
    }

    /// The same, which claims to see no window that is shorter than this.
    pub(crate) async fn begin_with(&mut self, window: Duration) {
        let mut plan = FleetPlan::new(self.bed.places().unwrap(), self.history());
        plan.per_second = RATE.into();
        plan.clients = 2;
        plan.http2 = true;
        plan.timeout = Duration::from_secs(10);
        plan.window = window;
        plan.patience = DEADLINE;
        self.load = Some(Fleet::start(plan).await.unwrap());
    }

    /// Ends the load: what the checker says of it.
    pub(crate) async fn judged(&mut self) -> Certificate {
        let (reader, lasted) = self.ended().await;
        // Open, but not without end: so many requests at most in the time that it lasted.
        let most = u64::from(RATE * (PROXIES + 1)) * (lasted.as_secs() + 1);
        let certificate = Certificate::of("history.jsonl", reader).unwrap();
        let total = certificate.figures.total();
        assert!(total.answered <= most, "{total:?}");
        certificate
    }

    /// Ends the load: its history, and how long it lasted.
    pub(crate) async fn ended(&mut self) -> (Reader<BufReader<File>>, Duration) {
        let load = self.load.take().unwrap();
        let summary = load.finish().await.unwrap();
        assert_eq!(summary.never_came, Vec::<String>::new());
        assert!(summary.counts.len() == 1 && summary.lasted < DEADLINE);
        let file = BufReader::new(File::open(summary.history).unwrap());
        (Reader::new(file).unwrap(), summary.lasted)
    }

    fn history(&self) -> PathBuf {
        self.folder.path().join("history.jsonl")
    }

    pub(crate) fn load(&mut self) -> &mut Fleet {
        self.load.as_mut().unwrap()
    }

    /// Runs the tool on all Envoys.
    pub(crate) async fn cutover(&self, arguments: &[&str]) -> Said {
        let output = self.started(arguments).wait_with_output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (result, told) = (text(&output.stdout), text(&output.stderr));
        Said {
            code: output.status.code(),
            answer: serde_json::from_str(&result).unwrap_or_default(),
            all: format!("{arguments:?}\n{result}{told}"),
        }
    }

    /// The tool, started and not waited for; it is killed when this is dropped.
    pub(crate) fn started(&self, arguments: &[&str]) -> Child {
        let tool = cutover_tests::target().join("release/cutover");
        let admins: Vec<_> = self.bed.admins().iter().map(ToString::to_string).collect();
        let target = format!("file:{}", self.bed.target().path().display());
        let mut command = Command::new(tool);
        command.args(arguments).args(["--output", "json"]);
        command.args(["--target", &target]).env_clear();
        command.env("HOME", self.folder.path());
        command.env("CUTOVER_ADMIN", admins.join(","));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// Runs a flip that has to succeed under the load, and notes it; what the tool said.
    pub(crate) async fn switched(&mut self, arguments: &[&str], color: Color) -> Said {
        let invoked = Instant::now();
        let said = self.cutover(arguments).await;
        said.exits_with(0);
        let acknowledged = Some(Instant::now());
        let flip = NotedFlip {
            generation: said.generation(),
            color,
            invoked,
            acknowledged,
        };
        self.load().note(flip).await;
        said
    }

    /// A switch that is newer than what the fleet's file says.
    pub(crate) fn by_hand(&self, color: Color, ahead_ms: u64, hold: u64) -> ByHand {
        let now = now_ms();
        let generation = self.written()["generation"].as_u64().unwrap();
        ByHand {
            generation: now.max(generation + 1),
            color,
            at: now + ahead_ms,
            hold,
        }
    }

    /// Writes a switch by hand, lets all Envoys come to show it, and notes it.
    pub(crate) async fn switched_by_hand(&mut self, switch: ByHand) {
        let invoked = Instant::now();
        self.write(switch);
        // Nobody watches: one that stages it later would be caught by the checker for that, and not for its clock.
        self.until_staged(self.bed.admins().len()).await;
        let left = switch.at.saturating_sub(now_ms());
        assert!(left > switch.hold + CLOCKS_MS, "this machine is too slow");
        self.shown_and_noted(switch, invoked).await;
    }

    /// Lets all Envoys come to show a switch that nobody reports, and notes it.
    pub(crate) async fn shown_and_noted(&mut self, switch: ByHand, invoked: Instant) {
        let ByHand {
            generation, color, ..
        } = switch;
        let shown = self.load().shown_by_all(generation, DEADLINE).await;
        shown.unwrap();
        let flip = NotedFlip {
            generation,
            color,
            invoked,
            acknowledged: None,
        };
        self.load().note(flip).await;
    }

    /// Writes a switch that is to rule later, past the tool and all that it would say of it.
    pub(crate) fn write(&self, switch: ByHand) {
        let mut file: Value =
            serde_json::from_slice(&std::fs::read(self.bed.target().path()).unwrap()).unwrap();
        let place = "/resources/0/typed_config/config/configuration/value";
        let text = file.pointer_mut(place).unwrap();
        let mut configuration: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        let previous = json!({
            "generation": configuration["generation"],
            "active": configuration["active"],
        });
        configuration["previous"] = previous;
        configuration["active"] = json!(switch.color);
        configuration["generation"] = json!(switch.generation);
        configuration["activate_at"] = json!(switch.at);
        configuration["hold"] = json!(switch.hold);
        *text = configuration.to_string().into();
        let target = self.bed.target();
        target.replace(file.to_string().as_bytes()).unwrap();
    }

    /// What the fleet's file says of the switch.
    pub(crate) fn written(&self) -> Value {
        let file = std::fs::read(self.bed.target().path()).unwrap();
        let document = cutover_control::Document::parse(&file).unwrap();
        serde_json::from_slice(document.configuration()).unwrap()
    }

    /// Waits until so many Envoys have staged what the file says.
    pub(crate) async fn until_staged(&self, proxies: usize) {
        let generation = self.written()["generation"].as_u64().unwrap();
        self.until("staged", generation, proxies).await;
    }

    /// Waits until no Envoy has anything staged.
    pub(crate) async fn until_nothing_is_staged(&self) {
        self.until("staged", 0, self.bed.admins().len()).await;
    }

    /// How many Envoys show a stat of the service with a value.
    pub(crate) async fn count(&self, stat: &str, value: u64) -> usize {
        let mut have = 0;
        for index in 0..self.bed.admins().len() {
            have += usize::from(self.stat(index, stat).await == Some(value));
        }
        have
    }

    /// Waits until so many Envoys show a stat of the service with a value.
    pub(crate) async fn until(&self, stat: &str, value: u64, proxies: usize) {
        let began = Instant::now();
        loop {
            let have = self.count(stat, value).await;
            if have >= proxies {
                return;
            }
            let shown = format!("{stat} is {value} at {have} Envoys, not {proxies}");
            assert!(began.elapsed() < DEADLINE, "{shown}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until so much before a time, which must not be over yet.
    pub(crate) async fn until_before(&self, at_ms: u64, before: Duration) {
        let left = Duration::from_millis(at_ms.saturating_sub(now_ms()));
        assert!(left > before, "only {left:?} are left");
        tokio::time::sleep(left.saturating_sub(before)).await;
    }

    /// Waits until so much after a time.
    pub(crate) async fn until_after(&self, at_ms: u64, after: Duration) {
        let left = Duration::from_millis(at_ms.saturating_sub(now_ms()));
        tokio::time::sleep(left + after).await;
    }

    /// An Envoy that comes while the load runs: it is asked from its first answer on.
    pub(crate) async fn joined(&mut self, place: Place) {
        let name = place.name().to_owned();
        self.load().join(place).unwrap();
        let began = Instant::now();
        while !self.load().has_come(&name) {
            assert!(began.elapsed() < DEADLINE, "{name} does not answer");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A stat of the service at an Envoy, 0 before it has one; none when it does not answer.
    async fn stat(&self, index: usize, stat: &str) -> Option<u64> {
        let path = format!("/stats?filter=service.default.{stat}$");
        let said = self.bed.envoy(index)?.admin().get(&path).await.ok()?;
        let said = String::from_utf8(said.to_vec()).unwrap();
        said.trim().rsplit(' ').next()?.parse().ok().or(Some(0))
    }
}

impl Said {
    #[track_caller]
    pub(crate) fn exits_with(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}", self.all);
    }

    /// The generation that was written.
    #[track_caller]
    pub(crate) fn generation(&self) -> u64 {
        self.number("generation")
    }

    #[track_caller]
    pub(crate) fn number(&self, key: &str) -> u64 {
        let number = self.answer.get(key).and_then(Value::as_u64);
        number.unwrap_or_else(|| panic!("no {key} in {}", self.all))
    }
}

/// Lets one stage of this program be open at a time: two fleets under load would take the machine from each other.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    static STAGE: Mutex<()> = Mutex::const_new(());
    STAGE.lock().await
}

/// The wall clock of this machine, in Unix milliseconds.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}
