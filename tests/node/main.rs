//! Cutover on a node: pods with sidecars that were injected, gateways that istiod made, a registry.
//! `CUTOVER_BED` names a bed of `scripts/cluster-up`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be made has to stop"
)]

#[path = "../istio/manifests/ask.rs"]
mod ask;
#[expect(dead_code, reason = "the other bed has more to tell")]
#[path = "../istio/bed.rs"]
mod bed;
mod manifests;
#[expect(dead_code, reason = "the other bed is broken, too")]
#[path = "../istio/story/stage.rs"]
mod stage;
mod story;
#[expect(dead_code, reason = "only some manifests are tried here")]
#[path = "../istio/manifests/tree.rs"]
mod tree;
mod tunnel;
