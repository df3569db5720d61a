//! What is decided for a request: the precedence, the register, hosts and overrides.

#![expect(clippy::unwrap_used, clippy::string_slice, reason = "a test's helper")]

mod support;

use cutover_core::{Color, token};
use support::{Fake, KEY, NOW, decided, plan};
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A service with every kind of override and the given extra fields.
fn service(extra: &str) -> String {
    format!(
        r#"{{"active": "blue", "generation": 7, "blue": "b", "green": "g",
            "override": {{"header": "X-Preview", "cookie": "preview", "keys": ["k1"]}}{extra}}}"#
    )
}

fn signed(color: Color, service: &str, expiry: u64, key: &[u8]) -> String {
    let key = token::Key::new(key).unwrap();
    token::sign("k1", &key, service, color, color.as_str(), expiry)
}

/// A token whose last digit is another.
fn damaged_at_the_end(token: &str) -> String {
    let (rest, last) = token.split_at(token.len() - 1);
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}

#[track_caller]
fn check<const N: usize>(config: &str, headers: [(&'static str, &[u8]); N], expect: &str) {
    let plan = plan(config);
    let mut request = Fake::new(headers);
    request.configure(&plan);
    assert_eq!(decided(&plan, &request), expect);
}

#[test]
fn the_smallest_configuration_serves_its_active_color() {
    let config = r#"{"active": "green", "blue": "app-v1", "green": "app-v2"}"#;
    check(config, [], "green;g=0;by=active;svc=default");
}

#[test]
fn one_service_for_any_host_reads_no_header_at_all() {
    let plan = plan(r#"{"active": "blue", "generation": 1, "blue": "b", "green": "g"}"#);
    let request = Fake::new([(":authority", b"shop.example.com")]);
    decided(&plan, &request);
    assert_eq!(*request.read.borrow(), Vec::<String>::new());
}

#[test]
fn the_register_rules_over_the_configuration_of_a_worker() {
    let old = plan(r#"{"active": "blue", "generation": 1, "blue": "b", "green": "g"}"#);
    let new = plan(r#"{"active": "green", "generation": 2, "blue": "b", "green": "g"}"#);
    let mut request = Fake::default();
    request.configure(&old);
    assert_eq!(decided(&new, &request), "blue;g=1;by=active;svc=default");
    request.configure(&new);
    assert_eq!(decided(&old, &request), "green;g=2;by=active;svc=default");
}

#[test]
fn without_a_register_the_configuration_rules() {
    let plan = plan(r#"{"active": "green", "generation": 5, "blue": "b", "green": "g"}"#);
    assert_eq!(
        decided(&plan, &Fake::default()),
        "green;g=5;by=active;svc=default"
    );
}

#[test]
fn a_register_that_cannot_be_read_is_none() {
    let plan = plan(r#"{"active": "green", "generation": 5, "blue": "b", "green": "g"}"#);
    for bytes in [
        &b""[..],
        b"\x01",
        b"\x09\x01\x01\0\0\0\0\0\0\0",
        b"\x01\x07\x01\0\0\0\0\0\0\0",
    ] {
        let mut request = Fake::default();
        request
            .shared
            .insert("cutover/1/test/default".to_owned(), bytes.to_vec());
        assert_eq!(
            decided(&plan, &request),
            "green;g=5;by=active;svc=default",
            "{bytes:?}"
        );
    }
}

#[test]
fn a_signed_override_reaches_green_by_header_and_by_cookie() {
    let token = signed(Color::Green, "default", NOW + 1, KEY);
    let expect = "green;g=7;by=override;svc=default";
    check(&service(""), [("x-preview", token.as_bytes())], expect);
    let cookie = format!("a=b; preview={token}; c=d");
    check(&service(""), [("cookie", cookie.as_bytes())], expect);
}

#[test]
fn a_refused_override_takes_the_normal_route_and_says_why() {
    let route = "blue;g=7;by=active;svc=default";
    let valid = signed(Color::Green, "default", NOW + 1, KEY);
    let cases = [
        ("green".to_owned(), "a preview token is required"),
        (
            signed(Color::Green, "default", NOW, KEY),
            "the token has expired",
        ),
        (
            signed(Color::Green, "shop", NOW + 1, KEY),
            "the token's signature is wrong",
        ),
        (
            signed(Color::Green, "default", NOW + 1, b"another key of 16"),
            "the token's signature is wrong",
        ),
        (
            valid.replacen("green", "blue", 1),
            "the token's signature is wrong",
        ),
        (
            valid.replace(".k1.", ".k2."),
            "the token's key is not known",
        ),
        (
            valid[..valid.len() - 1].to_owned(),
            "a preview token is required",
        ),
        (
            valid.to_uppercase().replacen("GREEN.K1", "green.k1", 1),
            "a preview token is required",
        ),
        (damaged_at_the_end(&valid), "the token's signature is wrong"),
        (format!("{valid}0"), "a preview token is required"),
        (
            valid.replace(&(NOW + 1).to_string(), "99999999999999999999"),
            "a preview token is required",
        ),
        (
            valid.replace(&(NOW + 1).to_string(), "+1763722801"),
            "a preview token is required",
        ),
    ];
    for (value, refusal) in cases {
        check(
            &service(""),
            [("x-preview", value.as_bytes())],
            &format!("{route} ({refusal})"),
        );
    }
}

#[test]
fn what_is_no_override_value_is_no_override() {
    let values: [&[u8]; 6] = [b"", b"Green", b"purple", b"gr\xff\xfe", b"\0", b"green "];
    for value in values {
        check(
            &service(""),
            [("x-preview", value)],
            "blue;g=7;by=active;svc=default",
        );
    }
}

#[test]
fn a_header_that_asks_for_nothing_leaves_it_to_the_cookie() {
    let cookie = format!("preview={}", signed(Color::Green, "default", NOW + 1, KEY));
    let headers = [("x-preview", &b"purple"[..]), ("cookie", cookie.as_bytes())];
    check(&service(""), headers, "green;g=7;by=override;svc=default");
}

#[test]
fn a_refused_override_is_forbidden_where_the_service_says_so() {
    let config = r#"{"active": "blue", "blue": "b", "green": "g",
        "override": {"header": "x-preview", "keys": ["k1"], "refused": "forbid"}}"#;
    let expect = "403 cutover: override refused for service default: a preview token is required";
    check(config, [("x-preview", b"green")], expect);
    check(
        config,
        [("x-preview", b"purple")],
        "blue;g=0;by=active;svc=default",
    );
    check(config, [], "blue;g=0;by=active;svc=default");
}

#[test]
fn an_override_to_a_closed_color_is_answered_with_the_reason() {
    let config = service(r#", "closed": ["green"]"#);
    let token = signed(Color::Green, "default", NOW + 1, KEY);
    let expect = "503 cutover: green is closed for service default";
    check(&config, [("x-preview", token.as_bytes())], expect);
    // Who may not override learns nothing of it.
    let expect = "blue;g=7;by=active;svc=default (a preview token is required)";
    check(&config, [("x-preview", b"green")], expect);
}

#[test]
fn a_closed_color_takes_no_traffic_even_when_the_register_makes_it_active() {
    let flipped = plan(
        &service("")
            .replace("\"blue\", \"gen", "\"green\", \"gen")
            .replace('7', "9"),
    );
    let closed = plan(&service(r#", "closed": ["green"]"#));
    let mut request = Fake::default();
    request.configure(&flipped);
    assert_eq!(
        decided(&flipped, &request),
        "green;g=9;by=active;svc=default"
    );
    assert_eq!(decided(&closed, &request), "blue;g=9;by=closed;svc=default");
}

#[test]
fn overrides_stay_within_their_path_prefixes() {
    let config = r#"{"active": "blue", "blue": "b", "green": "g", "override":
        {"header": "x-preview", "unsigned": true, "paths": ["/shop/", "/cart"]}}"#;
    let (green, blue) = (
        "green;g=0;by=override;svc=default",
        "blue;g=0;by=active;svc=default",
    );
    let paths: [(&[u8], _); 6] = [
        (b"/shop/1", green),
        (b"/cart", green),
        (b"/carts?x=1", green),
        (b"/shop", blue),
        (b"/", blue),
        (b"/SHOP/1", blue),
    ];
    for (path, expect) in paths {
        check(config, [("x-preview", b"green"), (":path", path)], expect);
    }
    check(config, [("x-preview", b"green")], blue);
}

#[test]
fn override_values_are_exact_and_only_those_of_the_configuration() {
    let config = r#"{"active": "blue", "blue": "b", "green": "g", "override":
        {"header": "x-preview", "unsigned": true, "values": {"green": "let.me.in"}}}"#;
    check(
        config,
        [("x-preview", b"let.me.in")],
        "green;g=0;by=override;svc=default",
    );
    check(
        config,
        [("x-preview", b"green")],
        "blue;g=0;by=active;svc=default",
    );
    check(
        config,
        [("x-preview", b"let.me")],
        "blue;g=0;by=active;svc=default",
    );
}

#[test]
fn services_are_told_apart_by_host() {
    let config = r#"{"services": {
        "exact": {"hosts": ["Shop.example.com", "[::1]"], "active": "blue", "blue": "b", "green": "g"},
        "suffix": {"hosts": ["*.example.com"], "active": "blue", "blue": "b", "green": "g"},
        "deeper": {"hosts": ["*.eu.example.com"], "active": "blue", "blue": "b", "green": "g"},
        "any": {"hosts": ["*"], "active": "blue", "blue": "b", "green": "g"}}}"#;
    let long = [b"a.".repeat(5000), b"example.com".to_vec()].concat();
    let cases: [(&[u8], &str); 12] = [
        (b"shop.example.com", "exact"),
        (b"SHOP.EXAMPLE.COM:8443", "exact"),
        (b"shop.example.com.", "exact"),
        (b"[::1]:80", "exact"),
        (b"api.example.com", "suffix"),
        (b"a.b.example.com:1", "suffix"),
        (b"a.eu.example.com", "deeper"),
        (b"eu.example.com", "suffix"),
        (b"example.com", "any"),
        (b"xexample.com", "any"),
        (b"\xff\xfe.example.com", "any"),
        (&long, "any"),
    ];
    for (host, name) in cases {
        let expect = format!("blue;g=0;by=active;svc={name}");
        check(config, [(":authority", host)], &expect);
    }
    check(config, [], "blue;g=0;by=active;svc=any");
}

#[test]
fn a_host_that_is_nobodys_is_unclaimed() {
    let config = r#"{"services": {"shop":
        {"hosts": ["shop.example.com"], "active": "blue", "blue": "b", "green": "g"}}}"#;
    check(config, [(":authority", b"other.example.com")], "unclaimed");
    check(config, [], "unclaimed");
}

#[test]
fn ten_thousand_services_are_found_by_one_look_at_the_host() {
    let services: Vec<_> = (0..10_000)
        .map(|n| {
            format!(
                r#""s{n}": {{"hosts": ["s{n}.example.com"], "active": "blue", "generation": 1,
                    "blue": "b", "green": "g"}}"#
            )
        })
        .collect();
    let plan = plan(&format!(r#"{{"services": {{{}}}}}"#, services.join(",")));
    let mut request = Fake::new([(":authority", b"s9999.example.com")]);
    request.configure(&plan);
    assert_eq!(decided(&plan, &request), "blue;g=1;by=active;svc=s9999");
    assert_eq!(*request.read.borrow(), [":authority"]);
}

#[test]
fn a_key_has_sixteen_bytes_at_least() {
    assert!(token::Key::new(&[7; 15]).is_err());
    assert!(token::Key::new(&[7; 16]).is_ok());
}
