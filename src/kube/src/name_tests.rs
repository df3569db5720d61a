use super::*;

#[track_caller]
fn reads(text: &str, namespace: Option<&str>, kind: Option<Kind>, name: &str) {
    let expected = ObjectName {
        namespace: namespace.map(str::to_owned),
        kind,
        name: name.to_owned(),
    };
    assert_eq!(text.parse(), Ok(expected));
}

#[track_caller]
fn refuses(text: &str, says: &str) {
    let error = text.parse::<ObjectName>().unwrap_err().to_string();
    assert!(error.contains(says), "{text}: {error}");
}

#[test]
fn a_name_has_one_to_three_parts() {
    reads("shop", None, None, "shop");
    reads("istio-ingress/shop", Some("istio-ingress"), None, "shop");
    reads(
        "shop/WasmPlugin/web",
        Some("shop"),
        Some(Kind::WasmPlugin),
        "web",
    );
    reads("shop/shop.v1", Some("shop"), None, "shop.v1");
}

#[test]
fn a_kind_is_read_as_kubectl_reads_it() {
    for text in [
        "trafficextension",
        "TrafficExtensions",
        "trafficextensions.extensions.istio.io",
    ] {
        assert_eq!(text.parse(), Ok(Kind::TrafficExtension), "{text}");
    }
    refuses("shop/deployment/web", "wasmplugin or trafficextension");
}

#[test]
fn what_the_api_could_not_name_is_refused() {
    refuses("", "is not NAME");
    refuses("shop/", "is not NAME");
    refuses("/shop", "is not NAME");
    refuses("a/wasmplugin/b/c", "is not NAME");
    refuses("Shop", "lower-case");
    refuses("shop/..", "lower-case");
    refuses("shop/a b", "lower-case");
    refuses("sh.op/web", "the name of a namespace");
    refuses(&format!("{}/web", "n".repeat(64)), "up to 63");
    refuses(&"n".repeat(254), "up to 253");
}

#[test]
fn a_name_is_shown_as_it_can_be_typed() {
    for text in ["shop", "a/shop", "a/trafficextension/shop"] {
        assert_eq!(text.parse::<ObjectName>().unwrap().to_string(), text);
    }
}
