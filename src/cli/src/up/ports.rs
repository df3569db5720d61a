//! Whether the ports are free, asked before Envoy is started.

use crate::failure::Failure;
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
};
use tokio::net::TcpSocket;

/// Refuses addresses that cannot be listened on.
///
/// Envoy itself would not notice: its sockets share a port with those of another Envoy
/// (`SO_REUSEPORT`), and the kernel would deal connections to both.
pub(crate) fn check(addresses: impl IntoIterator<Item = SocketAddr>) -> Result<(), Failure> {
    let mut asked: Vec<SocketAddr> = vec![];
    for address in addresses {
        if address.port() != 0 && asked.contains(&address) {
            return Err(Failure::usage(format!("{address} is named twice"))
                .hint("each --listen, and --admin, needs an address of its own"));
        }
        asked.push(address);
        bind(address).map_err(|error| refused(address, &error))?;
    }
    Ok(())
}

/// Binds, and does not listen: nobody may connect to what is closed again at once. Connections that
/// a predecessor has left to the kernel (`TIME_WAIT`) are no obstacle, just as for Envoy.
fn bind(address: SocketAddr) -> io::Result<()> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)
}

fn refused(address: SocketAddr, error: &io::Error) -> Failure {
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse => Failure::environment(format!(
            "port {port} is taken: something else listens on {address}"
        ))
        .hint(format!(
            "`ss -ltnp 'sport = :{port}'` shows what; --listen IP:PORT names another port"
        )),
        ErrorKind::PermissionDenied => Failure::environment(format!(
            "port {port} may not be listened on: {error}"
        ))
        .hint(
            "ports below 1024 need a right (CAP_NET_BIND_SERVICE), for Envoy too; --listen IP:PORT names \
             another port",
        ),
        ErrorKind::AddrNotAvailable => Failure::environment(format!(
            "{} is no address of this machine",
            address.ip()
        ))
        .hint("--listen 0.0.0.0:PORT listens on all of them"),
        _ => Failure::environment(format!("{address} cannot be listened on: {error}")),
    }
}
