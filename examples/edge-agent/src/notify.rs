//! What systemd is told (sd_notify(3)): one datagram each, and nothing where nobody listens.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::config;

/// The way to the service manager.
#[derive(Debug)]
pub(crate) struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// The one that the environment says.
    pub(crate) fn new(config: &config::Notify) -> Self {
        let to = config.socket.as_deref().and_then(|socket| {
            let opened = address(socket).and_then(|address| Ok((UnixDatagram::unbound()?, address)));
            opened.inspect_err(|error| tracing::warn!(%error, "cannot tell the service manager anything")).ok()
        });
        Self { to, watchdog: config.watchdog }
    }

    /// The agent runs.
    pub(crate) fn ready(&self) {
        self.send("READY=1");
    }

    /// What it does, in words.
    pub(crate) fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", status.replace('\n', " ")));
    }

    /// It was asked to end.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Says that it is alive, twice as often as it has to, for ever.
    pub(crate) async fn live(&self) {
        let Some(period) = self.watchdog.filter(|_| self.to.is_some()) else { return std::future::pending().await };
        let mut ticks = tokio::time::interval((period / 2).max(Duration::from_millis(10)));
        loop {
            ticks.tick().await;
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.to
            && let Err(error) = socket.send_to_addr(message.as_bytes(), address)
        {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }
}

/// A path, or a name in the abstract namespace behind an `@`.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(socket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_at_paths_and_names() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let name = format!("@keyward-test-{}", std::process::id());
        for socket in [path.as_os_str(), OsStr::new(&name)] {
            let listener = UnixDatagram::bind_addr(&address(socket).unwrap()).unwrap();
            let notify = Notify::new(&config::Notify { socket: Some(socket.to_owned()), watchdog: None });
            notify.ready();
            notify.status("waits\nfor a claim");
            let mut buffer = [0; 64];
            let mut next = || {
                let length = listener.recv(&mut buffer).unwrap();
                String::from_utf8_lossy(&buffer[..length]).into_owned()
            };
            assert_eq!((next(), next()), ("READY=1".to_owned(), "STATUS=waits for a claim".to_owned()));
        }
    }

    #[test]
    fn nobody_need_listen() {
        Notify::new(&config::Notify::default()).ready();
        let gone = config::Notify { socket: Some("/nonexistent/notify".into()), watchdog: None };
        Notify::new(&gone).ready();
    }
}
