//! The generated files and the tool against a real Envoy and the real module.
//!
//! It needs Envoy (`CUTOVER_ENVOY`, or what `scripts/get-envoy` puts into the checkout) and the module
//! that `scripts/build` makes.

use crate::support::{Ran, Server, Stage};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// An Envoy in the folder `envoy` of a stage, between two applications that say their color.
pub(crate) struct Proxied {
    pub(crate) stage: Stage,
    _applications: [Server; 2],
    pub(crate) envoy: Child,
    pub(crate) admin: SocketAddr,
    pub(crate) listener: SocketAddr,
}

impl Proxied {
    /// Starts what `cutover init` writes, after `edit` has had a look at it.
    pub(crate) fn start(init: &[&str], edit: impl Fn(&Stage)) -> Self {
        let stage = Stage::new();
        let applications = ["blue", "green"].map(|color| Server::with(move |_| color.to_owned()));
        let [blue, green] = applications.each_ref().map(|one| one.address.to_string());
        let wasm = cutover_tests::module();
        let wasm = wasm.to_str().unwrap();
        let arguments = [
            "init",
            "envoy",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ];
        let arguments = [&arguments, init].concat();
        let places = ["--blue", &blue, "--green", &green, "--wasm", wasm];
        let ran = stage.run(&[arguments.as_slice(), &places].concat());
        assert_eq!(ran.code, Some(0), "{ran}");
        edit(&stage);

        let log = fs::File::create(stage.path("envoy.log")).unwrap();
        let envoy = Command::new(cutover_tests::envoy())
            .args([
                "-c",
                "envoy.yaml",
                // Killed at the end, it would leave the shared memory of hot restart behind.
                "--disable-hot-restart",
                "--admin-address-path",
                "admin",
            ])
            .args([
                "--concurrency",
                "2",
                "-l",
                "warning",
                "--file-flush-interval-msec",
                "10",
            ])
            .env_clear()
            .env("CUTOVER_KEY_k1", "0123456789abcdef")
            .current_dir(stage.path("envoy"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut proxied = Self {
            stage,
            _applications: applications,
            envoy,
            admin: nowhere,
            listener: nowhere,
        };
        proxied.admin = proxied.wait_for("an admin address", |p| {
            fs::read_to_string(p.stage.path("envoy/admin"))
                .ok()?
                .trim()
                .parse()
                .ok()
        });
        proxied.wait_for("readiness", |p| {
            get(p.admin, "/ready", "").contains("LIVE").then_some(())
        });
        proxied.listener = proxied.wait_for("a listener", |p| {
            let listeners = get(p.admin, "/listeners", "");
            let line = listeners
                .lines()
                .find_map(|line| line.strip_prefix("main::"))?;
            line.trim().parse().ok()
        });
        proxied
    }

    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let log = self.stage.path("envoy.log");
            assert!(
                Instant::now() < until,
                "no {what}: {}",
                fs::read_to_string(log).unwrap()
            );
            thread::yield_now();
        }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        self.stage.ran(output)
    }

    /// The tool, ready to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.stage.command(arguments);
        command
            .env("CUTOVER_TARGET", "file:envoy/cutover.json")
            .env("CUTOVER_ADMIN", self.admin.to_string())
            .env("CUTOVER_KEY_k1", "0123456789abcdef");
        command
    }

    /// Runs the tool; it must succeed.
    #[track_caller]
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.stdout
    }

    /// The last line of an answer: the color of the application.
    pub(crate) fn ask(&self, header: &str) -> String {
        get(self.listener, "/", header)
            .lines()
            .last()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Drop for Proxied {
    fn drop(&mut self) {
        let _ = self.envoy.kill();
        let _ = self.envoy.wait();
    }
}

/// A request with one more header line; nothing when there is no answer.
pub(crate) fn get(address: SocketAddr, path: &str, header: &str) -> String {
    let asked = TcpStream::connect(address).and_then(|mut stream| {
        let header = if header.is_empty() {
            String::new()
        } else {
            format!("{header}\r\n")
        };
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: localhost\r\n{header}connection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    });
    asked.unwrap_or_default()
}

#[test]
fn the_generated_files_flip_and_roll_back_real_traffic() {
    let proxied = Proxied::start(&[], |_| {});
    assert_eq!(proxied.ask(""), "blue");
    assert_eq!(proxied.ask("x-cutover-cluster: green"), "blue");
    assert_eq!(proxied.ask("x-cutover-override: green"), "green");
    proxied.done(&["flip", "--yes", "green"]);
    assert_eq!(proxied.ask(""), "green");
    proxied.done(&["status"]);
    proxied.done(&["rollback"]);
    assert_eq!(proxied.ask(""), "blue");
    proxied.wait_for("decision in the access log", |p| {
        let log = fs::read_to_string(p.stage.path("envoy.log")).ok()?;
        log.contains("decision=green;g=").then_some(())
    });
    let metrics = get(proxied.admin, "/stats/prometheus", "");
    let labels = r#"{cutover_plugin="cutover",cutover_service="default"}"#;
    assert!(
        metrics.contains(&format!("\ncutover_active{labels} 1\n")),
        "{metrics}"
    );
}

#[test]
fn a_preview_reaches_green_only_with_a_good_token() {
    let proxied = Proxied::start(&["--override-key", "k1"], |_| {});
    let token = |arguments: &[&str]| {
        let made = proxied.done(&[&["preview", "green", "-o", "json"], arguments].concat());
        let json: serde_json::Value = serde_json::from_str(&made).unwrap();
        json["value"].as_str().unwrap().to_owned()
    };
    let good = token(&[]);
    assert_eq!(proxied.ask(&format!("x-cutover-override: {good}")), "green");
    assert_eq!(
        proxied.ask(&format!("cookie: a=b; cutover-override={good}")),
        "green"
    );
    proxied.stage.write("other.key", "fedcba9876543210");
    let forged = token(&["--key-file", "other.key"]);
    assert_eq!(
        proxied.ask(&format!("x-cutover-override: {forged}")),
        "blue"
    );
    assert_eq!(proxied.ask("x-cutover-override: green"), "blue");
}

#[test]
fn where_the_filter_is_gone_all_goes_to_the_color_active_at_install() {
    let proxied = Proxied::start(&[], |stage| {
        let yaml = stage.read("envoy/envoy.yaml");
        let (before, rest) = yaml.split_once("- name: cutover\n").unwrap();
        let (_, after) = rest
            .split_once("- name: envoy.filters.http.router")
            .unwrap();
        stage.write(
            "envoy/envoy.yaml",
            &format!("{before}- name: envoy.filters.http.router{after}"),
        );
    });
    for header in [
        "",
        "x-cutover-cluster: green",
        "X-Cutover-Color: green",
        "x-cutover-override: green",
    ] {
        assert_eq!(proxied.ask(header), "blue", "{header}");
    }
}

#[test]
fn a_configuration_that_only_the_filter_can_refuse_is_told_as_refused() {
    let proxied = Proxied::start(&[], |_| {});
    // No key `k2` in the environment of this Envoy: the tool cannot see that, the filter does.
    let file = proxied.stage.read("envoy/cutover.json");
    let signed = file.replace(r#"\"unsigned\":true"#, r#"\"keys\":[\"k2\"]"#);
    proxied.stage.write("envoy/cutover.json", &signed);
    let ran = proxied.run(&["flip", "--yes", "green"]);
    assert!(ran.stderr.contains("configuration.override.keys"), "{ran}");
    let ran = proxied.run(&["flip", "--yes", "green", "--force"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stderr
            .contains("refused the configuration and stays at generation 1 (blue)"),
        "{ran}"
    );
    assert_eq!(proxied.ask(""), "blue");
    // The next good one works.
    let bad = proxied.stage.read("envoy/cutover.json");
    let good = bad.replace(r#"\"keys\":[\"k2\"]"#, r#"\"unsigned\":true"#);
    proxied.stage.write("envoy/cutover.json", &good);
    let ran = proxied.run(&["flip", "--yes", "green"]);
    assert!(ran.stderr.contains("refused its last file"), "{ran}");
    proxied.done(&["flip", "--yes", "green", "--force"]);
    assert_eq!(proxied.ask(""), "green");
}

#[test]
fn drift_and_another_module_are_told_and_are_no_agreement() {
    let proxied = Proxied::start(&[], |_| ());
    let other = Proxied::start(&[], |stage| {
        fs::copy(
            cutover_tests::broken_module("decides-twice"),
            stage.path("envoy/cutover.wasm"),
        )
        .unwrap();
    });
    let status = proxied.run(&["status"]);
    assert_eq!(status.code, Some(0), "{status}");
    let both = format!("{},{}", proxied.admin, other.admin);
    let status = proxied.run(&["status", "--admin", &both]);
    assert_eq!(status.code, Some(1), "{status}");
    assert!(
        status
            .stdout
            .contains("the Envoys run different modules: 0.1.0 ("),
        "{status}"
    );
    assert!(
        status
            .stdout
            .contains(&format!("{} runs module 0.1.0 (", other.admin)),
        "{status}"
    );

    // Written in its place, and not renamed to it: Envoy does not read it.
    let file = proxied.stage.read("envoy/cutover.json");
    let changed = file.replace("x-cutover-override", "x-preview");
    assert_ne!(changed, file);
    proxied.stage.write("envoy/cutover.json", &changed);
    let status = proxied.run(&["status"]);
    assert_eq!(status.code, Some(1), "{status}");
    let expect = "runs another configuration than the file: configuration.override.header";
    assert!(status.stdout.contains(expect), "{status}");
    let json = proxied.run(&["status", "-o", "json"]).json();
    assert_eq!(
        json["envoys"][0]["drift"][0],
        "configuration.override.header"
    );
}
