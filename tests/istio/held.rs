//! Gateways behind istiod whose clocks are off by up to ±10 ms, switched at one instant; every request goes to the checker.
//! Each test has a bed of its own: what it does to clocks and to the control plane, nobody else would bear.

mod weather;

use crate::{
    bed::Bed,
    story::stage::{Stage, staged::flip},
};
use cutover_checker::{Rule, Verdict};
use cutover_harness::WrongClock;
use cutover_history::Color;

/// How wrong a clock is at most.
const CLOCKS_NS: i64 = 10_000_000;
/// What one clock is wrong by, once: more than any hold here, and for longer than a busy machine makes no requests.
const FAR: WrongClock = WrongClock {
    ahead_ns: 2_000_000_000,
    drift_ppb: 0,
};

/// So many gateways with wrong clocks, the plugin, and a load.
async fn opened(proxies: usize) -> Stage {
    let library = cutover_tests::clock_library().display().to_string();
    let proxies = proxies.to_string();
    let bed = ["--proxies", &proxies, "--workers", "1", "--clock", &library];
    let bed = Bed::up(&bed);
    let names: Vec<_> = bed.proxies().into_iter().map(|(name, _)| name).collect();
    for (name, clock) in names
        .iter()
        .zip(WrongClock::scattered(names.len(), CLOCKS_NS, 7))
    {
        bed.set_clock(name, clock);
    }
    Stage::open(bed).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_gateways_switch_at_one_instant_and_not_with_a_hold_below_their_clocks() {
    let mut stage = opened(30).await;
    let held = [
        "flip",
        "green",
        "--yes",
        "--at",
        "+20s",
        "--hold",
        "40ms",
        "--force-conflicts",
    ];
    stage.switched(&held, Color::Green).await;
    stage.holds().await;

    // One clock is wrong by more than the hold: it is named, and all stays as it was. On its way through istiod a cancel
    // may take longer than the usual margin, where the machine is busy with thirty Envoys.
    stage.bed.set_clock("proxy-3", FAR);
    stage.load_again().await;
    let short = ["flip", "blue", "--yes", "--hold", "40ms"];
    let refused = [&short[..], &["--at", "+25s", "--margin", "8s"]].concat();
    let refused = stage.cutover(&refused).await;
    refused.exits_with(1);
    refused.says("is off by +");
    assert_eq!(refused.answer["outcome"], "cancelled", "{}", refused.all);
    assert_eq!(refused.answer["lagging"].as_array().unwrap().len(), 1);
    stage.saw_only(Color::Green).await;

    // And it is right: with `--force` old answers come after new ones. It is decided before that clock says that it is time.
    stage.load_again().await;
    let forced = ["--at", "+15s", "--margin", "5s", "--force"];
    let forced = [&short[..], &forced].concat();
    stage.switched(&forced, Color::Blue).await;
    let run = stage.judged().await;
    let Verdict::Violated(witness) = &run.verdict else {
        panic!("{}", run.verdict);
    };
    assert_eq!(witness.rule, Rule::Stale);
    assert!(flip(&run).stale > 0);
}
