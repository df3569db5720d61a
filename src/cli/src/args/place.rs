//! Which configuration is meant, and which Envoys: as named, else the state folder of `cutover up`.

use crate::failure::{Failure, RESTORES};
use clap::Args;
use cutover_control::{
    Access, FileTarget, Fleet, KubeTarget, Living, ObjectName, StateFolder, Target as Opened,
    state::BOOTSTRAP,
};
use std::{
    env,
    ffi::OsStr,
    net::{SocketAddr, ToSocketAddrs as _},
    path::{Path, PathBuf},
};

const TARGET: &str = "CUTOVER_TARGET";
const STATE: &str = "CUTOVER_STATE";
const ADMIN: &str = "CUTOVER_ADMIN";

/// Where the configuration lives.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "the option is called so")]
pub(crate) struct Target {
    /// Where it lives
    #[arg(
        short,
        long,
        env = TARGET,
        value_name = "TARGET",
        help = "The configuration: file:PATH names the ECDS file that Envoy watches, \
                k8s:NAMESPACE/NAME a WasmPlugin or TrafficExtension of Istio"
    )]
    target: Option<String>,
    /// The kubeconfig file, for k8s:… [default: as kubectl has it]
    #[arg(long, value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig, for k8s:… [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    #[command(flatten)]
    state: State,
}

/// The folder of `cutover up`.
#[derive(Debug, Args)]
pub(crate) struct State {
    /// The state folder of `cutover up`: its configuration and its Envoy are meant where no other is
    /// named [default: ~/.local/state/cutover]
    #[arg(long, env = STATE, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Which Envoys to ask.
#[derive(Debug, Args)]
pub(crate) struct Envoys {
    /// Admin address of an Envoy; may be given several times, or as a list with commas
    #[arg(
        short,
        long = "admin",
        env = ADMIN,
        value_name = "HOST:PORT",
        value_delimiter = ','
    )]
    admins: Vec<String>,
}

/// How something came to be named; the later wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Nowhere,
    Environment,
    CommandLine,
}

impl Named {
    /// The parser takes a variable for an option that was said; here the two are told apart.
    fn of(value: Option<&OsStr>, variable: &str) -> Self {
        match value {
            None => Self::Nowhere,
            Some(value) if env::var_os(variable).as_deref() == Some(value) => Self::Environment,
            Some(_) => Self::CommandLine,
        }
    }
}

/// What was found to be meant.
enum Place {
    Target(FileTarget),
    Kube(ObjectName),
    State(StateFolder),
}

impl Place {
    fn of(target: Meant) -> Self {
        match target {
            Meant::File(file) => Self::Target(file),
            Meant::Kube(name) => Self::Kube(name),
        }
    }
}

/// What a target means, before it is opened.
enum Meant {
    File(FileTarget),
    Kube(ObjectName),
}

impl State {
    /// The folder: as named, else the usual one.
    pub(crate) fn folder(&self) -> Result<StateFolder, Failure> {
        let named = self.state.as_ref().map(StateFolder::new);
        named
            .or_else(|| StateFolder::usual(|name| env::var_os(name)))
            .ok_or_else(|| {
                Failure::usage("there is no home folder to keep a state folder in")
                    .hint("say --state DIR, or set CUTOVER_STATE")
            })
    }

    /// What another command has to be told to mean the same folder; nothing where it will anyway.
    pub(crate) fn to_say(&self) -> String {
        match (&self.state, self.named()) {
            (Some(path), Named::CommandLine) => {
                // In another folder, too.
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                let path = path.display().to_string();
                let quote = if path.contains(' ') { "'" } else { "" };
                format!(" --state {quote}{path}{quote}")
            }
            _ => String::new(),
        }
    }

    fn named(&self) -> Named {
        Named::of(self.state.as_ref().map(|path| path.as_os_str()), STATE)
    }
}

impl Target {
    /// The file, or the plugin as the cluster has it.
    pub(crate) async fn open(&self) -> Result<Opened, Failure> {
        let folder = match self.place()? {
            Place::Target(target) => {
                self.is_for_a_file()?;
                return Ok(target.into());
            }
            Place::Kube(name) => {
                let access = Access {
                    kubeconfig: self.kubeconfig.clone(),
                    context: self.context.clone(),
                };
                let opened = KubeTarget::open(&access, &name).await?;
                return Ok(Opened::Kube(Box::new(opened)));
            }
            Place::State(folder) => folder,
        };
        self.is_for_a_file()?;
        let target = folder.target();
        // A file that is there, but cannot be looked at, is told by whoever reads it.
        if target.path().try_exists().unwrap_or(true) {
            return Ok(target.into());
        }
        let path = folder.path().display();
        if folder.file(BOOTSTRAP).exists() {
            return Err(Failure::environment(format!(
                "{} is lost, though `cutover up` has run on {path}",
                target.path().display()
            ))
            .hint(RESTORES));
        }
        Err(match self.state.named() {
            Named::Nowhere => Failure::usage(format!(
                "no target was named, and no `cutover up` has run on {path}"
            ))
            .hint(
                "say --target file:PATH, --target k8s:NAMESPACE/NAME or --state DIR, or start `cutover up`",
            ),
            _ => Failure::usage(format!("no `cutover up` has run on {path}"))
                .hint("--state names the folder of a `cutover up`; --target file:PATH a file"),
        })
    }

    /// The state folder, where that and no other target is meant.
    pub(crate) fn state_folder(&self) -> Result<Option<StateFolder>, Failure> {
        Ok(match self.place()? {
            Place::State(folder) => Some(folder),
            Place::Target(_) | Place::Kube(_) => None,
        })
    }

    /// The `up` that lives on the target's folder.
    pub(crate) fn running(&self) -> Result<Option<Living>, Failure> {
        let folder = match self.place()? {
            Place::State(folder) => folder,
            Place::Target(target) => StateFolder::of(&target),
            Place::Kube(_) => return Ok(None),
        };
        Ok(folder.running()?)
    }

    /// Refuses what only means something in a cluster.
    fn is_for_a_file(&self) -> Result<(), Failure> {
        let said = match (&self.kubeconfig, &self.context) {
            (Some(_), _) => "--kubeconfig",
            (None, Some(_)) => "--context",
            (None, None) => return Ok(()),
        };
        Err(Failure::usage(format!(
            "{said} goes with a target in a cluster, and this one is a file"
        ))
        .hint("say --target k8s:NAMESPACE/NAME"))
    }

    fn place(&self) -> Result<Place, Failure> {
        let target = Named::of(self.target.as_ref().map(OsStr::new), TARGET);
        let state = self.state.named();
        match &self.target {
            Some(text) if target > state => Ok(Place::of(parse(text)?)),
            Some(text) if target == state => {
                let folder = self.state.folder()?;
                let named = match parse(text)? {
                    Meant::Kube(name) => format!("k8s:{name}"),
                    Meant::File(file) if same(file.path(), folder.target().path()) => {
                        return Ok(Place::State(folder));
                    }
                    Meant::File(file) => file.path().display().to_string(),
                };
                let folder = folder.path().display();
                Err(Failure::usage(format!(
                    "both a target, {named}, and a state folder, {folder}, are named"
                ))
                .hint("leave one of --target and --state out, or unset CUTOVER_TARGET or CUTOVER_STATE"))
            }
            None if state == Named::Nowhere => match StateFolder::usual(|name| env::var_os(name)) {
                Some(folder) => Ok(Place::State(folder)),
                None => Err(Failure::usage("no target was named")
                    .hint("say --target file:PATH or k8s:NAMESPACE/NAME, or set CUTOVER_TARGET")),
            },
            _ => Ok(Place::State(self.state.folder()?)),
        }
    }
}

fn parse(target: &str) -> Result<Meant, Failure> {
    const HINT: &str = "a target is file:PATH or k8s:NAMESPACE/NAME";
    match target.split_once(':') {
        Some(("file", path)) if !path.is_empty() => Ok(Meant::File(FileTarget::new(path))),
        Some(("k8s", name)) if !name.is_empty() => {
            let name = name.parse::<ObjectName>();
            let name = name.map_err(|invalid| Failure::usage(invalid.to_string()).hint(HINT))?;
            Ok(Meant::Kube(name))
        }
        Some(("file" | "k8s", _)) => {
            Err(Failure::usage(format!("`{target}` is not a target that can be used")).hint(HINT))
        }
        _ if target.is_empty() => Err(Failure::usage("the target is empty").hint(HINT)),
        _ => Ok(Meant::File(FileTarget::new(target))),
    }
}

/// True for two names of one file.
fn same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

impl Envoys {
    /// Those at the addresses, names being looked up; without any the pods that a plugin reaches, or the
    /// one of the `up` which lives on the target's folder.
    pub(crate) async fn fleet(&self, target: &Target, opened: &Opened) -> Result<Fleet, Failure> {
        if let Some(named) = self.named(target)? {
            return Ok(named.into());
        }
        if let Some(kube) = opened.kube() {
            return Ok(kube.pods().await?);
        }
        let Some(up) = target.running()? else {
            return Ok(Fleet::default());
        };
        match up.admin {
            Some(address) => Ok(address.into()),
            None => Err(Failure::environment(format!(
                "`cutover up` ({}) has not started its Envoy yet",
                up.holder
            ))
            .hint("it says `ready` when it has; then try again")),
        }
    }

    /// The same for whoever goes on without: an `up` that has not started its Envoy yet has none, and
    /// why pods cannot be found is told beside.
    pub(crate) async fn fleet_by_now(
        &self,
        target: &Target,
        opened: &Opened,
    ) -> Result<(Fleet, Option<String>), Failure> {
        if let Some(named) = self.named(target)? {
            return Ok((named.into(), None));
        }
        if let Some(kube) = opened.kube() {
            return Ok(match kube.pods().await {
                Ok(fleet) => (fleet, None),
                Err(error) => (Fleet::default(), Some(error.to_string())),
            });
        }
        let admin = target.running()?.and_then(|up| up.admin);
        Ok((admin.map(Fleet::from).unwrap_or_default(), None))
    }

    /// Those that were named. A state folder that is named where the Envoys are not (they come from
    /// the environment) means its own.
    fn named(&self, target: &Target) -> Result<Option<Vec<SocketAddr>>, Failure> {
        let said = self.admins.join(",");
        let named = Named::of(self.admins.first().map(|_| OsStr::new(&said)), ADMIN);
        let folder_is_said = target.state.named() == Named::CommandLine;
        if named == Named::CommandLine || (named == Named::Environment && !folder_is_said) {
            let mut addresses = vec![];
            for admin in &self.admins {
                let address = resolve(admin.trim())?;
                // The same Envoy under two names is one Envoy.
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            return Ok(Some(addresses));
        }
        Ok(None)
    }
}

fn resolve(admin: &str) -> Result<SocketAddr, Failure> {
    let bad = |what: &str| {
        Failure::usage(format!("`{admin}` is not an admin address: {what}"))
            .hint("an admin address is HOST:PORT, such as 127.0.0.1:9901")
    };
    if !admin.contains(':') {
        return Err(bad("it has no port"));
    }
    match admin.to_socket_addrs() {
        Ok(mut addresses) => addresses
            .next()
            .ok_or_else(|| bad("no address belongs to it")),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            Err(bad("its port is no number up to 65535"))
        }
        Err(error) => Err(
            Failure::environment(format!("{admin} cannot be looked up: {error}"))
                .hint("say the address itself, such as 127.0.0.1:9901"),
        ),
    }
}
