//! The requests and streams that are open at the upstreams of an Envoy.

use super::{Admin, AdminError, escaped, percent_encoded};
use std::collections::BTreeMap;

impl Admin {
    /// Asks how many requests and streams (a WebSocket is one) clusters have open now, by the
    /// cluster's name. One that Envoy does not have is absent.
    pub async fn open_streams(&self, names: &[&str]) -> Result<BTreeMap<String, u64>, AdminError> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let regex: Vec<_> = names.iter().map(|name| escaped(&in_stats(name))).collect();
        let regex = format!(r"^cluster\.({})\.upstream_rq_active$", regex.join("|"));
        let body = self
            .get(&format!("/stats?filter={}", percent_encoded(&regex)))
            .await?;
        let text = String::from_utf8_lossy(&body);
        let number = |name: &str| {
            let stat = format!("cluster.{}.upstream_rq_active: ", in_stats(name));
            text.lines()
                .find_map(|line| line.strip_prefix(&stat)?.parse().ok())
        };
        let open = names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), number(name)?)));
        Ok(open.collect())
    }
}

/// A cluster's name as its stats have it.
fn in_stats(name: &str) -> String {
    name.replace(':', "_")
}
