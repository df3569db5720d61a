//! Bytes that are no text, and more of them than anybody expects.

use serde_json::{Value, json};

use crate::client::{Get, served_by};
use crate::stage::{Stage, and, switch};

/// Every look that the filter can take at a request: host, path, cookie, override header.
fn curious() -> Value {
    let rule = json!({
        "header": "x-cutover-override", "cookie": "preview", "unsigned": true, "paths": ["/preview"],
    });
    and(
        switch("blue", 7),
        json!({ "hosts": ["shop.example.com"], "override": rule }),
    )
}

#[tokio::test]
async fn invalid_utf8_and_long_values_never_take_the_module_down() {
    let configuration = json!({ "services": { "shop": curious() } });
    let stage = Stage::with(configuration).await;
    let before = machines(&stage).await;
    assert!(before > 0);
    let (long, long_invalid) = (vec![b'a'; 40_000], vec![0xe2; 40_000]);
    let values: [&[u8]; 8] = [
        b"\xff",
        b"green\xff\xfe\x80",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc0\xaf",
        &long,
        &long_invalid,
    ];
    let mut answered = 0;
    for value in values {
        let preview = [b"x=\xff; preview=", value].concat();
        let requests = [
            Get::new().host(value),
            Get::new().host([value, b".example.com"].concat()),
            Get::new().host([b"shop.example.com:", value].concat()),
            Get::new()
                .path([b"/", value].concat())
                .header("x-cutover-override", "green"),
            Get::new().header("x-cutover-override", value),
            Get::new()
                .path("/preview")
                .header("x-cutover-override", value),
            Get::new().header("cookie", value),
            Get::new().path("/preview").header("cookie", preview),
            Get::new().header("x-cutover-decision", value),
            Get::new().header("x-cutover-cluster", value),
        ];
        for request in requests {
            // Envoy itself refuses some of them; the others are served as if nothing were.
            let answer = request.ask(&stage).await;
            assert!(matches!(answer.by().as_str(), "blue" | "400"), "{answer:?}");
            answered += u32::from(answer.status == 200);
        }
        for _ in 0..4 {
            assert_eq!(served_by(&stage).await, "blue");
        }
    }
    assert!(answered >= 40, "only {answered} came to the filter");
    assert_eq!(machines(&stage).await, before);
    assert_eq!(stage.number("wasm.cutover.vm_reload").await, 0);
}

/// How many VMs Envoy has made; one that traps is replaced by another.
async fn machines(stage: &Stage) -> u64 {
    stage.number("wasm.envoy.wasm.runtime.v8.created").await
}
