//! Where a page is run: a copy of the checkout, a network of its own, and nothing of this machine's environment.

use crate::page::Need;
use crate::terminal::{RC_FILE, Terminal};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};
use tempfile::TempDir;

/// Starts bash in each terminal; the first process of the namespaces, so that all others end with it.
const FIRST_PROCESS: &str = r#"
ip link set lo up || exit
mount -t tmpfs tmpfs /dev/shm # Envoys of other pages have their shared memory there
echo laptop >/proc/sys/kernel/hostname
set -m # or what is started with & ignores Ctrl-C, and so does all that it starts
for terminal in "$@"; do
  setsid --ctty --wait bash --noediting --noprofile --rcfile "$HOME/.bashrc" -i <>"$terminal" >&0 2>&0 &
done
wait
"#;

/// The folder, and the terminals in it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) terminals: Vec<Terminal>,
    first_process: Child,
    /// Removed last.
    _folder: TempDir,
}

impl Stage {
    /// A stage with this many terminals; in the network of what the page needs, else in one of its own.
    pub(crate) fn new(terminals: usize, needs: Option<Need>) -> Result<Self, String> {
        let folder = TempDir::with_prefix("cutover-page.").map_err(|error| error.to_string())?;
        let checkout = folder.path().join("cutover");
        let home = folder.path().join("home");
        let programs = folder.path().join("bin");
        let made = [&checkout, &home, &programs]
            .into_iter()
            .try_for_each(fs::create_dir);
        made.and_then(|()| copy_checkout(&checkout))
            .and_then(|()| link_programs(&programs))
            .and_then(|()| fs::write(home.join(".bashrc"), RC_FILE))
            .map_err(|error| format!("the page's folder cannot be made: {error}"))?;
        // As a reader has them.
        let names = [(&checkout, "/home/you/cutover"), (&home, "/home/you")];
        let names = names.map(|(path, name)| (path.display().to_string(), name));
        let terminals = (0..terminals).map(|_| Terminal::open(names.to_vec()));
        let terminals: io::Result<Vec<_>> = terminals.collect();
        let terminals = terminals.map_err(|error| format!("no terminal can be made: {error}"))?;
        // Whatever becomes of the thread that started it, all that runs inside ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        // Tests that run in the background of a script ignore Ctrl-C, and bash would, too.
        command.args(["env", "--default-signal=INT"]);
        command.args(["unshare", "--pid", "--uts", "--fork", "--kill-child"]);
        if needs.is_none() {
            command.args(["--map-root-user", "--net"]);
        }
        let needed = needs.map_or(&[][..], Need::variables).iter();
        let needed = needed.filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.args(["--mount-proc", "bash", "-c", FIRST_PROCESS, "terminals"]);
        command.args(terminals.iter().map(|terminal| &terminal.path));
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("HOME", home)
            .envs(needed)
            .envs([("LANG", "C.UTF-8"), ("TERM", "xterm"), ("NO_COLOR", "1")])
            .current_dir(checkout)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let first_process = command
            .spawn()
            .map_err(|error| format!("no setpriv: {error}"))?;
        let mut stage = Self {
            terminals,
            first_process,
            _folder: folder,
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        for at in 0..stage.terminals.len() {
            let ready = stage
                .terminals
                .get_mut(at)
                .map(|terminal| terminal.ready(deadline));
            if let Some(Err(problem)) = ready {
                return Err(format!("{problem}\n{}", stage.complaint()));
            }
        }
        Ok(stage)
    }

    /// What the first process has to say, when it could not do its work.
    fn complaint(&mut self) -> String {
        let _ = self.first_process.kill();
        let mut said = String::new();
        if let Some(mut stderr) = self.first_process.stderr.take() {
            let _ = io::Read::read_to_string(&mut stderr, &mut said);
        }
        format!("this machine gives no network of its own to a page (unshare --net, ip): {said}")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.first_process.kill();
        let _ = self.first_process.wait();
    }
}

/// What a fresh clone has after `scripts/build`, with what is not committed yet.
fn copy_checkout(to: &Path) -> io::Result<()> {
    let root = fs::canonicalize(cutover_tests::root())?;
    cutover_tests::copy_checkout(to)?;
    symlink(root.join(".tools"), to.join(".tools"))?;
    let target = fs::canonicalize(cutover_tests::target())?;
    fs::create_dir_all(to.join("target"))?;
    cutover_tests::copy(
        ["release/cutover", "cutover.wasm"],
        &target,
        &to.join("target"),
    )?;
    // `scripts/build` puts it there.
    fs::copy(target.join("cutover.wasm"), to.join("envoy/cutover.wasm")).map(drop)
}

/// What a page may call by name besides what the machine has.
fn link_programs(folder: &Path) -> io::Result<()> {
    let python = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output()?;
    let python = PathBuf::from(String::from_utf8_lossy(&python.stdout).trim());
    let tool = cutover_tests::target().join("release/cutover");
    let mut programs = vec![
        ("python3", python),
        ("cutover", tool),
        ("envoy", cutover_tests::envoy()),
    ];
    if let Some(folder) = std::env::var_os("CUTOVER_CLUSTER_BIN") {
        let tools = ["kubectl", "istioctl", "crane", "helm"];
        let tools = tools.map(|name| (name, Path::new(&folder).join(name)));
        programs.extend(tools.into_iter().filter(|(_, tool)| tool.exists()));
    }
    for (name, program) in programs {
        let program = fs::canonicalize(&program)
            .map_err(|error| io::Error::other(format!("{}: {error}", program.display())))?;
        symlink(program, folder.join(name))?;
    }
    Ok(())
}
