//! What systemd is told (`sd_notify`), where it asked to be (`Type=notify`).

use std::{
    env,
    ffi::OsString,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

/// Whom to tell; nobody, without `NOTIFY_SOCKET`.
#[derive(Debug)]
pub(crate) struct Notify {
    socket: Option<OsString>,
}

impl Notify {
    pub(crate) fn from_environment() -> Self {
        Self {
            socket: env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()),
        }
    }

    pub(crate) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}\n"));
    }

    /// It goes down, and may need this long: a unit's own `TimeoutStopSec` may be shorter.
    pub(crate) fn stopping(&self, within: Duration) {
        let microseconds = within.as_micros();
        self.send(&format!(
            "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC={microseconds}\n"
        ));
    }

    /// Whoever does not listen misses it; nothing depends on that.
    fn send(&self, message: &str) {
        let Some(socket) = &self.socket else {
            return;
        };
        let address = match socket.as_bytes() {
            // The kernel's own name space (unix(7)).
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(socket),
        };
        let _ = address.and_then(|address| {
            UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_in_a_folder_and_an_abstract_one_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let name = format!("cutover-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let hidden = UnixDatagram::bind_addr(&address).unwrap();
        for (socket, listener) in [
            (path.into_os_string(), listener),
            (format!("@{name}").into(), hidden),
        ] {
            let notify = Notify {
                socket: Some(socket),
            };
            notify.ready("blue is active");
            notify.stopping(Duration::from_secs(2));
            let mut buffer = [0; 200];
            let mut next = || {
                let read = listener.recv(&mut buffer).unwrap();
                String::from_utf8(buffer[..read].to_vec()).unwrap()
            };
            assert_eq!(next(), "READY=1\nSTATUS=blue is active\n");
            assert!(next().starts_with("STOPPING=1\n"));
        }
        // Nobody there, nobody asked: both are nothing to stop for.
        for socket in [None, Some("/no/such/socket".into())] {
            Notify { socket }.ready("");
        }
    }
}
