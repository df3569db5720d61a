//! The configuration that an Envoy was given: `/config_dump`.

use super::{Admin, AdminError, any_of, percent_encoded};
use crate::Running;
use hyper::StatusCode;
use serde_json::Value;

/// Envoy refuses expressions whose program is larger than 100 instructions, about one a letter; the names
/// that istiod makes are longer. Then all filters are asked for.
const LONGEST_REGEX: usize = 60;

impl Admin {
    /// Asks for the filter's configuration as Envoy was given it last, refused or not; none when it
    /// was given none yet.
    pub async fn running_config(&self) -> Result<Option<Running>, AdminError> {
        let names = any_of(self.names.iter().map(|names| names.filter.as_str()));
        let mut path = "/config_dump?resource=ecds_filters".to_owned();
        if names.len() <= LONGEST_REGEX {
            path += "&name_regex=";
            path += &percent_encoded(&format!("^{names}$"));
        }
        let (status, body) = self.ask(&path).await?;
        match status {
            StatusCode::OK => Ok(self.read_dump(&body)),
            // It says so when no listener has a filter by discovery.
            StatusCode::NOT_FOUND => Ok(None),
            other => Err(self.unexpected(format!("/config_dump gives {other}"))),
        }
    }

    fn read_dump(&self, body: &[u8]) -> Option<Running> {
        let mut dump: Value = serde_json::from_slice(body).ok()?;
        let configs = dump.get_mut("configs")?.as_array_mut()?;
        configs.iter_mut().find_map(|config| {
            let name = config.pointer("/ecds_filter/name")?;
            if self.names.iter().all(|names| *name != names.filter) {
                return None;
            }
            let version = config.get("version_info").and_then(Value::as_str);
            Some(Running {
                version: version.map(str::to_owned),
                resource: config.get_mut("ecds_filter").map(Value::take)?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dump_of_another_filter_is_not_taken_for_this_one() {
        let admin = Admin::new(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
        let dump = br#"{"configs": [
            {"version_info": "7", "ecds_filter": {"name": "other"}},
            {"version_info": "8", "ecds_filter": {"name": "cutover", "typed_config": {}}}
        ]}"#;
        let running = admin.read_dump(dump).unwrap();
        assert_eq!(running.version.as_deref(), Some("8"));
        assert_eq!(running.resource["name"], "cutover");
        assert_eq!(admin.read_dump(b"{}"), None);
        assert_eq!(admin.read_dump(b"ecds_filters not found"), None);
    }
}
