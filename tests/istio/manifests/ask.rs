//! Asking programs and proxies, and what they answer.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Output,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What a program showed, or what it was refused with.
pub(crate) type Answer = Result<String, String>;

/// The answer of a program that has ended.
pub(crate) fn answer(output: &Output) -> Answer {
    let text = |bytes| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Waits until something is so, for at most a minute.
#[track_caller]
pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A file of the test's own, for a program to read.
pub(crate) fn written(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The color that answers a request for shop.example.com, and the decision that it was told (empty: nobody decided). Nothing
/// when there is no good answer. Further request headers end with a line end each.
pub(crate) fn color_of(address: &str, headers: &str) -> Option<(String, String)> {
    let mut connection = TcpStream::connect(address).ok()?;
    connection
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    let request =
        format!("GET / HTTP/1.1\r\nhost: shop.example.com\r\nconnection: close\r\n{headers}\r\n");
    connection.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    let (head, _) = answer.split_once("\r\n\r\n")?;
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        let mut values =
            lines.filter_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value));
        values.next().unwrap_or_default().trim().to_owned()
    };
    let good = head.starts_with("HTTP/1.1 200");
    good.then(|| (header("x-backend-color"), header("x-backend-decision")))
}

/// Waits for an answer of a color with a decision that begins so; without one for an undecided answer.
#[track_caller]
pub(crate) fn shows(address: &str, color: &str, decision: &str) {
    until(&format!("{address} shows {color} by {decision:?}"), || {
        color_of(address, "").is_some_and(|(shown, decided)| {
            shown == color
                && decided.starts_with(decision)
                && decided.is_empty() == decision.is_empty()
        })
    });
}
