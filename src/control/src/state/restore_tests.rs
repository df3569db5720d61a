use super::*;
use crate::{ResourceOptions, resource, state::CONFIGURATION};
use serde_json::json;

fn render(state: State) -> String {
    let configuration = json!({
        "active": state.active.as_str(), "generation": state.generation, "blue": "b", "green": "g",
    });
    resource::render(&ResourceOptions {
        module: "cutover.wasm".into(),
        configuration,
        environment: vec![],
    })
}

fn state(generation: u64, active: Color) -> State {
    State {
        generation: Generation::new(generation).ok(),
        active,
    }
}

struct Stage {
    _folder: tempfile::TempDir,
    state: StateFolder,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            state: StateFolder::new(folder.path()),
            _folder: folder,
        }
    }

    /// Notes a switch in the journal, with its end or without.
    fn note(&self, from: State, to: State, end: Option<Kind>) {
        let journal = Journal::of(&self.state.target());
        let entry = Entry::begun("flip", SERVICE, from, to);
        journal.append(&entry).unwrap();
        if let Some(kind) = end {
            journal.append(&entry.ended(kind, Duration::ZERO)).unwrap();
        }
    }

    fn file(&self, content: &str) {
        fs::write(self.state.file(CONFIGURATION), content).unwrap();
    }

    fn restore(&self) -> Result<Restored, RestoreError> {
        self.state.restore(Color::Blue, render)
    }

    /// What is in the file after a restore.
    #[track_caller]
    fn restored(&self) -> (State, Origin) {
        let Restored { document, origin } = self.restore().unwrap();
        let on_disk = self.state.target().read().unwrap();
        assert_eq!(on_disk.to_bytes(), document.to_bytes());
        let plan = on_disk.plan().unwrap();
        let switch = plan.service(SERVICE).unwrap().switch();
        (State::from(switch), origin)
    }
}

#[test]
fn a_new_folder_begins_with_the_color_that_was_asked_for() {
    let stage = Stage::new();
    assert_eq!(stage.restored(), (state(1, Color::Blue), Origin::New));
    // The second time it is an old one.
    assert_eq!(stage.restored(), (state(1, Color::Blue), Origin::Kept));
    // And its journal knows of the beginning.
    fs::remove_file(stage.state.file(CONFIGURATION)).unwrap();
    let (found, origin) = stage.restored();
    assert_eq!(found, state(1, Color::Blue));
    assert!(matches!(origin, Origin::Journal { certain: true, .. }));
}

#[test]
fn a_lost_or_torn_file_gets_the_switch_that_the_journal_knew_last() {
    let whole = render(state(9, Color::Green));
    for torn in [
        None,
        Some(""),
        whole.get(..whole.len() / 2),
        Some("\0\0\0\0"),
    ] {
        let stage = Stage::new();
        stage.note(
            state(1, Color::Blue),
            state(9, Color::Green),
            Some(Kind::Done),
        );
        let failed = Some(Kind::Failed);
        stage.note(state(9, Color::Green), state(12, Color::Blue), failed);
        if let Some(torn) = torn {
            stage.file(torn);
        }
        let (found, origin) = stage.restored();
        assert_eq!(found, state(9, Color::Green), "{torn:?}");
        let Origin::Journal {
            damaged, certain, ..
        } = origin
        else {
            panic!("{origin:?}");
        };
        assert!(certain);
        assert_eq!(
            damaged
                .map(|path| fs::read_to_string(path).unwrap())
                .as_deref(),
            torn
        );
    }
}

#[test]
fn of_a_switch_without_an_end_the_new_color_is_restored_under_a_newer_generation() {
    let stage = Stage::new();
    stage.note(state(1, Color::Blue), state(9, Color::Green), None);
    let (found, origin) = stage.restored();
    assert_eq!(found.active, Color::Green);
    assert!(found.generation > Generation::new(9).ok());
    assert!(matches!(origin, Origin::Journal { certain: false, .. }));
}

#[test]
fn a_whole_file_is_kept_whatever_the_journal_and_a_dead_writer_say() {
    let stage = Stage::new();
    stage.note(
        state(1, Color::Blue),
        state(9, Color::Green),
        Some(Kind::Done),
    );
    stage.file(&render(state(1, Color::Blue)));
    fs::write(
        stage.state.file(".cutover.json.tmp"),
        render(state(9, Color::Green)),
    )
    .unwrap();
    assert_eq!(stage.restored(), (state(1, Color::Blue), Origin::Kept));
}

#[test]
fn a_color_is_not_guessed() {
    let stage = Stage::new();
    stage.file("{ \"resources\": [");
    assert!(matches!(stage.restore(), Err(RestoreError::NoTrace { .. })));
    let stage = Stage::new();
    fs::write(stage.state.file(BOOTSTRAP), "").unwrap();
    assert!(matches!(stage.restore(), Err(RestoreError::NoTrace { .. })));
}

#[test]
fn what_somebody_wrote_is_refused_and_not_replaced() {
    let stage = Stage::new();
    stage.file("{}");
    assert!(matches!(stage.restore(), Err(RestoreError::Target(_))));
    stage.file(&render(state(1, Color::Blue)).replace("blue", "purple"));
    assert!(matches!(stage.restore(), Err(RestoreError::Config { .. })));
    let on_disk = fs::read_to_string(stage.state.file(CONFIGURATION)).unwrap();
    assert!(on_disk.contains("purple"));
}
