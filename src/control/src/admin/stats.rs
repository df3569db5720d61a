//! What a proxy shows of the filter and its services, as stats.

use super::{Admin, AdminError, any_of, escaped, percent_encoded};
use crate::{ModuleId, Names};
use cutover_core::Color;
use std::collections::BTreeMap;

/// What an Envoy shows of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The committed generation; 0 when its configuration has none, so that each worker switches
    /// for itself. None when the service does not show at all.
    pub generation: Option<u64>,
    /// The active color.
    pub active: Option<Color>,
    /// Pushes of an older generation, ignored.
    pub stale: u64,
    /// Pushes of the committed generation with another content, ignored.
    pub conflict: u64,
    /// Requests whose override was followed.
    pub override_used: u64,
    /// Requests whose override was refused.
    pub override_refused: u64,
    /// The generation that waits for its instant; none when nothing is staged.
    pub staged: Option<u64>,
    /// The instant that it waits for, in Unix milliseconds.
    pub activate_at: Option<u64>,
    /// Its hold, in milliseconds.
    pub hold: Option<u64>,
    /// Switches that came when their instant was over, or while others might have made them already.
    pub late: u64,
    /// Requests that were held around an instant.
    pub held: u64,
    /// Requests that found too many held already, and were answered 503.
    pub held_over: u64,
    /// How often the machine's clock was set while a switch was staged.
    pub clock_steps: u64,
}

/// What an Envoy shows of the filter and its services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Whether it has the filter at all, configured or not.
    pub has_filter: bool,
    /// By name. A service without any stat is absent.
    pub services: BTreeMap<String, Seen>,
    /// The module that runs. None where no configuration was accepted, or the module is too old to tell.
    pub module: Option<ModuleId>,
    /// Configurations that the filter refused.
    pub config_refused: u64,
    /// Files that Envoy refused (`update_rejected`): a configuration that the filter refused, or a
    /// file that is no ECDS file. The same bad configuration sent again is not counted again.
    pub update_rejected: u64,
    /// Configurations that Envoy could not put to use (`config_fail`).
    pub config_fail: u64,
    /// The `version_info` of the last file that Envoy accepted.
    pub version: Option<String>,
}

impl Admin {
    /// Asks for the stats of one service, or of all.
    pub async fn stats(&self, service: Option<&str>) -> Result<Stats, AdminError> {
        self.stats_of(service.map_or_else(|| ".+".to_owned(), escaped))
            .await
    }

    /// Asks for the stats of some services.
    pub(crate) async fn stats_of_all(&self, services: &[String]) -> Result<Stats, AdminError> {
        self.stats_of(any_of(services.iter().map(String::as_str)))
            .await
    }

    /// `service` is a regular expression.
    async fn stats_of(&self, service: String) -> Result<Stats, AdminError> {
        let filter = any_of(self.names.iter().map(|names| names.filter.as_str()));
        let plugin = any_of(self.names.iter().map(|names| names.plugin.as_str()));
        let regex = format!(
            r"^(wasmcustom\.cutover\.plugin\.{plugin}\.(service\.{service}\.[a-z_]+|config_refused|module_version|module_build)|extension_config_discovery\.http_filter\.{filter}\.(version_text|update_rejected|config_fail))$"
        );
        let text = self
            .get(&format!("/stats?filter={}", percent_encoded(&regex)))
            .await?;
        let stats = self.read_stats(&String::from_utf8_lossy(&text));
        if !stats.has_filter && stats.services.is_empty() && !self.may_hide_stats() {
            let filters: Vec<_> = self
                .names
                .iter()
                .map(|names| names.filter.as_str())
                .collect();
            let filter = filters.join("` or `");
            return Err(AdminError::Unexpected {
                proxy: self.proxy.clone(),
                reason: format!("its /stats know no filter `{filter}`"),
            });
        }
        Ok(stats)
    }

    /// True where istiod made the names: Istio's proxies keep most stats to themselves, so that one which
    /// is not there tells nothing.
    pub(crate) fn may_hide_stats(&self) -> bool {
        let of_istio = |names: &Names| names.filter.starts_with("extensions.istio.io/");
        self.names.iter().any(of_istio)
    }

    /// Asks for the stats of one service; a service that does not show is all empty.
    pub async fn seen(&self, service: &str) -> Result<Seen, AdminError> {
        let mut stats = self.stats(Some(service)).await?;
        Ok(stats.services.remove(service).unwrap_or_default())
    }

    fn read_stats(&self, text: &str) -> Stats {
        const OURS: &str = "wasmcustom.cutover.plugin.";
        const ECDS: &str = "extension_config_discovery.http_filter.";
        let behind = |name: &str, head: &str, of: fn(&Names) -> &str| {
            let rest = name.strip_prefix(head)?;
            let mut found = self.names.iter().filter_map(|names| {
                let rest = rest.strip_prefix(of(names))?;
                Some(rest.strip_prefix('.')?.to_owned())
            });
            found.next()
        };
        let mut stats = Stats::default();
        let (mut version, mut build) = (0, 0);
        for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
            let number = value.parse::<u64>().unwrap_or_default();
            if let Some(name) = behind(name, ECDS, |names| &names.filter) {
                stats.has_filter = true;
                match name.as_str() {
                    "update_rejected" => stats.update_rejected = number,
                    "config_fail" => stats.config_fail = number,
                    "version_text" => stats.version = serde_json::from_str(value).ok(),
                    _ => {}
                }
            } else if let Some(name) = behind(name, OURS, |names| &names.plugin) {
                match name.as_str() {
                    "config_refused" => stats.config_refused = number,
                    "module_version" => version = number,
                    "module_build" => build = number,
                    _ => {}
                }
                let of_service = name
                    .strip_prefix("service.")
                    .and_then(|n| n.rsplit_once('.'));
                if let Some((service, stat)) = of_service {
                    set(
                        stats.services.entry(service.to_owned()).or_default(),
                        stat,
                        number,
                    );
                }
            }
        }
        stats.module = ModuleId::of_gauges(version, build);
        stats.version = stats.version.filter(|version| !version.is_empty());
        stats
    }
}

fn set(seen: &mut Seen, stat: &str, number: u64) {
    let some = (number > 0).then_some(number);
    match stat {
        "generation" => seen.generation = Some(number),
        "active" => seen.active = u8::try_from(number).ok().and_then(Color::from_number),
        "stale" => seen.stale = number,
        "conflict" => seen.conflict = number,
        "override_used" => seen.override_used = number,
        "override_refused" => seen.override_refused = number,
        "staged" => seen.staged = some,
        "activate_at" => seen.activate_at = some,
        "hold" => seen.hold = some,
        "late" => seen.late = number,
        "held" => seen.held = number,
        "held_over" => seen.held_over = number,
        "clock_steps" => seen.clock_steps = number,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn stats_are_told_apart_by_service() {
        let admin = Admin::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let stats = admin.read_stats(concat!(
            "extension_config_discovery.http_filter.cutover.version_text: \"7\"\n",
            "extension_config_discovery.http_filter.cutover.config_fail: 2\n",
            "extension_config_discovery.http_filter.cutover.update_rejected: 1\n",
            "wasmcustom.cutover.plugin.cutover.config_refused: 3\n",
            "wasmcustom.cutover.plugin.cutover.module_version: 1002003\n",
            "wasmcustom.cutover.plugin.cutover.module_build: 10\n",
            "wasmcustom.cutover.plugin.cutover.service.default.active: 2\n",
            "wasmcustom.cutover.plugin.cutover.service.default.generation: 1763722800000\n",
            "wasmcustom.cutover.plugin.cutover.service.a.b.stale: 4\n",
            "wasmcustom.cutover.plugin.other.service.default.generation: 9\n",
        ));
        let default = Seen {
            generation: Some(1_763_722_800_000),
            active: Some(Color::Green),
            ..Seen::default()
        };
        let dotted = Seen {
            stale: 4,
            ..Seen::default()
        };
        assert_eq!(stats.services.get("default"), Some(&default));
        assert_eq!(stats.services.get("a.b"), Some(&dotted));
        assert_eq!(stats.services.len(), 2);
        assert_eq!(stats.version.as_deref(), Some("7"));
        assert_eq!(stats.module.unwrap().to_string(), "1.2.3 (00000000000a)");
        assert_eq!(
            (
                stats.update_rejected,
                stats.config_fail,
                stats.config_refused
            ),
            (1, 2, 3)
        );
    }
}
