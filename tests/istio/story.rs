//! One service behind ten gateways, from its installation on, in bad weather; every request of the load goes to the
//! checker. The bed is its own: API server and istiod are killed.

#[expect(dead_code, reason = "the story of the node has a use for the rest")]
pub(crate) mod stage;

use crate::bed::Bed;
use cutover_checker::{Rule, Verdict};
use cutover_history::{Color, Scope};
use serde_json::json;
use stage::Stage;
use std::time::Instant;

/// The story in its order: each chapter begins where the last one has left the fleet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_gateways_are_switched_through_a_control_plane_in_bad_weather() {
    let bed = Bed::up(&["--proxies", "10", "--workers", "1"]);
    let mut stage = Stage::open(bed).await;
    a_header_previews_green(&stage).await;
    a_flip_lands_everywhere_and_goes_back(&mut stage).await;
    of_two_writers_one_wins(&mut stage).await;
    a_field_that_another_manager_owns_is_told(&mut stage).await;
    a_bad_configuration_changes_nothing_and_blocks_nothing(&mut stage).await;
    a_flip_without_istiod_lands_when_it_is_back(&mut stage).await;
    traffic_keeps_its_color_while_the_api_server_is_away(&mut stage).await;
    an_old_push_that_is_replayed_is_ignored(&mut stage).await;
    a_gateway_that_comes_later_shows_the_same(&mut stage).await;
    let (summary, history) = stage.close().await;
    assert_eq!(summary.never_came, Vec::<String>::new());

    let fleet = stage::judged(&history, Scope::Fleet);
    let requests = fleet.figures.total();
    assert!(requests.answered > 5_000, "{requests:?}");
    assert_eq!(requests.failed, 0);
    // Each proxy by itself switches at one instant, whatever the weather.
    let each = stage::judged(&history, Scope::Proxy);
    assert_eq!(each.verdict, Verdict::Holds, "{:#?}", each.verdict);
    // The fleet as a whole does not, with a plain push: nothing else than that may be found.
    if let Verdict::Violated(witness) = &fleet.verdict {
        assert_eq!(witness.rule, Rule::Stale);
    }
}

async fn a_header_previews_green(stage: &Stage) {
    let preview = ("x-cutover-override", "green");
    assert_eq!(stage.ask(0, Some(preview)).await, Color::Green);
    assert_eq!(stage.ask(0, None).await, Color::Blue);
}

async fn a_flip_lands_everywhere_and_goes_back(stage: &mut Stage) {
    // Until then whoever installed the plugin owns its switch.
    let refused = stage.cutover(&["flip", "green", "--now", "--yes"]).await;
    refused.exits_with(1);
    refused.says("kubectl");
    let first = ["flip", "green", "--now", "--yes", "--force-conflicts"];
    let there = stage.switched(&first, Color::Green).await;
    let waited = stage
        .cutover(&["wait", "--generation", &there.to_string()])
        .await;
    waited.exits_with(0);
    stage.switched(&["rollback"], Color::Blue).await;
}

async fn of_two_writers_one_wins(stage: &mut Stage) {
    let before = stage.generation().to_string();
    let arguments = [
        "flip",
        "green",
        "--now",
        "--yes",
        "--expect-generation",
        &before,
    ];
    let invoked = Instant::now();
    let (one, other) = tokio::join!(stage.cutover(&arguments), stage.cutover(&arguments));
    let (won, lost) = match one.code {
        0 => (one, other),
        _ => (other, one),
    };
    won.exits_with(0);
    lost.exits_with(1);
    stage.note(won.generation(), Color::Green, invoked).await;
}

async fn a_field_that_another_manager_owns_is_told(stage: &mut Stage) {
    let generation = stage.generation() + 1;
    let switch = json!({ "active": "blue", "generation": generation });
    stage
        .applied_by("argocd-controller", &switch, Color::Blue)
        .await;
    let refused = stage.cutover(&["flip", "green", "--now", "--yes"]).await;
    refused.exits_with(1);
    refused.says("argocd-controller");
    refused.says("--force-conflicts");
    let forced = ["flip", "green", "--now", "--yes", "--force-conflicts"];
    stage.switched(&forced, Color::Green).await;
}

async fn a_bad_configuration_changes_nothing_and_blocks_nothing(stage: &mut Stage) {
    let before = stage.generation();
    let refused = stage.refused().await;
    stage.patch(&json!({ "active": "purple", "generation": before + 1 }));
    stage.refused_everywhere(&refused).await;
    assert!(stage.all_show(before, Color::Green));
    let refused = stage.cutover(&["flip", "blue", "--now", "--yes"]).await;
    refused.exits_with(2);
    refused.says("purple");
    let taken = stage.taken().await;
    stage.patch(&json!({ "active": "green", "generation": before }));
    stage.taken_everywhere(&taken).await;
    // Whoever edited it by hand owns it now.
    let back = ["flip", "blue", "--now", "--yes", "--force-conflicts"];
    stage.switched(&back, Color::Blue).await;
}

async fn a_flip_without_istiod_lands_when_it_is_back(stage: &mut Stage) {
    stage.stop("istiod");
    let before = stage.generation();
    let invoked = Instant::now();
    let flip = ["flip", "green", "--now", "--yes", "--deadline", "2s"];
    let missing = stage.cutover(&flip).await;
    missing.exits_with(1);
    missing.says("0 of 10");
    assert!(stage.all_show(before, Color::Blue));
    let written = stage.generation();
    let history = stage.cutover(&["history"]).await;
    let noted = history.answer["switches"]
        .as_array()
        .and_then(|all| all.last());
    let noted = noted.unwrap();
    assert_eq!(noted["to"]["generation"], written, "{}", history.all);
    assert_eq!(noted["outcome"], "missing", "{}", history.all);
    let of_whom = noted["missing"].as_array().unwrap();
    assert_eq!(of_whom.len(), 10, "{}", history.all);
    let described = stage.described();
    assert!(described.contains("SwitchNotConfirmed"), "{described}");
    stage.start("istiod");
    let wait = [
        "wait",
        "--generation",
        &written.to_string(),
        "--deadline",
        "60s",
    ];
    stage.cutover(&wait).await.exits_with(0);
    stage.note(written, Color::Green, invoked).await;
}

async fn traffic_keeps_its_color_while_the_api_server_is_away(stage: &mut Stage) {
    let before = stage.generation();
    stage.stop("apiserver");
    for verb in [
        &["flip", "blue", "--now", "--yes"][..],
        &["rollback"],
        &["status"],
    ] {
        let away = stage.cutover(verb).await;
        away.exits_with(3);
        away.says("API server");
    }
    stage.lives_on(20).await;
    assert!(stage.all_show(before, Color::Green));
    stage.start("apiserver");
    stage
        .switched(
            &["flip", "blue", "--now", "--yes", "--deadline", "60s"],
            Color::Blue,
        )
        .await;
}

async fn an_old_push_that_is_replayed_is_ignored(stage: &mut Stage) {
    let before = stage.generation();
    let taken = stage.taken().await;
    stage.patch(&json!({ "active": "green", "generation": before - 1 }));
    stage.taken_everywhere(&taken).await;
    stage.lives_on(20).await;
    assert!(stage.all_show(before, Color::Blue));
    // The next flip counts from what the proxies have, and takes the field back.
    let forced = [
        "flip",
        "green",
        "--now",
        "--yes",
        "--force",
        "--force-conflicts",
    ];
    let after = stage.switched(&forced, Color::Green).await;
    assert!(after > before);
}

async fn a_gateway_that_comes_later_shows_the_same(stage: &mut Stage) {
    stage.one_more_gateway().await;
    // Whoever wrote the same color by hand owns it beside the tool, until that changes it.
    let back = ["flip", "blue", "--now", "--yes", "--force-conflicts"];
    stage.switched(&back, Color::Blue).await;
    assert_eq!(stage.proxies(), 11);
}
