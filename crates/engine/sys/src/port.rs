//! Loopback TCP ports.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// A loopback port that is free now. The system hands them out so that one given is not given
/// again soon, but nothing reserves it.
///
/// # Errors
/// When every port is taken.
pub fn free() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Asks whether a server could listen on `port` of the loopback address now.
///
/// # Errors
/// `AddrInUse` when someone listens there; `PermissionDenied` below the first unprivileged port.
pub fn check(port: u16) -> io::Result<()> {
    // The standard library sets SO_REUSEADDR, as servers do: connections that linger from a
    // server before do not count as taken.
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).map(drop)
}

/// The process of this user that listens on `port` on any local address, where the system tells.
#[must_use]
pub fn listener(port: u16) -> Option<u32> {
    listener_inode(port).and_then(crate::process::with_socket)
}

#[cfg(target_os = "linux")]
fn listener_inode(port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let table = std::fs::read_to_string(table).ok()?;
        table.lines().skip(1).find_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let local = fields.nth(1)?;
            let state = fields.nth(1)?;
            let inode = fields.nth(5)?;
            let (_, number) = local.rsplit_once(':')?;
            let matches = state == LISTEN && u16::from_str_radix(number, 16) == Ok(port);
            if matches { inode.parse().ok() } else { None }
        })
    })
}

#[cfg(not(target_os = "linux"))]
fn listener_inode(_port: u16) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_taken_port_is_told_from_a_free_one() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_eq!(check(port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_ne!(free().unwrap(), port);
        if cfg!(target_os = "linux") {
            assert_eq!(listener(port), Some(std::process::id()));
        }
        drop(taken);
        // A child that another test has just forked holds the socket until it executes.
        let deadline = Instant::now() + Duration::from_secs(20);
        while check(port).is_err() {
            assert!(Instant::now() < deadline, "port {port} stays taken");
            std::thread::yield_now();
        }
    }
}
