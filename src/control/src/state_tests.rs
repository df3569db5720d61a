use super::*;

#[track_caller]
fn usual(state_home: &str, home: &str) -> Option<PathBuf> {
    let found = StateFolder::usual(|name| match name {
        "XDG_STATE_HOME" => (!state_home.is_empty()).then(|| state_home.into()),
        "HOME" => (!home.is_empty()).then(|| home.into()),
        _ => None,
    });
    found.map(|folder| folder.path().to_owned())
}

#[test]
fn the_usual_folder_is_where_the_desktop_rules_say() {
    let at = |path: &str| Some(PathBuf::from(path));
    assert_eq!(usual("/s", "/home/a"), at("/s/cutover"));
    assert_eq!(usual("", "/home/a"), at("/home/a/.local/state/cutover"));
    assert_eq!(usual("s", "/home/a"), at("/home/a/.local/state/cutover"));
    assert_eq!(usual("", ""), None);
}

#[test]
fn a_folder_is_taken_by_one_and_free_again_when_that_one_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateFolder::new(folder.path().join("new"));
    assert_eq!(state.running().unwrap(), None);
    let lock = state.lock().unwrap();
    let holder = format!("process {}", std::process::id());
    assert!(matches!(state.lock(), Err(StateError::Taken { holder: by, .. }) if by == holder));
    let running = state.running().unwrap().unwrap();
    assert_eq!((running.holder, running.admin), (holder, None));
    drop(lock);
    // A child of another test that has not become its program yet holds it for a moment more.
    let until = Instant::now() + Duration::from_secs(20);
    while state.running().unwrap().is_some() {
        assert!(Instant::now() < until);
        thread::yield_now();
    }
    state.lock().unwrap();
}

#[test]
fn the_address_that_a_dead_one_left_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateFolder::new(folder.path());
    let address = state.file(ADMIN_ADDRESS);
    fs::write(&address, "127.0.0.1:9901").unwrap();
    fs::write(state.file(LOCK), "process 1").unwrap();
    assert_eq!(state.running().unwrap(), None);
    let _lock = state.lock().unwrap();
    assert_eq!(state.running().unwrap().unwrap().admin, None);
    fs::write(&address, "127.0.0.1:9902\n").unwrap();
    let admin = state.running().unwrap().unwrap().admin;
    assert_eq!(admin, Some(([127, 0, 0, 1], 9902).into()));
}

#[test]
fn the_folder_of_a_bare_file_name_is_this_one() {
    let of = |path: &str| StateFolder::of(&FileTarget::new(path)).path().to_owned();
    assert_eq!(of("cutover.json"), Path::new("."));
    assert_eq!(
        of("/var/lib/cutover/cutover.json"),
        Path::new("/var/lib/cutover")
    );
}
