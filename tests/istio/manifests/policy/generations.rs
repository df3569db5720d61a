//! What the policy says of generations and colors.

use super::stage::{ADMIN, ALICE, KINDS, Stage, TOOL, shop};
use serde_json::json;

#[test]
fn generations_only_grow_whoever_writes() {
    let stage = Stage::new();
    for writer in [ADMIN, TOOL, ALICE] {
        let older = shop(json!({ "generation": 6, "active": "green" }));
        let words = "generations only grow: service shop has generation 7 and would get 6.";
        stage.refuses(writer, &older, words);
        let none = shop(json!({ "generation": null, "previous": null }));
        stage.refuses(
            writer,
            &none,
            "service shop has generation 7 and would get none",
        );
    }
    let newer = json!({ "generation": 8, "active": "green", "previous": { "generation": 7, "active": "blue" } });
    stage.allows(ALICE, &shop(newer));
    stage.refuses(
        ALICE,
        &shop(json!({ "generation": 7 })),
        "has generation 8 and would get 7",
    );
}

#[test]
fn a_generation_is_used_once() {
    let stage = Stage::new();
    for writer in [ADMIN, TOOL, ALICE] {
        let words = "a generation is used once: service shop has another switch under generation 7";
        stage.refuses(writer, &shop(json!({ "active": "green" })), words);
        stage.refuses(
            writer,
            &shop(json!({ "previous": { "generation": 5 } })),
            words,
        );
        stage.refuses(writer, &shop(json!({ "previous": null })), words);
        for field in ["activate_at", "hold"] {
            stage.refuses(writer, &shop(json!({ field: 20 })), words);
        }
    }
    // A flip may say an instant, and the next one none.
    let staged = json!({
        "active": "green", "generation": 8, "activate_at": 1_795_294_800_000_u64, "hold": 20,
        "previous": { "generation": 7, "active": "blue" },
    });
    stage.allows(ALICE, &shop(staged));
    stage.allows(
        ALICE,
        &shop(json!({ "active": "blue", "generation": 9, "activate_at": null, "hold": null })),
    );
    stage.allows(
        ALICE,
        &shop(json!({ "active": "green", "generation": 10, "previous": null })),
    );
}

#[test]
fn one_service_that_falls_is_enough() {
    let stage = Stage::new();
    let both = |shop: u64| {
        let api = json!({ "active": "green", "generation": 9 });
        json!({ "services": { "shop": { "generation": shop }, "api": api } })
    };
    stage.refuses(
        ADMIN,
        &both(6),
        "service shop has generation 7 and would get 6",
    );
    stage.allows(ADMIN, &both(8));
    let both = json!({ "services": { "shop": { "generation": 1 }, "api": { "generation": 2 } } });
    stage.refuses(ADMIN, &both, "service api has generation 9 and would get 2");
    stage.refuses(
        ADMIN,
        &both,
        "service shop has generation 8 and would get 1",
    );
}

#[test]
fn no_color_that_is_none_and_no_generation_that_no_proxy_can_read() {
    let stage = Stage::new();
    let words = "service shop: active must be blue or green, and generation a whole number from 1 to 9007199254740991";
    for change in [
        json!({ "active": "purple", "generation": 8 }),
        json!({ "active": "", "generation": 8 }),
        json!({ "active": null, "generation": 8 }),
        json!({ "generation": 8.5 }),
        json!({ "generation": 9_007_199_254_740_992_u64 }),
    ] {
        stage.refuses(ADMIN, &shop(change), words);
    }
    for kind in KINDS {
        for (change, refused) in [
            (json!({ "active": "blue", "generation": 0 }), true),
            (json!({ "active": "blue", "generation": "7" }), true),
            (json!({ "generation": 7 }), true),
            (json!({ "active": "blue", "generation": 7.0 }), false),
            (json!({ "active": "blue" }), false),
        ] {
            // At its creation too, in the short form.
            let name = format!("created-{}", change.to_string().len());
            let created = stage.create(kind, &name, &change);
            assert_eq!(created.is_err(), refused, "{kind} {change}: {created:?}");
        }
    }
    stage.allows(
        ADMIN,
        &shop(json!({ "generation": 9_007_199_254_740_991_u64 })),
    );
}
