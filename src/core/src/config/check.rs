//! From what is written to what can be used: every rule that a type alone does not hold.

use super::{InvalidConfig, wire};
use crate::hosts::Pattern;
use crate::overrides::{Override, Proof};
use crate::{Activation, Color, Previous, RouteBy, Service, Switch, headers, token};
use serde_json::Value;

/// A service, and the hosts that it wants, as understood.
pub(super) type Checked = (Service, Vec<Pattern>);

/// Checks one service; `path` is its JSON path with a dot at the end, or empty.
pub(super) fn service(
    name: &str,
    path: &str,
    wire: wire::Service,
) -> Result<Checked, InvalidConfig> {
    let fail = |field: &str, value: Value, problem: &str| {
        Err(InvalidConfig::new(format!("{path}{field}"), value, problem))
    };
    if !is_label(name) {
        let problem = "must be a name of 1 to 63 lower-case letters, digits and `-` (RFC 1123)";
        return Err(InvalidConfig::new(
            path.trim_end_matches('.'),
            name.into(),
            problem,
        ));
    }
    let mut closed = [false; 2];
    for color in wire.closed.unwrap_or_default() {
        if color == wire.active {
            return fail(
                "closed",
                color.as_str().into(),
                "must not name the active color",
            );
        }
        match color {
            Color::Blue => closed[0] = true,
            Color::Green => closed[1] = true,
        }
    }
    let activation = match (wire.activate_at, wire.hold) {
        (None, None) => None,
        (None, Some(hold)) => {
            return fail("hold", hold.0.into(), "stands only beside `activate_at`");
        }
        (Some(at), _) if wire.previous.is_none() => {
            let problem = "stands only beside `previous`, which rules until then";
            return fail("activate_at", at.0.into(), problem);
        }
        (Some(at), hold) => {
            let hold = hold.map_or(Ok(0), |hold| u32::try_from(hold.0));
            hold.ok().and_then(|hold| Activation::new(at.0, hold))
        }
    };
    let previous = match (wire.previous, wire.generation) {
        (None, _) => None,
        (Some(_), None) => {
            return fail("previous", Value::Null, "stands only beside a `generation`");
        }
        // Somebody wrote an older switch back, and left what another field manager had written beside a
        // newer one. To refuse that would refuse every listener that is made later.
        (Some(previous), Some(generation)) if previous.generation >= generation => None,
        (Some(wire::Previous { generation, active }), Some(_)) => {
            Some(Previous { generation, active })
        }
    };
    let (route_by, routes) = routes(path, wire.blue, wire.green)?;
    let overrides = wire
        .overrides
        .map(|wire| overrides(path, wire))
        .transpose()?;
    let hosts = wire.hosts.unwrap_or_else(|| vec!["*".to_owned()]);
    if hosts.is_empty() {
        return fail(
            "hosts",
            Value::Null,
            "must name a host, or be left out for any",
        );
    }
    let patterns = hosts.iter().enumerate().map(|(at, text)| {
        Pattern::parse(text).map_err(|form| {
            let path = format!("{path}hosts[{at}]");
            InvalidConfig::new(path, text.as_str().into(), format!("must be {form}"))
        })
    });
    let patterns = patterns.collect::<Result<_, _>>()?;
    let service = Service {
        name: name.to_owned(),
        path: path.to_owned(),
        hosts,
        register_key: String::new(),
        switch: Switch {
            generation: wire.generation,
            active: wire.active,
            previous,
            activation,
        },
        route_by,
        routes,
        closed,
        overrides,
    };
    Ok((service, patterns))
}

fn routes(
    path: &str,
    blue: wire::Route,
    green: wire::Route,
) -> Result<(RouteBy, [String; 2]), InvalidConfig> {
    use wire::Route::{Cluster, Header};
    let (by, blue, green) = match (blue, green) {
        (Cluster(blue), Cluster(green)) => (RouteBy::Cluster, blue, green),
        (Header(blue), Header(green)) => (RouteBy::Header, blue, green),
        _ => {
            return Err(InvalidConfig::new(
                format!("{path}green"),
                Value::Null,
                "must be of the same kind as `blue`: both clusters, or both header values",
            ));
        }
    };
    for (field, value) in [("blue", &blue), ("green", &green)] {
        if !is_header_value(value) {
            let problem = "must be 1 to 255 visible ASCII characters";
            return Err(InvalidConfig::new(
                format!("{path}{field}"),
                value.as_str().into(),
                problem,
            ));
        }
    }
    if blue == green {
        let problem = "must differ from `blue`";
        return Err(InvalidConfig::new(
            format!("{path}green"),
            green.into(),
            problem,
        ));
    }
    Ok((by, [blue, green]))
}

fn overrides(path: &str, wire: wire::Override) -> Result<Override, InvalidConfig> {
    let fail = |field: &str, value: Value, problem: &str| {
        let dot = if field.is_empty() { "" } else { "." };
        Err(InvalidConfig::new(
            format!("{path}override{dot}{field}"),
            value,
            problem,
        ))
    };
    if wire.header.is_none() && wire.cookie.is_none() {
        return fail("", Value::Null, "must name a `header`, a `cookie` or both");
    }
    let header = wire.header.map(|name| name.to_ascii_lowercase());
    if let Some(name) = &header
        && (!is_token(name) || headers::is_written_by_filter(name) || name == "host")
    {
        let problem = "must be a header name that neither routing nor the filter itself uses";
        return fail("header", name.as_str().into(), problem);
    }
    if let Some(name) = wire.cookie.as_ref().filter(|name| !is_token(name)) {
        return fail(
            "cookie",
            name.as_str().into(),
            "must be a cookie name (RFC 6265)",
        );
    }
    let values = match wire.values {
        None => Color::ALL.map(|color| (color, color.to_string())).to_vec(),
        Some(wire::Values { blue, green }) => [(Color::Blue, blue), (Color::Green, green)]
            .into_iter()
            .filter_map(|(color, value)| Some((color, value?)))
            .collect(),
    };
    for (color, value) in &values {
        if !is_cookie_value(value) {
            let problem = "must be 1 to 255 visible ASCII characters, without quotes, commas, \
                           semicolons and backslashes";
            return fail(&format!("values.{color}"), value.as_str().into(), problem);
        }
    }
    match values.as_slice() {
        [] => {
            return fail(
                "values",
                Value::Null,
                "must name a value for `blue`, `green` or both",
            );
        }
        [(_, blue), (_, green)] if blue == green => {
            return fail(
                "values.green",
                green.as_str().into(),
                "must differ from `blue`",
            );
        }
        _ => {}
    }
    let paths = wire.paths.unwrap_or_default();
    if let Some(at) = paths.iter().position(|prefix| !prefix.starts_with('/')) {
        let value = paths.get(at).map(String::as_str).unwrap_or_default().into();
        return fail(&format!("paths[{at}]"), value, "must start with `/`");
    }
    let proof = match (wire.keys, wire.unsigned) {
        (None, true) => Proof::Unsigned,
        (Some(_), true) => {
            return fail(
                "unsigned",
                true.into(),
                "must be left out where `keys` are required",
            );
        }
        (None, false) => {
            let problem = "must name `keys` that sign overrides; for local use say \
                           `\"unsigned\": true`";
            return fail("", Value::Null, problem);
        }
        (Some(ids), false) if ids.is_empty() => {
            return fail("keys", Value::Null, "must name a key");
        }
        (Some(ids), false) => {
            if let Some(at) = ids.iter().position(|id| !token::is_key_id(id)) {
                let value = ids.get(at).map(String::as_str).unwrap_or_default().into();
                let problem = "must be 1 to 32 letters, digits and `_`";
                return fail(&format!("keys[{at}]"), value, problem);
            }
            Proof::Keys(ids.into_iter().map(|id| (id, None)).collect())
        }
    };
    let forbid = wire.refused == wire::Refused::Forbid;
    Ok(Override {
        header,
        cookie: wire.cookie,
        values,
        paths,
        proof,
        forbid,
    })
}

/// A DNS label (RFC 1123): it stands unquoted in headers, metric names and Kubernetes names.
fn is_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A token of RFC 9110, section 5.6.2: what header and cookie names are made of.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn is_header_value(value: &str) -> bool {
    (1..=255).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic())
}

/// A cookie-octet of RFC 6265, section 4.1.1: the same value stands in headers and cookies.
fn is_cookie_value(value: &str) -> bool {
    is_header_value(value) && !value.bytes().any(|b| b"\",;\\".contains(&b))
}
