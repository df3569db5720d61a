use super::*;
use std::collections::{BTreeMap, BTreeSet};

/// Unix microseconds of the instant; a second, a millisecond.
const T: u64 = 1_795_294_800_000_000;
const SECOND: u64 = 1_000_000;
const MS: u64 = 1_000;

type Views = BTreeMap<&'static str, Option<View>>;

fn generation(number: u64) -> Generation {
    Generation::new(number).unwrap()
}

fn terms() -> Terms {
    Terms {
        due: Due {
            at_ms: T / MS,
            hold_ms: 20,
        },
        hold: Hold::Given,
        margin: 500 * MS,
        patience: 10 * SECOND,
        on_lag: OnLag::Cancel,
        clocks: Clocks::Checked,
    }
}

fn clock(offset_ms: i64, error: u64) -> Clock {
    Clock {
        offset: offset_ms * 1_000,
        error,
    }
}

/// Has generation 1, and 7 staged; its clock is good.
#[expect(
    clippy::unnecessary_wraps,
    reason = "a view that is there, as the protocol takes it"
)]
fn staged() -> Option<View> {
    Some(View {
        generation: Generation::new(1).ok(),
        staged: Generation::new(7).ok(),
        clock: Some(clock(0, 300)),
        late: false,
    })
}

fn with_clock(clock: Option<Clock>) -> Option<View> {
    staged().map(|view| View { clock, ..view })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a view that is there, as the protocol takes it"
)]
fn shows(number: u64) -> Option<View> {
    Some(View {
        generation: Generation::new(number).ok(),
        ..View::default()
    })
}

fn views(of: &[(&'static str, Option<View>)]) -> Views {
    of.iter().copied().collect()
}

/// A protocol whose switch, generation 7, is pushed.
fn pushed(terms: Terms) -> Protocol<&'static str> {
    let mut protocol = Protocol::new(terms, generation(7));
    let pushed = Action::Stage {
        generation: generation(7),
        due: terms.due,
    };
    assert_eq!(protocol.step(T - 5 * SECOND, &Views::new()), Ok(pushed));
    protocol
}

/// What comes of these views at the gate.
#[track_caller]
fn at_the_gate(terms: Terms, of: &[(&'static str, Option<View>)]) -> Action<&'static str> {
    let mut protocol = pushed(terms);
    let views = views(of);
    let before = protocol.step(terms.gate() - 1, &views).unwrap();
    assert_eq!(
        before,
        Action::Wait {
            until: terms.gate()
        }
    );
    protocol.step(terms.gate(), &views).unwrap()
}

fn cancelled() -> Action<&'static str> {
    Action::Cancel {
        generation: generation((T - 520 * MS) / MS),
    }
}

fn goes_on() -> Action<&'static str> {
    Action::Wait { until: T + 20 * MS }
}

#[test]
fn what_proxies_show_at_the_gate_decides() {
    let cases: [(&str, Option<View>, bool); 8] = [
        ("staged, clock good", staged(), true),
        ("silent", None, false),
        ("not staged", shows(1), false),
        ("shows nothing", Some(View::default()), false),
        ("not measured", with_clock(None), false),
        ("within", with_clock(Some(clock(-19, 1_000))), true),
        ("ahead", with_clock(Some(clock(20, 1))), false),
        ("behind", with_clock(Some(clock(-20, 1))), false),
    ];
    for (name, view, is_ready) in cases {
        let views = [("a", staged()), ("b", view)];
        let expected = if is_ready { goes_on() } else { cancelled() };
        assert_eq!(at_the_gate(terms(), &views), expected, "{name}");
        // Whoever proceeds on lag never cancels.
        let proceeding = Terms {
            on_lag: OnLag::Proceed,
            ..terms()
        };
        assert_eq!(at_the_gate(proceeding, &views), goes_on(), "{name}");
    }
}

#[test]
fn clocks_can_be_passed_over_and_nothing_else() {
    let terms = Terms {
        clocks: Clocks::PassedOver,
        ..terms()
    };
    for clock in [None, Some(clock(900, 1))] {
        assert_eq!(at_the_gate(terms, &[("a", with_clock(clock))]), goes_on());
    }
    assert_eq!(at_the_gate(terms, &[("a", shows(1))]), cancelled());
}

#[test]
fn a_proxy_that_has_staged_and_falls_silent_still_has_it() {
    let mut protocol = pushed(terms());
    let gate = terms().gate();
    protocol
        .step(gate - SECOND, &views(&[("a", staged())]))
        .unwrap();
    let silent = views(&[("a", None)]);
    assert_eq!(protocol.step(gate, &silent), Ok(goes_on()));
    // One that shows something else does not.
    let mut protocol = pushed(terms());
    protocol
        .step(gate - SECOND, &views(&[("a", staged())]))
        .unwrap();
    protocol
        .step(gate - MS, &views(&[("a", shows(1))]))
        .unwrap();
    assert_eq!(protocol.step(gate, &silent), Ok(cancelled()));
}

#[test]
fn who_leaves_is_not_waited_for_and_who_comes_has_to_stage_it() {
    let mut protocol = pushed(terms());
    let gate = terms().gate();
    let both = views(&[("a", staged()), ("b", shows(1))]);
    protocol.step(gate - SECOND, &both).unwrap();
    assert_eq!(
        protocol.step(gate, &views(&[("a", staged())])),
        Ok(goes_on())
    );
    let mut protocol = pushed(terms());
    protocol
        .step(gate - SECOND, &views(&[("a", staged())]))
        .unwrap();
    assert_eq!(protocol.step(gate, &both), Ok(cancelled()));
}

#[test]
fn it_is_done_when_all_show_it_and_tells_who_was_late() {
    let mut protocol = pushed(Terms {
        on_lag: OnLag::Proceed,
        ..terms()
    });
    let lagging = views(&[("a", staged()), ("b", shows(1)), ("c", staged())]);
    assert_eq!(protocol.step(terms().gate(), &lagging), Ok(goes_on()));
    assert!(protocol.is_through());
    let late = shows(7).map(|view| View { late: true, ..view });
    let some = views(&[("a", late), ("b", shows(1)), ("c", shows(7))]);
    let last = T + 20 * MS + terms().patience;
    assert_eq!(
        protocol.step(T + SECOND, &some),
        Ok(Action::Wait { until: last })
    );
    let mut other = protocol.clone();
    let (generation, late) = (generation(7), BTreeSet::from(["a", "b"]));
    let missing = Outcome::Missing {
        generation,
        late: late.clone(),
        unseen: BTreeSet::new(),
        missing: BTreeSet::from(["b"]),
    };
    assert_eq!(other.step(last, &some), Ok(Action::Done(missing)));
    let all = views(&[("a", shows(7)), ("b", shows(7)), ("c", shows(7))]);
    let activated = Outcome::Activated {
        generation,
        late,
        unseen: BTreeSet::new(),
    };
    assert_eq!(protocol.step(last, &all), Ok(Action::Done(activated)));
}

#[test]
fn one_that_still_has_it_staged_does_not_show_it() {
    let mut protocol = pushed(terms());
    protocol
        .step(terms().gate(), &views(&[("a", staged())]))
        .unwrap();
    let half = shows(7).map(|view| View {
        staged: Generation::new(7).ok(),
        ..view
    });
    let last = T + 20 * MS + terms().patience;
    let wait = Action::Wait { until: last };
    assert_eq!(protocol.step(T + SECOND, &views(&[("a", half)])), Ok(wait));
}

#[test]
fn a_cancel_is_over_when_everybody_has_heard_it_and_names_who_had_not_in_time() {
    let cancel = generation((T - 520 * MS) / MS);
    let lagging = views(&[("a", staged()), ("b", shows(1))]);
    let start = || {
        let mut protocol = pushed(terms());
        assert_eq!(protocol.step(terms().gate(), &lagging), Ok(cancelled()));
        assert!(protocol.is_cancelled());
        protocol
    };
    let heard = shows(cancel.get());
    let outcome = |in_doubt: &[&'static str], unheard: &[&'static str]| {
        Ok(Action::Done(Outcome::Cancelled {
            generation: cancel,
            why: BTreeMap::from([("b", Lag::NotStaged)]),
            in_doubt: in_doubt.iter().copied().collect(),
            unheard: unheard.iter().copied().collect(),
        }))
    };
    let all = views(&[("a", heard), ("b", heard)]);
    assert_eq!(start().step(T - 400 * MS, &all), outcome(&[], &[]));

    let some = views(&[("a", staged()), ("b", heard)]);
    let mut protocol = start();
    let opens = T - 20 * MS;
    assert_eq!(
        protocol.step(opens - 1, &some),
        Ok(Action::Wait { until: opens })
    );
    let last = T + 20 * MS + terms().patience;
    assert_eq!(
        protocol.step(opens, &some),
        Ok(Action::Wait { until: last })
    );
    assert_eq!(
        protocol.clone().step(T + SECOND, &all),
        outcome(&["a"], &[])
    );
    assert_eq!(protocol.step(last, &some), outcome(&["a"], &["a"]));
    // Who shows it then may have heard it a moment ago, and switched before.
    assert_eq!(start().step(opens, &all), outcome(&["a", "b"], &[]));
}

#[test]
fn a_stop_cancels_until_the_window_opens_and_never_later() {
    let all = views(&[("a", staged())]);
    let mut protocol = pushed(terms());
    protocol.stop();
    let number = (T - 20 * MS - 1) / MS;
    let cancel = Action::Cancel {
        generation: generation(number),
    };
    assert_eq!(protocol.step(T - 20 * MS - 1, &all), Ok(cancel));
    let mut protocol = pushed(terms());
    protocol.stop();
    assert_eq!(protocol.step(T - 20 * MS, &all), Ok(goes_on()));
    assert!(protocol.is_through());
}

#[test]
fn nothing_is_cancelled_once_the_window_is_open() {
    let mut protocol = pushed(terms());
    // The operator stood still over the gate.
    let lagging = views(&[("a", staged()), ("b", shows(1))]);
    assert_eq!(protocol.step(T - 20 * MS, &lagging), Ok(goes_on()));
    let late = BTreeSet::from(["b"]);
    let all = views(&[("a", shows(7)), ("b", shows(7))]);
    let generation = generation(7);
    let activated = Outcome::Activated {
        generation,
        late,
        // It may have staged it a moment ago.
        unseen: BTreeSet::from(["a"]),
    };
    assert_eq!(protocol.step(T + SECOND, &all), Ok(Action::Done(activated)));
}

#[test]
fn clocks_that_ask_for_more_get_it_where_nobody_chose_the_hold() {
    let terms = Terms {
        hold: Hold::FromClocks,
        ..terms()
    };
    let off = with_clock(Some(clock(-30, 1_500)));
    let all = views(&[("a", staged()), ("b", off)]);
    let mut protocol = pushed(terms);
    let now = T - 3 * SECOND;
    let due = Due {
        hold_ms: 63,
        ..terms.due
    };
    let again = Action::Stage {
        generation: generation(now / MS),
        due,
    };
    assert_eq!(protocol.step(now, &all), Ok(again));
    assert_eq!(protocol.due(), due);
    // What was staged before does not count any more.
    let gate = due.opens() - terms.margin;
    assert_eq!(protocol.lags(now, &all).len(), 2);
    let staged = |clock| {
        with_clock(Some(clock)).map(|view| View {
            staged: Generation::new(now / MS).ok(),
            ..view
        })
    };
    let all = views(&[
        ("a", staged(clock(0, 300))),
        ("b", staged(clock(-30, 1_500))),
    ]);
    assert_eq!(
        protocol.step(gate - 1, &all),
        Ok(Action::Wait { until: gate })
    );
    let until = due.closes();
    assert_eq!(protocol.step(gate, &all), Ok(Action::Wait { until }));
}

#[test]
fn a_clock_that_is_known_badly_is_looked_at_for_half_of_the_time_before_it_lengthens_the_hold() {
    let terms = Terms {
        hold: Hold::FromClocks,
        ..terms()
    };
    // It may be right.
    let badly = views(&[("a", with_clock(Some(clock(15, 20 * MS))))]);
    let until = (T - 5 * SECOND).midpoint(terms.gate());
    let wait = Ok(Action::Wait { until });
    let mut protocol = pushed(terms);
    assert_eq!(protocol.step(until - 1, &badly), wait);
    let mut better = protocol.clone();
    let well = views(&[("a", with_clock(Some(clock(15, 4 * MS))))]);
    let until = terms.gate();
    assert_eq!(
        better.step(until - SECOND, &well),
        Ok(Action::Wait { until })
    );
    let restaged = protocol.step(until - SECOND, &badly);
    assert!(matches!(restaged, Ok(Action::Stage { .. })), "{restaged:?}");
    // Where half of the time is less than it takes, it is staged while there is time.
    let late = Terms {
        margin: 2 * SECOND,
        ..terms
    };
    let last = T - 70 * MS - 4 * SECOND;
    let mut protocol = pushed(late);
    assert_eq!(
        protocol.step(last - 1, &badly),
        Ok(Action::Wait { until: last })
    );
    let restaged = protocol.step(last, &badly);
    assert!(matches!(restaged, Ok(Action::Stage { .. })), "{restaged:?}");
}

#[test]
fn a_longer_hold_is_not_staged_when_there_is_no_time_or_it_would_be_too_long() {
    let terms = Terms {
        hold: Hold::FromClocks,
        ..terms()
    };
    let off = |ms| views(&[("a", with_clock(Some(clock(ms, 0))))]);
    let gate = terms.gate();
    // 60 ms of hold open the window 40 ms earlier.
    for (now, views) in [
        (gate - 540 * MS + 1, off(30)),
        // Another one has not staged yet: first things first.
        (
            T - 4 * SECOND,
            views(&[("a", off(30)["a"]), ("b", shows(1))]),
        ),
    ] {
        let mut protocol = pushed(terms);
        assert_eq!(protocol.step(now, &views), Ok(Action::Wait { until: gate }));
        assert_eq!(protocol.step(gate, &views), Ok(cancelled()));
    }
    let restaged = pushed(terms).step(gate - 540 * MS, &off(30));
    assert!(matches!(restaged, Ok(Action::Stage { .. })), "{restaged:?}");
    // No hold is long enough: there is nothing to wait for.
    let now = T - 4 * SECOND;
    let generation = generation(now / MS);
    let mut protocol = pushed(terms);
    let hopeless = protocol.step(now, &off(501));
    assert_eq!(hopeless, Ok(Action::Cancel { generation }));
    assert_eq!(
        protocol.why(),
        BTreeMap::from([("a", Lag::ClockOff(clock(501, 0)))])
    );
    assert!(matches!(
        pushed(terms).step(now, &off(500)),
        Ok(Action::Stage { .. })
    ));
}

#[test]
fn a_newer_switch_of_somebody_else_ends_it() {
    for newer in [
        shows(8),
        with_clock(None).map(|view| View {
            staged: Generation::new(8).ok(),
            ..view
        }),
    ] {
        let mut protocol = pushed(terms());
        let views = views(&[("a", staged()), ("b", newer)]);
        let superseded = Action::Done(Outcome::Superseded {
            generation: generation(8),
            by: "b",
        });
        assert_eq!(protocol.step(T - 3 * SECOND, &views), Ok(superseded));
    }
}

#[test]
fn a_switch_is_taken_up_again_where_it_stands() {
    let gate = terms().gate();
    let resume = || Protocol::resume(terms(), generation(7));
    let ready = views(&[("a", staged())]);
    assert_eq!(
        resume().step(gate - 1, &ready),
        Ok(Action::Wait { until: gate })
    );
    assert_eq!(resume().step(gate, &ready), Ok(goes_on()));
    assert_eq!(
        resume().step(gate, &views(&[("a", shows(1))])),
        Ok(cancelled())
    );
    // After the instant there is nothing left but to look.
    let mut late = resume();
    let all = views(&[("a", shows(7))]);
    let wait = Action::Wait { until: T + SECOND };
    assert_eq!(late.step(T + SECOND, &all), Ok(wait));
    let generation = generation(7);
    let activated = late.step(T + SECOND, &all).unwrap();
    let unseen = BTreeSet::from(["a"]);
    let expected = Outcome::Activated {
        generation,
        late: BTreeSet::new(),
        unseen,
    };
    assert_eq!(activated, Action::Done(expected));
}

#[test]
fn one_that_has_not_answered_yet_after_the_instant_is_unseen_and_not_late() {
    let silent = views(&[("a", None), ("b", shows(1))]);
    let mut protocol = Protocol::resume(terms(), generation(7));
    protocol.step(T + SECOND, &silent).unwrap();
    let shown = views(&[("a", shows(7)), ("b", shows(7))]);
    let activated = Outcome::Activated {
        generation: generation(7),
        // It showed the switch before when the window was over.
        late: BTreeSet::from(["b"]),
        unseen: BTreeSet::from(["a"]),
    };
    assert_eq!(
        protocol.step(T + SECOND, &shown),
        Ok(Action::Done(activated))
    );
    // At the gate there is time left in which it has to answer.
    let terms = Terms {
        on_lag: OnLag::Proceed,
        ..terms()
    };
    let mut protocol = Protocol::resume(terms, generation(7));
    protocol.step(terms.gate(), &silent).unwrap();
    assert_eq!(protocol.late(), BTreeSet::from(["a", "b"]));
}

#[test]
fn an_operator_that_looked_away_does_not_say_that_all_were_in_time() {
    // It stands still over the gate and the instant. Then all show it, also one that has come since.
    let mut protocol = pushed(terms());
    let half = views(&[("a", staged()), ("b", shows(1))]);
    protocol.step(terms().gate() - SECOND, &half).unwrap();
    let shown = views(&[("a", shows(7)), ("b", shows(7)), ("new", shows(7))]);
    protocol.step(T + SECOND, &shown).unwrap();
    let activated = Outcome::Activated {
        generation: generation(7),
        late: BTreeSet::new(),
        unseen: BTreeSet::from(["b"]),
    };
    assert_eq!(
        protocol.step(T + SECOND, &shown),
        Ok(Action::Done(activated))
    );
}

#[test]
fn a_hold_that_was_chosen_is_never_lengthened() {
    // There is time for it, and the clock is off for certain.
    let off = views(&[("a", with_clock(Some(clock(-30, 1_500))))]);
    let mut protocol = pushed(terms());
    let now = T - 3 * SECOND;
    let generation = generation(now / MS);
    let cancel = Action::Cancel { generation };
    assert_eq!(protocol.step(now, &off), Ok(cancel));
    assert_eq!(protocol.due(), terms().due);
}

#[test]
fn one_that_shows_it_once_the_window_is_open_is_not_late() {
    // Its clock is ahead within the hold; whoever takes the switch up looks in the window.
    let mut protocol = Protocol::resume(terms(), generation(7));
    let all = views(&[("a", shows(7))]);
    protocol.step(T, &all).unwrap();
    assert_eq!(protocol.late(), BTreeSet::new());
    assert_eq!(protocol.unseen(), BTreeSet::from(["a"]));
}

#[test]
fn one_that_lost_what_it_had_staged_was_not_in_time() {
    // It starts anew before the window opens, and the operator looks away until the instant is over.
    let mut protocol = pushed(terms());
    protocol
        .step(terms().gate(), &views(&[("a", staged())]))
        .unwrap();
    let anew = terms().due.opens() - 1;
    protocol.step(anew, &views(&[("a", shows(1))])).unwrap();
    let all = views(&[("a", shows(7))]);
    let activated = Outcome::Activated {
        generation: generation(7),
        late: BTreeSet::new(),
        unseen: BTreeSet::from(["a"]),
    };
    assert_eq!(protocol.step(T + SECOND, &all), Ok(Action::Done(activated)));
}

#[test]
fn one_that_left_and_came_back_has_to_stage_it_again() {
    let mut protocol = pushed(terms());
    let gate = terms().gate();
    let both = views(&[("a", staged()), ("b", staged())]);
    protocol.step(gate - SECOND, &both).unwrap();
    protocol
        .step(gate - SECOND / 2, &views(&[("a", staged())]))
        .unwrap();
    let back = views(&[("a", staged()), ("b", None)]);
    assert_eq!(protocol.step(gate, &back), Ok(cancelled()));
}

#[test]
fn a_second_longer_hold_is_looked_at_for_half_of_the_time_that_is_left() {
    let terms = Terms {
        hold: Hold::FromClocks,
        ..terms()
    };
    let mut protocol = pushed(terms);
    let now = T - 3 * SECOND;
    let off = views(&[("a", with_clock(Some(clock(-30, 0))))]);
    protocol.step(now, &off).unwrap();
    let badly = with_clock(Some(clock(50, 20 * MS))).map(|view| View {
        staged: Some(protocol.generation()),
        ..view
    });
    let gate = protocol.due().opens() - terms.margin;
    let until = now.midpoint(gate);
    assert_eq!(
        protocol.step(now + MS, &views(&[("a", badly)])),
        Ok(Action::Wait { until })
    );
}

#[test]
fn one_that_switched_before_the_gate_is_taken_back_at_once_and_named() {
    // Its clock is seconds ahead: from now on it serves the new color, alone.
    let mut protocol = pushed(terms());
    let early = views(&[("a", staged()), ("b", shows(7))]);
    let now = T - 3 * SECOND;
    let cancel = protocol.step(now, &early).unwrap();
    assert!(matches!(cancel, Action::Cancel { .. }), "{cancel:?}");
    let cancelled = protocol.generation().get();
    let heard = views(&[("a", shows(cancelled)), ("b", shows(cancelled))]);
    let done = protocol.step(now + SECOND, &heard).unwrap();
    let Action::Done(Outcome::Cancelled { in_doubt, .. }) = done else {
        panic!("{done:?}")
    };
    assert_eq!(in_doubt, BTreeSet::from(["b"]), "it has switched");
    // Whoever proceeds on lag never cancels.
    let proceeding = Terms {
        on_lag: OnLag::Proceed,
        ..terms()
    };
    assert_eq!(at_the_gate(proceeding, &[("b", shows(7))]), goes_on());
}
