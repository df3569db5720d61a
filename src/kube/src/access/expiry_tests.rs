use super::*;

/// A certificate of alice, made with any key, good from 2020-01-01 to 2020-01-02.
const EXPIRED: &str = include_str!("expired.crt");

#[test]
fn the_end_of_a_certificate_is_read() {
    let end = of_pem(EXPIRED).unwrap();
    assert_eq!(end.to_string(), "2020-01-02T00:00:00Z");
}

#[test]
fn it_is_found_in_a_kubeconfig() {
    let user = AuthInfo {
        client_certificate_data: Some(STANDARD.encode(EXPIRED)),
        ..AuthInfo::default()
    };
    assert!(of_client_certificate(&user).is_some());
    assert!(of_client_certificate(&AuthInfo::default()).is_none());
}

#[test]
fn what_is_no_certificate_has_no_end() {
    for text in [
        "",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----",
    ] {
        assert!(of_pem(text).is_none(), "{text}");
    }
    let (_, body) = EXPIRED.split_once("-----BEGIN CERTIFICATE-----").unwrap();
    let body: String = body
        .split("-----")
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let der = STANDARD.decode(body).unwrap();
    for length in 0..der.len() {
        // Cut anywhere it is read to its end or not at all.
        let _ = not_after(&der[..length]);
    }
}
