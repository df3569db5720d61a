//! A bootstrap that leaves it to the filter what becomes of headers that clients forge.

/// The bootstrap without its early header mutation, which would hide a filter that trusts clients.
pub(super) fn removed(yaml: &str) -> String {
    let mut inside = false;
    let mut kept = String::with_capacity(yaml.len());
    for line in yaml.lines() {
        let key = line.trim_start();
        inside = match key {
            "early_header_mutation_extensions:" => true,
            "http_filters:" => false,
            _ => inside,
        };
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use cutover_control::Bootstrap;

    use super::*;

    #[test]
    fn stripping_is_taken_out_and_nothing_else() {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let bootstrap = Bootstrap {
            listeners: vec![local, local],
            ..Bootstrap::default()
        };
        let whole = bootstrap.render();
        let without = removed(&whole);
        let gone: Vec<_> = whole
            .lines()
            .filter(|line| !without.contains(line))
            .collect();
        assert_eq!(
            whole.matches("early_header_mutation_extensions:").count(),
            2
        );
        assert_eq!(without.matches("mutation").count(), 0, "{without}");
        assert_eq!(without.matches("http_filters:").count(), 2);
        assert!(
            gone.iter()
                .all(|line| line.contains("mutation") || line.contains("- remove:")),
            "{gone:?}"
        );
    }
}
