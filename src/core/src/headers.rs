//! The headers that Cutover reads and writes.

/// Carries the cluster of the decided color, for `cluster_header` routes.
pub const CLUSTER: &str = "x-cutover-cluster";

/// Carries the configured value of the decided color, for header-matched routes.
pub const COLOR: &str = "x-cutover-color";

/// Tells upstreams, access logs and, when asked for, clients what was decided:
/// `green;g=1763722800000;by=active;svc=shop`.
pub const DECISION: &str = "x-cutover-decision";

/// The header whose values may override the color, when the configuration names no other.
pub const OVERRIDE: &str = "x-cutover-override";

/// True when the name is one that the filter writes, so that nobody else may give it a meaning.
pub fn is_written_by_filter(name: &str) -> bool {
    [CLUSTER, COLOR, DECISION].contains(&name)
}

/// The value of the cookie `name` in a `Cookie` header, byte for byte (RFC 6265, section 4.2.1).
pub fn cookie<'h>(header: &'h [u8], name: &str) -> Option<&'h [u8]> {
    header.split(|&byte| byte == b';').find_map(|pair| {
        let pair = pair.trim_ascii();
        let at = pair.iter().position(|&byte| byte == b'=')?;
        let (key, value) = pair.split_at(at);
        (key == name.as_bytes()).then(|| value.strip_prefix(b"=").unwrap_or(value))
    })
}
