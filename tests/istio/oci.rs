//! The module as `scripts/package-oci` packages it: in a real registry, pulled by the real istio-agent, run by Envoy; and
//! what is wrong with an image or a registry, as running traffic, new proxies and flips see it. docs/oci.md says it in a
//! table.

mod stage;
mod traffic;

use serde_json::Value;
use stage::{BLUE, GREEN, Image, Stage, WITHOUT_THE_MODULE};
use std::fs;

/// In its order, as the other test: each chapter begins with green active and decided by the module, on all proxies.
#[test]
fn a_pushed_module_runs_and_what_a_bad_image_does_is_known() {
    let mut stage = Stage::open();
    the_registry_the_layout_and_envoy_have_the_same_module(&mut stage);
    a_tag_that_moves_moves_no_pinned_digest(&mut stage);
    let digest = stage.digest("good");
    let wrong = format!("sha256:{:064x}", 1);
    let tagged = stage.image("cutover:1");
    for image in [
        stage.image(&format!("cutover@{wrong}")),
        stage.image(&format!("missing@{digest}")),
        Image {
            sha256: Some(format!("{:064x}", 1)),
            ..tagged
        },
    ] {
        a_plugin_that_is_given_a_bad_image_loses_its_filter_until_it_is_given_a_good_one(
            &mut stage, &image,
        );
    }
}

#[test]
fn what_a_registry_that_is_away_does_is_known() {
    let mut stage = Stage::open();
    let pinned = stage.pinned();
    stage.apply(&pinned, "green");
    stage.become_and_stay(GREEN);
    running_traffic_and_flips_need_no_registry_where_the_module_is_present(&mut stage);
    a_flip_of_a_tag_that_is_always_pulled_needs_the_registry(&mut stage);
    a_new_proxy_needs_the_registry_and_is_not_helped_before_the_next_push(&mut stage);
}

/// Installs the module, too.
fn the_registry_the_layout_and_envoy_have_the_same_module(stage: &mut Stage) {
    let digest = stage.digest("good");
    let (registry, pinned) = (stage.registry().to_owned(), stage.pinned());
    assert_eq!(
        Stage::crane(&["digest", &format!("{registry}/cutover:1")]),
        digest
    );
    let index = fs::read(stage.path("good/layout/index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(
        index.pointer("/manifests/0/digest").unwrap(),
        digest.as_str()
    );
    // The bill of materials is found from the image, by the tag that stands for this where a registry has no list.
    let referrers = Stage::crane(&[
        "manifest",
        &format!("{registry}/cutover:{}", digest.replace(':', "-")),
    ]);
    let referrers: Value = serde_json::from_str(&referrers).unwrap();
    assert_eq!(
        referrers.pointer("/manifests/0/digest"),
        index.pointer("/manifests/1/digest")
    );

    stage.apply(&pinned, "green");
    stage.become_and_stay(GREEN);
    let manifest = Stage::crane(&["manifest", &format!("{registry}/cutover@{digest}")]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let build = manifest
        .pointer("/annotations/cutover.module.build")
        .unwrap();
    let build = u64::from_str_radix(build.as_str().unwrap().get(..12).unwrap(), 16).unwrap();
    let module = fs::read(cutover_tests::module()).unwrap();
    for proxy in 0..3 {
        let (name, content) = stage.loaded(proxy);
        assert_eq!(format!("sha256:{name}"), format!("{digest}.wasm"));
        assert!(content == module);
        assert_eq!(stage.builds(proxy), [build]);
    }
}

fn a_tag_that_moves_moves_no_pinned_digest(stage: &mut Stage) {
    let build = stage.builds(0);
    stage.package(&cutover_tests::broken_module("per-worker"), "other");
    stage.push("other/image", "cutover:1");
    stage.replace(&[0]);
    stage.become_and_stay(GREEN);
    assert_eq!(stage.builds(0), build);
    // The negative twin: who asks for the tag gets what the tag names now.
    let (tagged, pinned) = (stage.image("cutover:1"), stage.pinned());
    stage.apply_to(&[0], &tagged, "green");
    let moved = format!("{}.wasm", stage.digest("other")).replace("sha256:", "");
    stage.wait_until(|stage| stage.loaded(0).0 == moved);
    stage.push("good/image", "cutover:1");
    stage.apply_to(&[0], &pinned, "green");
    let back = format!("{}.wasm", stage.digest("good")).replace("sha256:", "");
    stage.wait_until(|stage| stage.loaded(0).0 == back);
    stage.become_and_stay(GREEN);
}

fn a_plugin_that_is_given_a_bad_image_loses_its_filter_until_it_is_given_a_good_one(
    stage: &mut Stage,
    bad: &Image,
) {
    stage.while_it_became(WITHOUT_THE_MODULE, |stage| stage.apply(bad, "green"));
    let logged = stage.logged(0);
    assert!(
        logged.contains("error in converting the wasm config to local"),
        "{logged}"
    );
    // A flip does not bring it back.
    stage.apply(bad, "blue");
    stage.apply(bad, "green");
    stage.become_and_stay(WITHOUT_THE_MODULE);
    let pinned = stage.pinned();
    stage.while_it_became(GREEN, |stage| stage.apply(&pinned, "green"));
}

fn running_traffic_and_flips_need_no_registry_where_the_module_is_present(stage: &mut Stage) {
    // A tag that is pulled only where it is not present is as good, once it has been pulled.
    stage.push("good/image", "cutover:2");
    let tagged = stage.image("cutover:2");
    stage.while_it_became(BLUE, |stage| stage.apply(&tagged, "blue"));
    stage.while_it_became(GREEN, |stage| stage.apply(&tagged, "green"));
    stage.kill("registry");
    stage.become_and_stay(GREEN);
    let always = Image {
        policy: "Always",
        ..stage.pinned()
    };
    for image in [tagged, stage.pinned(), always] {
        stage.while_it_became(BLUE, |stage| stage.apply(&image, "blue"));
        stage.while_it_became(GREEN, |stage| stage.apply(&image, "green"));
    }
    stage.start("registry");
}

/// One proxy alone: istiod tells each of every change, and the agent that could not pull an image for a new version of
/// a plugin gives the one that it has to whoever asks for that version again.
fn a_flip_of_a_tag_that_is_always_pulled_needs_the_registry(stage: &mut Stage) {
    let tagged = Image {
        policy: "Always",
        ..stage.image("cutover:1")
    };
    stage.apply_to(&[0], &tagged, "blue");
    stage.while_it_became(["blue", "green", "green"], |_| ());
    stage.while_it_became(GREEN, |stage| stage.apply_to(&[0], &tagged, "green"));
    stage.kill("registry");
    stage.become_and_stay(GREEN);
    stage.while_it_became(["403", "green", "green"], |stage| {
        stage.apply_to(&[0], &tagged, "blue");
    });
    // What the agent has already is there for who asks for it by its digest.
    let pinned = stage.pinned();
    stage.while_it_became(GREEN, |stage| stage.apply_to(&[0], &pinned, "green"));
    stage.start("registry");
}

fn a_new_proxy_needs_the_registry_and_is_not_helped_before_the_next_push(stage: &mut Stage) {
    let pinned = stage.pinned();
    stage.kill("registry");
    stage.replace(&[0, 1, 2]);
    stage.become_and_stay(WITHOUT_THE_MODULE);
    stage.start("registry");
    // It answers again, and nobody asks it.
    Stage::crane(&["digest", &format!("{}/cutover:1", stage.registry())]);
    stage.become_and_stay(WITHOUT_THE_MODULE);
    stage.while_it_became(GREEN, |stage| stage.apply(&pinned, "green"));
}
