use crate::{
    assert_run,
    real_envoy::Proxied,
    support::{Ran, Stage},
};
use cutover_core::{Color, token};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::ffi::OsStringExt as _,
};

const KEY: &[u8] = b"0123456789abcdef";
const FAR: u64 = 4_000_000_000;

fn configuration() -> Value {
    json!({
        "expose": { "response_header": true },
        "services": {
            "shop": {
                "hosts": ["shop.example.com", "*.shop.example.com"],
                "active": "blue", "generation": 7, "blue": { "cluster": "blue" }, "green": { "cluster": "green" },
                "override": { "header": "x-preview", "cookie": "preview", "keys": ["k1"], "paths": ["/api", "/new"] },
            },
            "blog": {
                "hosts": ["blog.example.com"],
                "active": "green", "generation": 8, "blue": { "cluster": "blue" }, "green": { "cluster": "green" },
                "override": { "header": "x-blog", "unsigned": true, "values": { "blue": "old" } },
            },
            "admin": {
                "hosts": ["admin.example.com"], "closed": ["green"],
                "active": "blue", "generation": 9, "blue": { "cluster": "blue" }, "green": { "cluster": "green" },
                "override": { "header": "x-preview", "keys": ["k1"], "refused": "forbid" },
            },
            "soon": {
                "hosts": ["soon.example.com"],
                "active": "green", "generation": 11, "previous": { "generation": 10, "active": "blue" },
                "activate_at": 9_000_000_000_000_u64, "hold": 20,
                "blue": { "cluster": "blue" }, "green": { "cluster": "green" },
                "override": { "header": "x-soon", "unsigned": true },
            },
        }
    })
}

fn token(service: &str, expiry: u64) -> String {
    let key = token::Key::new(KEY).unwrap();
    token::sign("k1", &key, service, Color::Green, "green", expiry)
}

fn stage() -> Stage {
    let stage = Stage::new();
    stage.write("it.json", &configuration().to_string());
    stage
}

fn explain(arguments: &[&str]) -> Ran {
    let arguments = [&["explain", "it.json"], arguments].concat();
    stage().run_with(&arguments, &[("CUTOVER_KEY_k1", "0123456789abcdef")])
}

#[test]
fn the_active_color_needs_no_more_words() {
    assert_run!(explain(&["--host", "shop.example.com"]), @"
    exit code: 0
    --- stdout
    blue, for service shop
    route: x-cutover-cluster: blue
    decision: blue;g=7;by=active;svc=shop
    why: blue is active
    next: `cutover status` shows whether every Envoy has this configuration
    ");
    assert_run!(explain(&["--host", "shop.example.com", "-o", "json"]), @r#"
    exit code: 0
    --- stdout
    {
      "color": "blue",
      "decision": "blue;g=7;by=active;svc=shop",
      "exit_code": 0,
      "file": "it.json",
      "generation": 7,
      "next": "`cutover status` shows whether every Envoy has this configuration",
      "outcome": "routed",
      "reason": "active",
      "refused": null,
      "route": {
        "header": "x-cutover-cluster",
        "value": "blue"
      },
      "service": "shop",
      "why": "blue is active"
    }
    "#);
}

/// A switch that was to activate at an instant.
fn staged(at: u64) -> Stage {
    let stage = Stage::new();
    let switch = json!({
        "active": "green", "generation": 8, "previous": { "generation": 7, "active": "blue" },
        "activate_at": at, "hold": 20, "blue": "v1", "green": "v2",
        "override": { "header": "x-preview", "unsigned": true },
    });
    stage.write("it.json", &switch.to_string());
    stage
}

#[test]
fn before_the_instant_of_a_staged_switch_it_tells_what_is_true_now_and_what_then() {
    let stage = staged(9_000_000_000_000);
    assert_run!(stage.run(&["explain", "it.json"]), @"
    exit code: 0
    --- stdout
    blue, for service default
    route: x-cutover-cluster: v1
    decision: blue;g=7;by=active;svc=default
    from 2255-03-14T16:00:00.000Z on: green, for service default
    route: x-cutover-cluster: v2
    decision: green;g=8;by=active;svc=default
    why: blue is active; green is staged, and becomes active at 2255-03-14T16:00:00.000Z (hold 20 ms)
    next: `cutover status` shows whether every Envoy has this configuration
    ");
    let json = stage.run(&["explain", "it.json", "-o", "json"]).json();
    assert_eq!(
        (&json["color"], &json["generation"], &json["route"]["value"]),
        (&json!("blue"), &json!(7), &json!("v1"))
    );
    let then = &json["then"];
    assert_eq!(
        (&then["at"], &then["hold"]),
        (&json!(9_000_000_000_000_u64), &json!(20))
    );
    assert_eq!(
        (&then["color"], &then["generation"], &then["route"]["value"]),
        (&json!("green"), &json!(8), &json!("v2"))
    );
    // Who asks for green gets it before that, too.
    assert_run!(stage.run(&["explain", "it.json", "-H", "x-preview: green"]), @"
    exit code: 0
    --- stdout
    green, for service default
    route: x-cutover-cluster: v2
    decision: green;g=7;by=override;svc=default
    from 2255-03-14T16:00:00.000Z on: green, for service default
    route: x-cutover-cluster: v2
    decision: green;g=8;by=override;svc=default
    why: header `x-preview` asks for green, and needs no token for that
    next: `cutover status` shows whether every Envoy has this configuration
    ");
}

#[test]
fn after_its_instant_a_switch_is_active() {
    let stage = staged(1_763_722_800_000);
    assert_run!(stage.run(&["explain", "it.json"]), @"
    exit code: 0
    --- stdout
    green, for service default
    route: x-cutover-cluster: v2
    decision: green;g=8;by=active;svc=default
    why: green is active since 2025-11-21T11:00:00.000Z
    next: `cutover status` shows whether every Envoy has this configuration
    ");
}

#[test]
fn an_override_is_told_with_its_token() {
    let header = format!("X-Preview: {}", token("shop", FAR));
    assert_run!(explain(&["--host", "www.shop.example.com", "--path", "/api/1", "-H", &header]), @"
    exit code: 0
    --- stdout
    green, for service shop
    route: x-cutover-cluster: green
    decision: green;g=7;by=override;svc=shop
    why: header `x-preview` asks for green, signed by key `k1` until [UNTIL]
    next: `cutover status` shows whether every Envoy has this configuration
    ");
    let cookie = format!("Cookie: a=b; preview={}", token("shop", FAR));
    assert_run!(explain(&["--host", "shop.example.com", "--path", "/new", "-H", &cookie, "-o", "yaml"]), @"
    exit code: 0
    --- stdout
    color: green
    decision: green;g=7;by=override;svc=shop
    exit_code: 0
    file: it.json
    generation: 7
    next: '`cutover status` shows whether every Envoy has this configuration'
    outcome: routed
    reason: override
    refused: null
    route:
      header: x-cutover-cluster
      value: green
    service: shop
    why: cookie `preview` asks for green, signed by key `k1` until [UNTIL]
    ");
    assert_run!(explain(&["--host", "blog.example.com", "-H", "x-blog: old"]), @"
    exit code: 0
    --- stdout
    blue, for service blog
    route: x-cutover-cluster: blue
    decision: blue;g=8;by=override;svc=blog
    why: header `x-blog` asks for blue, and needs no token for that
    next: `cutover status` shows whether every Envoy has this configuration
    ");
}

#[test]
fn an_override_that_counts_for_nothing_says_why() {
    let shop = ["--host", "shop.example.com", "--path", "/api", "-H"];
    let ask = |value: &str| explain(&[&shop[..], &[&format!("x-preview: {value}")]].concat());
    assert_run!(ask("green"), @"
    exit code: 0
    --- stdout
    blue, for service shop
    route: x-cutover-cluster: blue
    decision: blue;g=7;by=active;svc=shop
    why: the override is refused: a preview token is required; blue is active
    next: `cutover status` shows whether every Envoy has this configuration
    ");
    // One that was cut, or to which something was added, was given all the same.
    let whole = token("shop", FAR);
    let cut = whole.rsplit_once('.').unwrap().0;
    for damaged in [cut, &format!("{whole}0")] {
        let ran = ask(damaged);
        assert!(
            ran.stdout.contains(
                "why: the override is refused: what was given is no preview token (a whole one is"
            ),
            "{ran}"
        );
    }
    assert_run!(ask(&token("shop", 1_700_000_000)), @"
    exit code: 0
    --- stdout
    blue, for service shop
    route: x-cutover-cluster: blue
    decision: blue;g=7;by=active;svc=shop
    why: the override is refused: the token has expired ([UNTIL]); blue is active
    next: `cutover status` shows whether every Envoy has this configuration
    ");
    assert_run!(ask(&token("blog", FAR)), @"
    exit code: 0
    --- stdout
    blue, for service shop
    route: x-cutover-cluster: blue
    decision: blue;g=7;by=active;svc=shop
    why: the override is refused: the token's signature is wrong (key `k1`); blue is active
    next: `cutover status` shows whether every Envoy has this configuration
    ");
    assert_run!(ask(&token("shop", FAR).replace("k1", "k2")), @"
    exit code: 0
    --- stdout
    blue, for service shop
    route: x-cutover-cluster: blue
    decision: blue;g=7;by=active;svc=shop
    why: the override is refused: the token's key is not known (key `k2`); blue is active
    next: `cutover status` shows whether every Envoy has this configuration
    ");
    assert_run!(ask("purple"), @"
    exit code: 0
    --- stdout
    blue, for service shop
    route: x-cutover-cluster: blue
    decision: blue;g=7;by=active;svc=shop
    why: `purple` in header `x-preview` asks for no color: blue or green would; blue is active
    next: `cutover status` shows whether every Envoy has this configuration
    ");
    let header = format!("x-preview: {}", token("shop", FAR));
    assert_run!(explain(&["--host", "shop.example.com", "--path", "/", "-H", &header]), @"
    exit code: 0
    --- stdout
    blue, for service shop
    route: x-cutover-cluster: blue
    decision: blue;g=7;by=active;svc=shop
    why: header `x-preview` counts only for paths that begin with /api, /new; blue is active
    next: `cutover status` shows whether every Envoy has this configuration
    ");
}

#[test]
fn what_the_filter_answers_itself_is_told() {
    let header = format!("x-preview: {}", token("admin", FAR));
    assert_run!(explain(&["--host", "admin.example.com", "-H", &header]), @"
    exit code: 0
    --- stdout
    503 from the filter, for service admin
    body: cutover: green is closed for service admin
    why: header `x-preview` asks for green, which is closed
    next: take green out of `closed`, or ask for the other color
    ");
    assert_run!(explain(&["--host", "admin.example.com", "-H", "x-preview: green", "-o", "jsonl"]), @r#"
    exit code: 0
    --- stdout
    {"event":"result","body":"cutover: override refused for service admin: a preview token is required\n","exit_code":0,"file":"it.json","next":"`cutover preview green --service admin` makes a good token","outcome":"answered","service":"admin","status":403,"why":"the override is refused: a preview token is required, and the service forbids such requests (`\"refused\": \"forbid\"`)"}
    "#);
}

#[test]
fn a_host_of_no_service_is_told() {
    assert_run!(explain(&["--host", "example.com"]), @"
    exit code: 0
    --- stdout
    no service: it goes where it would have gone
    why: no service answers to host `example.com`; the services' hosts are admin.example.com, blog.example.com, shop.example.com, *.shop.example.com, soon.example.com
    next: say --host admin.example.com, or add the host to a service's `hosts`
    ");
    assert_run!(explain(&[]), @"
    exit code: 0
    --- stdout
    no service: it goes where it would have gone
    why: no host was said (--host); the services' hosts are admin.example.com, blog.example.com, shop.example.com, *.shop.example.com, soon.example.com
    next: say --host admin.example.com, or add the host to a service's `hosts`
    ");
}

#[test]
fn a_key_that_is_not_here_leaves_a_token_unexplained() {
    let header = format!("x-preview: {}", token("shop", FAR));
    let arguments = [
        "explain",
        "it.json",
        "--host",
        "shop.example.com",
        "--path",
        "/api",
        "-H",
        &header,
    ];
    assert_run!(stage().run(&arguments), @"
    exit code: 3
    --- stderr
    error: cannot be told: the request has a token of key `k1`, and CUTOVER_KEY_k1 is not set here
    hint: set CUTOVER_KEY_k1 to the key that Envoy has
    ");
    assert_run!(stage().run_with(&arguments, &[("CUTOVER_KEY_k1", "short")]), @"
    exit code: 2
    --- stderr
    error: CUTOVER_KEY_k1 in the environment: a key of 5 bytes is too short: 16 at least
    hint: openssl rand -hex 32 makes a good key; Envoy needs the same
    ");
    // Another key than Envoy's gives what another Envoy would say.
    let other = [("CUTOVER_KEY_k1", "another key of many bytes")];
    assert_run!(stage().run_with(&arguments, &other), @"
    exit code: 0
    --- stdout
    blue, for service shop
    route: x-cutover-cluster: blue
    decision: blue;g=7;by=active;svc=shop
    why: the override is refused: the token's signature is wrong (key `k1`); blue is active
    next: `cutover status` shows whether every Envoy has this configuration
    ");
    // Who has no token needs no key.
    assert_eq!(
        stage()
            .run(&["explain", "it.json", "--host", "shop.example.com"])
            .code,
        Some(0)
    );
}

#[test]
fn bytes_that_are_no_text_are_headers_like_others() {
    let stage = stage();
    let header = std::ffi::OsString::from_vec(b"x-preview: \xff\xfe".to_vec());
    let mut command = stage.command(&[
        "explain",
        "it.json",
        "--host",
        "shop.example.com",
        "--path",
        "/api",
        "-H",
    ]);
    let output = command.arg(header).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("why: `\u{fffd}\u{fffd}` in header `x-preview` asks for no color"),
        "{text}"
    );
}

#[test]
fn a_request_is_taken_from_what_curl_prints() {
    let stage = stage();
    stage.write("request", "* Trying\n> GET /x HTTP/1.1\n> Host: blog.example.com\n> X-Blog: old\n>\n< HTTP/1.1 200 OK\n");
    assert_run!(stage.run(&["explain", "it.json", "--request", "request"]), @"
    exit code: 0
    --- stdout
    blue, for service blog
    route: x-cutover-cluster: blue
    decision: blue;g=8;by=override;svc=blog
    why: header `x-blog` asks for blue, and needs no token for that
    next: `cutover status` shows whether every Envoy has this configuration
    ");
    stage.write("request", "GET / HTTP/1.1\nnonsense\n");
    assert_run!(stage.run(&["explain", "it.json", "--request", "request"]), @"
    exit code: 2
    --- stderr
    error: request: `nonsense` is no line of a request
    hint: it begins with a line such as `GET / HTTP/1.1`; headers are `name: value`
    ");
    assert_run!(stage.run(&["explain", "-", "--request", "-"]), @"
    exit code: 2
    --- stderr
    error: standard input cannot be both configuration and request
    hint: name a file for one of them
    ");
    assert_run!(stage.run(&["explain", "it.json", "-H", "nonsense"]), @"
    exit code: 2
    --- stderr
    error: `nonsense` is no header
    hint: a header is 'name: value'
    ");
}

/// Heads of requests: bytes as a client sends them.
fn heads() -> Vec<Vec<u8>> {
    let good = token("shop", FAR);
    let admin = token("admin", FAR);
    let mut forged = good.clone();
    let last = if forged.ends_with('0') { "1" } else { "0" };
    forged.replace_range(forged.len() - 1.., last);
    let shop =
        |path: &str, rest: &str| format!("GET {path} HTTP/1.1\r\nHost: shop.example.com\r\n{rest}");
    let host = |host: &str, rest: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n{rest}");
    let texts = [
        shop("/", ""),
        host("SHOP.example.com:8080", ""),
        host("shop.example.com.", ""),
        host("a.b.shop.example.com", ""),
        host("xshop.example.com", ""),
        host("[::1]:80", ""),
        shop("/api", "X-Preview: green\r\n"),
        shop("/api", &format!("X-PREVIEW:   {good}  \r\n")),
        shop("/newer?x=1", &format!("x-preview: {good}\r\n")),
        shop("/", &format!("x-preview: {good}\r\n")),
        shop("//api", &format!("x-preview: {good}\r\n")),
        shop("/a/../api", &format!("x-preview: {good}\r\n")),
        shop("/%61pi", &format!("x-preview: {good}\r\n")),
        shop(
            "/api",
            &format!("x-preview: {}\r\n", token("shop", 1_700_000_000)),
        ),
        shop("/api", &format!("x-preview: {admin}\r\n")),
        shop("/api", &format!("x-preview: {forged}\r\n")),
        shop(
            "/api",
            &format!("x-preview: {}\r\n", good.replace("k1", "k2")),
        ),
        shop("/api", &format!("x-preview: {}\r\n", good.to_uppercase())),
        shop("/api", "x-preview:\r\n"),
        shop("/api", "x-preview: green.k1.1.zz\r\n"),
        shop("/api", &format!("cookie: preview={good}\r\n")),
        shop("/api", &format!("cookie: a=b; preview={good}; c\r\n")),
        shop(
            "/api",
            &format!("cookie: a=b\r\ncookie: preview={good}\r\n"),
        ),
        shop("/api", &format!("cookie: preview=x; preview={good}\r\n")),
        shop(
            "/api",
            &format!("x-preview: purple\r\ncookie: preview={good}\r\n"),
        ),
        shop(
            "/api",
            &format!("x-preview: green\r\ncookie: preview={good}\r\n"),
        ),
        shop(
            "/api",
            &format!("x-preview: {good}\r\nx-preview: green\r\n"),
        ),
        shop(
            "/api",
            &format!("x-preview: green\r\nx-preview: {good}\r\n"),
        ),
        shop(
            "/",
            "x-cutover-cluster: green\r\nx-cutover-decision: green\r\nx-cutover-color: green\r\n",
        ),
        host("blog.example.com", ""),
        host("blog.example.com", "x-blog: old\r\n"),
        host("blog.example.com", "x-blog: Old\r\n"),
        host("blog.example.com", "x-blog: green\r\n"),
        host("soon.example.com", ""),
        host("soon.example.com", "x-soon: green\r\n"),
        host("admin.example.com", ""),
        host("admin.example.com", "x-preview: blue\r\n"),
        host("admin.example.com", &format!("x-preview: {admin}\r\n")),
        "GET http://blog.example.com/x HTTP/1.1\r\nHost: shop.example.com\r\n".to_owned(),
        "POST / HTTP/1.1\r\nHost: shop.example.com\r\ncontent-length: 0\r\n".to_owned(),
    ];
    let mut heads: Vec<_> = texts.into_iter().map(String::into_bytes).collect();
    for name in ["x-preview", "cookie", "x-other"] {
        let mut head = shop("/api", "").into_bytes();
        head.extend([name.as_bytes(), b": preview=\xff\xfe\x80; green\r\n"].concat());
        heads.push(head);
    }
    heads
}

/// What Envoy says: its decision, or what it answers in its stead.
fn asked(listener: SocketAddr, head: &[u8]) -> (u16, Option<String>, String) {
    let mut stream = TcpStream::connect(listener).unwrap();
    stream
        .write_all(&[head, b"connection: close\r\n\r\n"].concat())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let decision = head
        .lines()
        .find_map(|line| line.strip_prefix("x-cutover-decision: "));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, decision.map(str::to_owned), body.to_owned())
}

#[test]
fn a_real_envoy_decides_every_request_as_it_was_explained() {
    let proxied = Proxied::start(&["--override-key", "k1"], |stage| {
        let mut file: Value = serde_json::from_str(&stage.read("envoy/cutover.json")).unwrap();
        let place = "/resources/0/typed_config/config/configuration/value";
        *file.pointer_mut(place).unwrap() = configuration().to_string().into();
        stage.write("envoy/cutover.json", &file.to_string());
    });
    let (mut routed, mut answered, mut unclaimed) = (0, 0, 0);
    for head in heads() {
        let shown = String::from_utf8_lossy(&head).into_owned();
        fs::write(proxied.stage.path("request"), &head).unwrap();
        let ran = proxied.run(&[
            "explain",
            "envoy/cutover.json",
            "--request",
            "request",
            "-o",
            "json",
        ]);
        assert_eq!(ran.code, Some(0), "{shown}\n{ran}");
        let explained = ran.json();
        let (status, decision, body) = asked(proxied.listener, &head);
        let expect = explained["decision"].as_str().map(str::to_owned);
        assert_eq!(decision, expect, "{shown}\n{ran}");
        match explained["outcome"].as_str().unwrap() {
            "routed" => {
                routed += 1;
                // The applications of this test read nothing but text.
                if std::str::from_utf8(&head).is_ok() {
                    assert_eq!(status, 200, "{shown}");
                    assert_eq!(explained["color"], body.as_str(), "{shown}");
                }
            }
            "answered" => {
                answered += 1;
                assert_eq!(explained["status"], status, "{shown}");
                assert_eq!(explained["body"], body.as_str(), "{shown}");
            }
            _ => unclaimed += 1,
        }
    }
    assert!(
        routed > 25 && answered == 2 && unclaimed == 2,
        "{routed} {answered} {unclaimed}"
    );
}
