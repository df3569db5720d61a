//! Cutover in Istio: a real etcd, kube-apiserver and istiod, and Envoys that take everything from it.
//! `scripts/test istio` starts the bed (`scripts/istio-up`), runs this, and ends it.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be made has to stop"
)]

mod bed;
mod control;
mod held;
mod kube;
mod manifests;
mod oci;
mod story;

use bed::Bed;

#[test]
fn the_bed_has_an_api_server_with_both_kinds_of_istio() {
    let bed = Bed::here();
    for kind in ["wasmplugins", "trafficextensions"] {
        let kind = format!("{kind}.extensions.istio.io");
        let listed = bed.kubectl(&["get", &kind, "--all-namespaces", "--output=name"]);
        assert!(listed.status.success(), "{listed:?}");
    }
}
