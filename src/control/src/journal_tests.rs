use super::*;
use crate::unix_ms;
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;

fn journal() -> (TempDir, Journal) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cutover.json");
    fs::write(&path, "{}").unwrap();
    let journal = Journal::of(&FileTarget::new(path));
    (folder, journal)
}

fn state(generation: u64, active: Color) -> State {
    let generation = Generation::new(generation).ok();
    State { generation, active }
}

/// Forth from blue 1 to green 2, by a process that is no more.
fn begun() -> Entry {
    let (blue, green) = (state(1, Color::Blue), state(2, Color::Green));
    let mut entry = Entry::begun("flip", "default", blue, green);
    entry.by.host = "elsewhere.example".to_owned();
    entry
}

fn fates(entries: &[Entry], file: Option<State>) -> Vec<Fate> {
    let chapters = Chapter::of(entries, |_| file);
    chapters.into_iter().map(|chapter| chapter.fate).collect()
}

#[test]
fn what_is_appended_is_read_again_and_only_the_target_s_readers_may_read_it() {
    let (folder, journal) = journal();
    let target = folder.path().join("cutover.json");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(journal.read().unwrap(), []);
    let begun = Entry {
        reason: Some("release 12".to_owned()),
        ..begun()
    };
    let done = begun.ended(Kind::Done, Duration::from_millis(7));
    journal.append(&begun).unwrap();
    journal.append(&done).unwrap();
    let text = fs::read_to_string(journal.path()).unwrap();
    assert_eq!(text.lines().count(), 2);
    let read = journal.read().unwrap();
    let kinds: Vec<_> = read.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [Kind::Begun, Kind::Done]);
    assert_eq!(read[0].reason.as_deref(), Some("release 12"));
    assert_eq!((read[1].to, read[1].milliseconds), (begun.to, Some(7)));
    assert!(
        text.contains(r#""from":{"generation":1,"active":"blue"}"#),
        "{text}"
    );
    assert_eq!(fs::metadata(journal.path()).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_torn_line_costs_no_other_line() {
    let (_folder, journal) = journal();
    journal.append(&begun()).unwrap();
    let whole = fs::read(journal.path()).unwrap();
    let torn = [whole.as_slice(), &whole[..whole.len() / 2]].concat();
    fs::write(journal.path(), torn).unwrap();
    assert_eq!(journal.read().unwrap().len(), 1);
    let done = begun().ended(Kind::Done, Duration::ZERO);
    journal.append(&done).unwrap();
    let kinds: Vec<_> = journal.read().unwrap().iter().map(|e| e.kind).collect();
    assert_eq!(kinds, [Kind::Begun, Kind::Done]);
}

#[test]
fn writers_that_race_lose_no_line() {
    let (_folder, journal) = journal();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..20).for_each(|_| journal.append(&begun()).unwrap()));
        }
    });
    assert_eq!(journal.read().unwrap().len(), 160);
}

#[test]
fn a_journal_that_is_a_link_is_not_followed() {
    let (folder, journal) = journal();
    let victim = folder.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    std::os::unix::fs::symlink(&victim, journal.path()).unwrap();
    let refused = journal.append(&begun()).unwrap_err();
    assert!(
        refused.to_string().contains("cannot be written"),
        "{refused}"
    );
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
}

#[test]
fn a_journal_that_is_a_device_is_not_read() {
    let (_folder, journal) = journal();
    std::os::unix::fs::symlink("/dev/null", journal.path()).unwrap();
    let refused = journal.read().unwrap_err().to_string();
    assert!(
        refused.ends_with(".journal cannot be read: it is not a regular file"),
        "{refused}"
    );
}

#[test]
fn of_a_beginning_without_an_end_the_file_or_the_next_writer_tells() {
    let begun = begun();
    let alone = [begun.clone()];
    let unknown = |written| vec![Fate::Unknown { written }];
    assert_eq!(fates(&alone, Some(begun.to)), unknown(Some(true)));
    assert_eq!(fates(&alone, Some(begun.from)), unknown(Some(false)));
    assert_eq!(fates(&alone, Some(state(9, Color::Blue))), unknown(None));
    assert_eq!(fates(&alone, None), unknown(None));
    let mut next = Entry::begun("flip", "default", begun.from, state(3, Color::Green));
    next.by.host.clone_from(&begun.by.host);
    let two = fates(&[begun.clone(), next], Some(state(3, Color::Green)));
    assert_eq!(
        two[0],
        Fate::Unknown {
            written: Some(false)
        }
    );
    // What another service was tells nothing of this one.
    let other = Entry {
        service: "shop".to_owned(),
        ..begun.clone()
    };
    let two = fates(&[begun.clone(), other], Some(begun.to));
    assert_eq!(
        two[0],
        Fate::Unknown {
            written: Some(true)
        }
    );
    let done = begun.ended(Kind::Done, Duration::ZERO);
    let ended = fates(&[begun.clone(), done.clone()], None);
    assert_eq!(ended, [Fate::Noted(Box::new(done))]);
}

/// Another process of the same program as this one.
fn double() -> std::process::Child {
    let mut double = std::process::Command::new(std::env::current_exe().unwrap());
    double.args([
        "--exact",
        "journal::tests::waits_for_its_input",
        "--nocapture",
    ]);
    double.env("CUTOVER_TEST_WAITS", "1");
    double
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null());
    double.spawn().unwrap()
}

#[test]
fn waits_for_its_input() {
    if std::env::var_os("CUTOVER_TEST_WAITS").is_some() {
        let _ = io::stdin().read_line(&mut String::new());
    }
}

#[test]
fn a_writer_that_lives_is_under_way() {
    let mut child = double();
    let mut entry = Entry {
        by: Author::this_process(),
        ..begun()
    };
    assert!(!entry.by.is_alive_elsewhere(entry.at));
    entry.by.pid = child.id();
    assert!(entry.by.is_alive_elsewhere(SystemTime::now()));
    let under_way = [Entry {
        at: SystemTime::now(),
        ..entry.clone()
    }];
    assert_eq!(fates(&under_way, None), [Fate::UnderWay]);
    assert!(!Recalled::of(&under_way, "default").unwrap().certain);
    assert!(crate::gate::under_way(&under_way, "default").is_some());
    assert!(crate::gate::under_way(&under_way, "shop").is_none());
    // It began later: another run of the program got that pid.
    let long_ago = SystemTime::now() - Duration::from_hours(1);
    assert!(!entry.by.is_alive_elsewhere(long_ago));
    child.kill().unwrap();
    // A zombie lives no more, also while nobody has waited for it.
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while entry.by.is_alive_elsewhere(SystemTime::now()) {
        assert!(std::time::Instant::now() < until);
        std::thread::yield_now();
    }
    child.wait().unwrap();
    assert!(!entry.by.is_alive_elsewhere(SystemTime::now()));
    let mut other = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    entry.by.pid = other.id();
    // Another program got that pid.
    assert!(!entry.by.is_alive_elsewhere(SystemTime::now()));
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_lost_file_is_recalled_as_it_was_last_written() {
    let begun = begun();
    assert_eq!(Recalled::of(&[], "default"), None);
    assert_eq!(Recalled::of(std::slice::from_ref(&begun), "shop"), None);
    let recalled = |end: Option<Kind>| {
        let end = end.map(|kind| begun.ended(kind, Duration::ZERO));
        let lines: Vec<_> = [Some(begun.clone()), end].into_iter().flatten().collect();
        let recalled = Recalled::of(&lines, "default").unwrap();
        assert_eq!(recalled.newest, begun.to.generation);
        (recalled.last, recalled.certain)
    };
    assert_eq!(recalled(Some(Kind::Done)), (begun.to, true));
    assert_eq!(recalled(Some(Kind::Interrupted)), (begun.to, true));
    assert_eq!(recalled(Some(Kind::Failed)), (begun.from, true));
    assert_eq!(recalled(None), (begun.to, false));
}

#[test]
fn a_switch_that_is_staged_has_no_end_yet_and_rules_from_its_instant_on() {
    let mut begun = begun();
    begun.due_at(Due {
        at_ms: unix_ms() + 60_000,
        hold_ms: 20,
    });
    let staged = begun.ended(Kind::Staged, Duration::ZERO);
    let cancelled = begun.ended(Kind::Cancelled, Duration::ZERO);
    let unknown = Fate::Unknown { written: None };
    assert_eq!(fates(&[begun.clone(), staged.clone()], None), [unknown]);
    let lines = [begun.clone(), staged, cancelled.clone()];
    assert_eq!(fates(&lines, None), [Fate::Noted(Box::new(cancelled))]);
    let recalled = |begun: &Entry| Recalled::of(std::slice::from_ref(begun), "default").unwrap();
    assert_eq!(recalled(&begun).last, begun.from);
    begun.activate_at = Some(unix_ms() - 1);
    assert_eq!(recalled(&begun).last, begun.to);
}

#[test]
fn who_took_a_switch_up_knows_more_of_its_end_than_who_was_overtaken() {
    let begun = begun();
    let noted = |kinds: &[Kind]| {
        let ends = kinds.iter().map(|kind| begun.ended(*kind, Duration::ZERO));
        let lines: Vec<_> = std::iter::once(begun.clone()).chain(ends).collect();
        let fates = fates(&lines, None);
        let [Fate::Noted(end)] = fates.as_slice() else {
            panic!("{fates:?}");
        };
        end.kind
    };
    let (cancelled, superseded) = (Kind::Cancelled, Kind::Superseded);
    assert_eq!(noted(&[Kind::NotCancelled, cancelled]), cancelled);
    assert_eq!(noted(&[cancelled, superseded]), cancelled);
    assert_eq!(noted(&[superseded, cancelled]), cancelled);
    assert_eq!(noted(&[superseded]), superseded);
}
