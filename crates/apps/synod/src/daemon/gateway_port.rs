//! Which port the gateway takes: the one asked for, the one it had, the usual one, or a free one.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use anyhow::Result;

use crate::data_dir::DataDir;
use crate::outcome::{Exit, Failure};

const USUAL: u16 = 8080;

/// The address to bind. A port that was asked for is taken or refused; otherwise links should stay
/// what they were, and `up` needs no port to be free.
pub(crate) fn choose(data_dir: &DataDir, asked: Option<u16>) -> Result<SocketAddr> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let is_free = |port: u16| TcpListener::bind(at(port)).is_ok();
    let before = fs::read_to_string(path(data_dir)).ok().and_then(|text| text.trim().parse().ok());
    match asked {
        // Any port will do, so the one before does best.
        Some(0) => Ok(at(before.filter(|port| is_free(*port)).unwrap_or(0))),
        Some(port) if is_free(port) => Ok(at(port)),
        Some(port) => {
            let message = format!(
                "port {port} for the gateway is taken, and nothing was started; free it, or choose \
                 another in SYNOD_GATEWAY_PORT, where 0 takes a free one [SYN-0007]"
            );
            Err(Failure::new(Exit::Conflict, message).into())
        }
        None => {
            let port = before.into_iter().chain([USUAL]).find(|port| is_free(*port));
            Ok(at(port.unwrap_or(0)))
        }
    }
}

/// Remembers the port for the next daemon.
pub(crate) fn remember(data_dir: &DataDir, port: u16) {
    // Only a wish: without it the next daemon's links differ.
    if let Err(error) = fs::write(path(data_dir), port.to_string()) {
        tracing::warn!(%error, "the gateway's port could not be remembered");
    }
}

fn path(data_dir: &DataDir) -> PathBuf {
    data_dir.path().join("gateway.port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_asked_for_is_taken_or_refused() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data_dir = DataDir::resolve(Some(dir.path().to_owned())).expect("it resolves");
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = taken.local_addr().expect("an address").port();
        let error = choose(&data_dir, Some(port)).expect_err("it is taken");
        assert!(error.to_string().contains(&port.to_string()), "{error}");
        remember(&data_dir, port);
        assert_eq!(choose(&data_dir, Some(0)).expect("any").port(), 0, "the one before is taken");
        drop(taken);
        assert_eq!(choose(&data_dir, Some(0)).expect("any").port(), port);
        assert_eq!(choose(&data_dir, None).expect("any").port(), port);
    }
}
