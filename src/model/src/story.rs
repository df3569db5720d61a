//! A path through the states, told to people.

use crate::world::{Move, Which, World};
use cutover_core::fleet::Outcome;
use stateright::Path;
use std::fmt::Write as _;

/// What happened, line by line, and who served which color then.
pub fn story(path: &Path<World, Move>) -> String {
    let mut story = String::new();
    for (world, happens) in path.clone().into_vec() {
        for (name, proxy) in world.proxies.iter().enumerate() {
            if let Some((generation, color)) = proxy.rules(world.now, false) {
                let _ = write!(story, "{name} serves {color} ({generation}); ");
            }
        }
        let _ = writeln!(story);
        if let Some(happens) = happens {
            let _ = writeln!(story, "{:>3}: {}", world.now, in_words(&happens));
        }
        if let Some(told) = world.told {
            let _ = writeln!(
                story,
                "{:>3}: the operator says: {}",
                world.now,
                said(&told)
            );
        }
    }
    story
}

fn said(told: &Outcome<u8>) -> String {
    match told {
        Outcome::Activated { late, unseen, .. } => {
            format!("done; late: {late:?}, not seen in time: {unseen:?}")
        }
        Outcome::Missing { missing, .. } => format!("not done; missing: {missing:?}"),
        Outcome::Cancelled { in_doubt, .. } => format!("cancelled; in doubt: {in_doubt:?}"),
        Outcome::Superseded { by, .. } => format!("superseded, as {by} shows"),
    }
}

fn in_words(happens: &Move) -> String {
    let what = |which: &Which| match which {
        Which::Stage => "the switch",
        Which::Cancel => "the cancel",
    };
    match happens {
        Move::Tick => "time goes on".to_owned(),
        Move::Look { silent: None } => "the operator looks".to_owned(),
        Move::Look { silent: Some(name) } => format!("the operator looks, and {name} is silent"),
        Move::Push => "the operator writes".to_owned(),
        Move::Arrive(name, which) => format!("{} reaches {name}", what(which)),
        Move::Repeat(name, which) => format!("{} reaches {name} once more", what(which)),
        Move::Lose(name, which) => format!("{} is lost on its way to {name}", what(which)),
        Move::Crash(name) => format!("{name} ends"),
        Move::Start {
            proxy,
            is_behind: false,
        } => format!("{proxy} starts"),
        Move::Start {
            proxy,
            is_behind: true,
        } => format!("{proxy} starts with what was there at first"),
        Move::SetBack(name) => format!("the wall clock of {name} is set back"),
        Move::KillTool => "the tool is killed".to_owned(),
    }
}
